"""How many components, and which kind of covariance: information criteria and cross-validated likelihood.

With L the log-likelihood of N frames, p free parameters and t the posteriors:
AIC = -2 L + 2 p (Akaike 1974), BIC = -2 L + p log N (Schwarz 1978), and ICL = BIC - 2 sum_n log max_k t_nk
(C. Biernacki, G. Celeux and G. Govaert 2000, with the most probable labels), which also asks that components be apart.
Symbols: N frames, K components, D dimensions.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, choice, integer, matrix, number_of, refuse, sample_weights
from speechgmm.looks import Look, Shown, some_rows
from speechgmm.mixture.blocks import ArrayBlocks
from speechgmm.mixture.covariance import COVARIANCES, Covariance, covariance_type
from speechgmm.mixture.em import Stop
from speechgmm.mixture.maximize import Floor
from speechgmm.mixture.missing import Incomplete
from speechgmm.mixture.model import GMM
from speechgmm.mixture.train import fit_gmm
from speechgmm.parallel import threads

CRITERIA = {"bic": 1.0, "aic": 1.0, "icl": 1.0, "cross_validated": -1.0}
"""The criteria, and the sign that makes less better."""


@dataclass(frozen=True, eq=False)
class FittedCandidate(Shown):
    """A mixture of one kind and number of components, trained on all frames, and what speaks for it.

    Parameters
    ----------
    covariance : str
        "diag", "spherical", "tied" or "full", or the name of another class.
    n_components, n_parameters : int
    model : GMM
    log_likelihood : float
        Nats per frame, on the training frames.
    bic, aic, icl : float
        Less is better.
    cross_validated : float
        Nats per frame, on frames held out; more is better. NaN without folds.
    standard_error : float
        Of `cross_validated`, over the folds.
    """

    covariance: str
    n_components: int
    n_parameters: int
    model: GMM
    log_likelihood: float
    bic: float
    aic: float
    icl: float
    cross_validated: float = math.nan
    standard_error: float = math.nan

    def value(self, criterion: str) -> float:
        """Return one of "bic", "aic", "icl", "cross_validated"."""
        return float(getattr(self, choice(criterion, "criterion", CRITERIA)))


@dataclass(frozen=True, eq=False)
class Choice(Shown):
    """All candidates, in the order of covariances and then of counts, and the criterion that was asked for."""

    candidates: tuple[FittedCandidate, ...]
    criterion: str

    def _look(self) -> Look:
        ranked = self.ranked()
        best = f"best by {self.criterion}: {number_of(ranked[0].n_components, 'component')}, {ranked[0].covariance}"
        header = ("covariance", ">components", *(f">{name}" for name in CRITERIA))
        rows = [(c.covariance, c.n_components, *map(_shown, map(c.value, CRITERIA))) for c in ranked]
        table = some_rows("the best first", header, rows)
        return Look((best, number_of(len(ranked), "candidate")), tables=(table,))

    def ranked(self, criterion: str | None = None) -> tuple[FittedCandidate, ...]:
        """Return the candidates from the best to the worst; among equals, those of fewer parameters come first."""
        name = criterion or self.criterion
        sign = CRITERIA[choice(name, "criterion", CRITERIA)]
        if any(math.isnan(c.value(name)) for c in self.candidates):
            refuse("the criterion", "have been measured", name, "Choose with folds=5 for cross-validation.")
        return tuple(sorted(self.candidates, key=lambda c: (sign * c.value(name), c.n_parameters)))

    @property
    def best(self) -> FittedCandidate:
        """The best candidate by the criterion that was asked for."""
        return self.ranked()[0]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def n_parameters(model: GMM) -> int:
    """Return how many numbers a mixture is free to choose: K - 1 weights, K D means, and those of its covariances.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Full
    >>> n_parameters(GMM([0.5, 0.5], np.zeros((2, 3)), Full([np.eye(3)] * 2)))
    19
    """
    k, d = model.n_components, model.n_dimensions
    return k - 1 + k * d + model.covariance.n_parameters(k, d)


def choose(
    x: ArrayLike,
    n_components: Iterable[int] = range(1, 11),
    *,
    covariances: Sequence[str | type[Covariance]] = tuple(COVARIANCES),
    criterion: str = "bic",
    folds: int = 0,
    starts: int = 3,
    seed: int = 0,
    stop: Stop = Stop(1e-5, 500),
    floor: Floor = Floor(),
    missing: bool = False,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Choice:
    """Train a mixture of each kind and number of components, and compare them.

    Parameters
    ----------
    x : array_like, shape (N, D)
    n_components : iterable of int
        The counts K to try.
    covariances : sequence of str or Covariance classes
        Any of "diag", "spherical", "tied" and "full", or other kinds as classes.
    criterion : str
        "bic" finds the true mixture where there is one and frames are many; "icl" the number of separate clusters;
        "aic" and "cross_validated" the density that predicts new frames best.
    folds : int
        Into how many parts the frames are cut, at random, for cross-validation; 0 for none, which takes a folds-th of
        the time. "cross_validated" asks for at least 2.
    starts : int
        Each mixture is the best of so many starts: one ends too often on a poorer maximum.
    seed : int
    stop, floor
        As in `fit_gmm`; EM ends later by default, for differences of a criterion are N times those of a frame.
    missing : bool
        Take NaN for values that were not observed, as in `fit_gmm`. Likelihoods are then of what was observed.
    sample_weight : array_like, shape (N,), optional
        How often each frame counts, at least 0; N of the criteria is their sum, so that weights that say no more than
        how common a frame is should sum to the number of frames.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.

    Raises
    ------
    InvalidInput
        If a setting is out of range, or there are fewer frames that count (in training folds too) than components.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 100)).reshape(-1, 1)
    >>> choose(x, [1, 2, 3], covariances=["diag"]).best.n_components
    2
    """
    data, (counts, kinds) = _Frames.of(x, sample_weight, missing=missing), _listed(n_components, covariances)
    folds, starts = integer(folds, "folds", minimum=0), integer(starts, "starts", minimum=1)
    choice(criterion, "criterion", CRITERIA)
    if folds == 1 or (criterion == "cross_validated" and not folds):
        refuse("folds", "be at least 2 for cross-validation, or 0 for none", folds)
    n = len(data.frames)
    least = n - (-(-n // folds) if folds else 0)
    if max(counts) > least:
        refuse("n_components", f"be at most the {least} frames that each mixture is trained on", max(counts))
    order = np.random.default_rng(seed).permutation(n)
    held = [np.sort(order[f::folds]) for f in range(folds)]
    train = functools.partial(_train, starts=starts, seed=seed, stop=stop, floor=floor)

    def work(job: tuple[str | type[Covariance], int, int]) -> Any:
        kind, k, fold = job
        if fold < 0:
            return _candidate(train(data, kind, k), kind, data)
        model = train(data.take(np.delete(np.arange(n), held[fold])), kind, k)
        part = data.take(held[fold])
        return part.log_likelihood(model) / part.count

    jobs = [(kind, k, fold) for kind in kinds for k in counts for fold in range(-1, folds)]
    results = list(threads(n_threads)(work, jobs))
    each = [results[i : i + folds + 1] for i in range(0, len(results), folds + 1)]
    return Choice(tuple(_with_folds(candidate, scores) for candidate, *scores in each), criterion)


def _listed(
    n_components: Iterable[int], covariances: Sequence[str | type[Covariance]]
) -> tuple[list[int], list[str | type[Covariance]]]:
    """Return the counts and the kinds to try, checked."""
    if not isinstance(n_components, Iterable):
        refuse("n_components", "list the counts to try", repr(n_components), "Give [3] to try one, or range(1, 4).")
    if isinstance(covariances, str) or not isinstance(covariances, Iterable):
        refuse("covariances", "list the kinds to try", repr(covariances), "Give ['full'] to try one.")
    counts = [integer(k, "each of n_components", minimum=1) for k in n_components]
    kinds = [c for c in covariances if covariance_type(c, "each of covariances")]
    if not counts or not kinds:
        refuse("n_components and covariances", "name at least one each", "none")
    return counts, kinds


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames (N, D) that count, how often each does, and whether some of their values are missing."""

    frames: Array
    weights: Array | None
    missing: bool

    @classmethod
    def of(cls, x: ArrayLike, sample_weight: ArrayLike | None, *, missing: bool) -> Self:
        """Check frames and weights, and leave out what does not count: of weight 0, or without any value."""
        frames = matrix(x, missing=missing)
        weights = None if sample_weight is None else sample_weights(sample_weight, len(frames))
        holes = np.isnan(frames)
        counted = ~holes.all(axis=1) & (True if weights is None else weights > 0)
        return cls(frames, weights, bool(holes.any())).take(np.flatnonzero(counted))

    def take(self, rows: Array) -> Self:
        """Return some of the frames."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, frames=self.frames[rows], weights=weights)

    @property
    def blocks(self) -> ArrayBlocks:
        return ArrayBlocks(self.frames, weights=self.weights)

    @property
    def count(self) -> float:
        """N, weighted."""
        return float(len(self.frames) if self.weights is None else self.weights.sum())

    def sum(self, values: Array) -> float:
        """Return the sum of a value of each frame (N,), weighted."""
        return float(values.sum() if self.weights is None else self.weights @ values)

    def log_likelihood(self, model: GMM) -> float:
        """Return the log-likelihood of all frames, in nats."""
        return self.sum(self.seen_by(model).log_density(self.frames))

    def seen_by(self, model: GMM) -> GMM | Incomplete:
        """Return the mixture, ready for missing values where there are some."""
        return Incomplete(model) if self.missing else model


def _train(
    data: _Frames, kind: str | type[Covariance], k: int, *, starts: int, seed: int, stop: Stop, floor: Floor
) -> GMM:
    """Return the best of several fits."""
    settings: Any = {"covariance": kind, "stop": stop, "floor": floor, "missing": data.missing, "n_threads": 1}
    models = [
        fit_gmm(data.blocks, k, seed=np.random.default_rng([seed, s]), **settings).model
        for s in range(starts if k > 1 else 1)
    ]
    return max(models, key=data.log_likelihood)


def _candidate(model: GMM, kind: str | type[Covariance], data: _Frames) -> FittedCandidate:
    """Return the criteria of a mixture on the frames that it was trained on."""
    total, n, p = data.log_likelihood(model), data.count, n_parameters(model)
    bic = -2 * total + p * math.log(n)
    seen = data.seen_by(model)
    sure = np.concatenate([seen.posteriors(block).max(axis=1) for block in ArrayBlocks(data.frames)])
    name = kind if isinstance(kind, str) else kind.__name__
    icl = bic - 2 * data.sum(np.log(sure))
    return FittedCandidate(name, model.n_components, p, model, total / n, bic, -2 * total + 2 * p, icl)


def _with_folds(c: FittedCandidate, scores: list[float]) -> FittedCandidate:
    """Return a candidate with the mean and standard error over folds."""
    if not scores:
        return c
    error = float(np.std(scores, ddof=1) / math.sqrt(len(scores)))
    return replace(c, cross_validated=float(np.mean(scores)), standard_error=error)
