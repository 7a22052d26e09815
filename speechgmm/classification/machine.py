"""A linear machine on supervectors: how a recording differs from the background of all classes, as one row.

A row has two parts: how far each component's mean moves (`supervectors.displacements`), and the square roots of the
shares of components (`supervectors.posterior_features`): how sounds are, and what sounds there are. Both are centered
on the rows of the training and brought to lengths that are the same for all recordings, long or short. One class is
told from all others by least squares.

W. M. Campbell, D. E. Sturim and D. A. Reynolds, "Support vector machines using GMM supervectors for speaker
verification", IEEE Signal Processing Letters 13 (2006). J. A. K. Suykens and J. Vandewalle, "Least squares support
vector machine classifiers", Neural Processing Letters 9 (1999). Symbols: N frames, K components, D dimensions,
U recordings, C classes, J = K * D + K numbers of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from speechgmm.checks import FAR, Array, floats, hold, instance, number, refuse
from speechgmm.classification.calibration import FileScores
from speechgmm.classification.mixtures import MixtureSettings, train_background
from speechgmm.classification.supervectors import displacements
from speechgmm.looks import Shown
from speechgmm.mixture import GMM, RELEVANCE, Diagonal
from speechgmm.parallel import one_thread, threads

COST = 3.0
"""What an error of the training costs, against the length of the weights: C of a support vector machine."""
SHARE = 0.2
"""What the shares of components have of a row: they tell sounds apart, and words hardly."""
_SHORT = 1e-12
"""Parts of rows that are all but the center's have no direction, and count for nothing."""


@dataclass(frozen=True, eq=False)
class SupervectorMachine(Shown):
    """The background that recordings are measured against, and the planes between one class and all others.

    Parameters
    ----------
    background : GMM
    center : ndarray, shape (J,)
        The mean of the rows of the training.
    weights : ndarray, shape (C, J)
    offsets : ndarray, shape (C,)
        The score of a class is ``weights @ row + offset``: 1 for it and -1 for the others, as far as training went.
    relevance : float
        Frames that the background counts for in each component of a row.
    """

    PARTS: ClassVar = (GMM, Diagonal)

    background: GMM
    center: Array
    weights: Array
    offsets: Array
    relevance: float = RELEVANCE

    def __post_init__(self) -> None:
        """Check that the parts fit, and hold the arrays as read-only float64."""
        instance(self.background, "the background", GMM)
        self.background.check_reach("the background")
        relevance = number(self.relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames")
        k, d = self.background.n_components, self.background.n_dimensions
        center = floats(self.center, "the center of rows", shape=(k * d + k,), largest=FAR)
        offsets = floats(self.offsets, "the offsets of planes", largest=FAR)
        if offsets.ndim != 1 or len(offsets) < 2:
            refuse("the offsets of planes", "be a vector of two numbers or more", f"shape {offsets.shape}")
        shape = (len(offsets), len(center))
        weights = floats(self.weights, "the weights of planes", shape=shape, largest=FAR)
        hold(self, center=center, weights=weights, offsets=offsets, relevance=relevance)

    def sums(self, x: Array, lengths: Array, *, n_threads: int | None = None) -> Array:
        """See `backends.Backend`: counts, first moments and the log-likelihood, shape (U, J + 1)."""
        return recording_sums(self.background, np.split(x, np.cumsum(lengths)[:-1]), n_threads=n_threads)

    @one_thread
    def file_scores(self, sums: Array, lengths: Array) -> FileScores:
        """See `backends.Backend`; the evidence is the best score, its lead, and nats per frame of the background."""
        rows = unit_rows(self.background, raw_rows(self.background, sums, self.relevance), self.center)
        scores = rows @ self.weights.T + self.offsets
        best = np.sort(scores, axis=1)[:, ::-1]
        evidence = [best[:, 0], best[:, 0] - best[:, 1], sums[:, -1] / lengths]
        return FileScores(scores, np.stack(evidence, axis=1))


def recording_sums(background: GMM, recordings: Sequence[Array], *, n_threads: int | None) -> Array:
    """Return what rows are made of, which can be added, shape (U, J + 1)."""

    def sums(x: Array) -> Array:
        s = background.statistics(x)
        return np.concatenate([s.counts, s.first.ravel(), [s.log_likelihood]])

    return np.stack(list(threads(n_threads)(sums, recordings)))


def raw_rows(background: GMM, sums: Array, relevance: float) -> Array:
    """Return the rows (U, J) of recordings whose sums (U, J + 1) are known, as they are."""
    k = background.n_components
    counts, first = sums[:, :k], sums[:, k:-1].reshape(len(sums), k, -1)
    shares = np.sqrt(counts / counts.sum(axis=1, keepdims=True))
    return np.concatenate([displacements(background, counts, first, relevance), shares], axis=1)


def unit_rows(background: GMM, rows: Array, center: Array) -> Array:
    """Return rows (U, J) about the center, each of length 1, of whose square the shares have `SHARE`."""
    parts = np.split(rows - center, [-background.n_components], axis=1)
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    wanted = np.sqrt([1.0 - SHARE, SHARE])
    factors = [np.where(n > _SHORT, w / np.maximum(n, _SHORT), 0.0) for n, w in zip(lengths, wanted, strict=True)]
    return np.concatenate([part * factor for part, factor in zip(parts, factors, strict=True)], axis=1)


def train_machine(
    frames: Sequence[Sequence[Array]],
    settings: MixtureSettings,
    *,
    background: GMM | None = None,
    n_threads: int | None = None,
) -> SupervectorMachine:
    """Train a background on all frames, and the planes between the classes.

    Parameters
    ----------
    frames : sequence of sequences of ndarray (N, D)
        The recordings of each class.
    settings : MixtureSettings
        Of the background; its relevance is that of the rows.
    background : GMM, optional
        One of all frames and these settings that is there already; it is not trained again.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    """
    relevance = RELEVANCE if settings.relevance is None else settings.relevance
    if background is None:
        background = train_background([np.concatenate(list(of)) for of in frames], settings, n_threads=n_threads)
    sums = recording_sums(background, [x for of in frames for x in of], n_threads=n_threads)
    rows = raw_rows(background, sums, relevance)
    center = rows.mean(axis=0)
    labels = np.repeat(np.arange(len(frames)), [len(of) for of in frames])
    weights, offsets = least_squares(unit_rows(background, rows, center), labels, cost=COST)
    return SupervectorMachine(background, center, weights, offsets, relevance)


@one_thread
def least_squares(rows: Array, labels: Array, *, cost: float) -> tuple[Array, Array]:
    """Return the planes (C, J) and offsets (C,) of least squares between each class, as 1, and the others, as -1.

    Notes
    -----
    They minimize ``|w|**2 + cost * sum (w @ row + offset - target)**2`` for each class. The answer is one system of
    equations of as many unknowns as there are recordings or numbers in a row, whichever are fewer: nothing is random,
    and the order of recordings changes rounding and nothing else.
    """
    from scipy.linalg import solve

    targets = 2.0 * np.eye(labels.max() + 1)[labels] - 1.0
    mean_row, mean_target = rows.mean(axis=0), targets.mean(axis=0)
    x, y = rows - mean_row, targets - mean_target
    if len(x) <= x.shape[1]:
        weights = solve(x @ x.T + np.eye(len(x)) / cost, y, assume_a="pos").T @ x
    else:
        weights = solve(x.T @ x + np.eye(x.shape[1]) / cost, x.T @ y, assume_a="pos").T
    return weights, mean_target - weights @ mean_row
