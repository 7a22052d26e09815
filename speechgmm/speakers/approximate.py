"""Scores of many tests against thousands of speakers: two approximations of the exact log-likelihood ratio.

Top-C keeps, for each frame, the C components of the UBM that explain it best (Reynolds, Quatieri and Dunn 2000,
section 3.5). Linear scoring is the first-order term of the ratio in the speaker's means about the UBM's: the score of T
tests against S speakers is one matrix product of sufficient statistics (Glembek et al. 2009). It ranks speakers, but
its size is not that of the ratio. Both have the shape of `log_likelihood_ratios`, and `deviation` says what they cost.
Symbols: N frames, K components, D dimensions, S speakers, T tests.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, integer, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.mixture import Statistics
from speechgmm.mixture.maximize import check_against
from speechgmm.parallel import one_thread
from speechgmm.speakers.best_components import top_log_densities
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.score import check_test, log_likelihood_ratios
from speechgmm.speakers.system import System

Scorer = Callable[[System, SpeakerModels, ArrayLike], Array]


def top_ratios(
    system: System,
    models: SpeakerModels,
    features: ArrayLike,
    *,
    n_components: int = 100,
    n_threads: int | None = None,
) -> Array:
    """Return mean log-likelihood ratios in which each frame counts its best components alone.

    Parameters
    ----------
    system, models, features
        As for `log_likelihood_ratios`.
    n_components : int
        C, of each mixture. With 100 of 512 components the true speaker had the rank that the exact ratio gives it in at
        least 99 % of tests of 3 s of telephone speech against 1000 speakers, with 50 in 94 % and with 20 in 75 %. Those
        that differ are among the last: whether it was the first, 50 components told as the exact ratio always, and 20
        in 99 %.
    n_threads
        As for `log_likelihood_ratios`.

    Returns
    -------
    ndarray, shape (S,), float64
        In nats per frame. With C = K these are the exact ratios.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System, log_likelihood_ratios, speaker_models
    >>> system = System(OwnFeatures(dimensions=1), GMM([0.5, 0.5], [[-9.0], [9.0]], Diagonal([[1.0], [1.0]])))
    >>> models = speaker_models(system, {"ann": system.ubm.statistics([[10.0]] * 4)})
    >>> exact = log_likelihood_ratios(system, models, [[9.5], [10.5]])
    >>> np.allclose(top_ratios(system, models, [[9.5], [10.5]], n_components=2), exact)
    True
    """
    x = check_test(system, models, features)
    c = integer(n_components, "n_components", minimum=1)
    every = zip(models.parts, models.ubm.seen(x), strict=True)
    return np.asarray(models.ubm.shares @ np.stack([_top_ratios(part, y, c, n_threads) for part, y in every]))


def _top_ratios(models: SpeakerModels, x: Array, c: int, n_threads: int | None) -> Array:
    """Return the ratios (S,) of frames (N, D) under one mixture."""
    total = top_log_densities(models, x, c, models.terms(x.dtype).columns, n_threads)
    return np.asarray((total[1:] - total[0]) / len(x))


def linear_ratios(system: System, models: SpeakerModels, features: ArrayLike) -> Array:
    """Return first-order log-likelihood ratios, shape (S,), in nats per frame.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System, speaker_models
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> models = speaker_models(system, {"ann": system.ubm.statistics([[1.0]] * 4)})
    >>> linear_ratios(system, models, [[2.0], [4.0]]).round(3)  # mean of the test 3, offset of ann 0.5
    array([1.5])
    """
    x = check_test(system, models, features)
    return np.asarray(linear_ratios_of(system, models, [models.ubm.statistics(x)])[0])


@one_thread
def linear_ratios_of(system: System, models: SpeakerModels, tests: Sequence[Statistics]) -> Array:
    """Return the scores of many tests as one matrix product.

    Parameters
    ----------
    system : System
    models : SpeakerModels
    tests : sequence of Statistics
        Of T tests, against ``models.ubm``.

    Returns
    -------
    ndarray, shape (T, S), float64
        In nats per frame; the product itself is taken in float32.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System, speaker_models
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> models = speaker_models(system, {"ann": system.ubm.statistics([[1.0]] * 4)})
    >>> linear_ratios_of(system, models, [system.ubm.statistics([[x]]) for x in (-2.0, 2.0)]).round(3).tolist()
    [[-1.0], [1.0]]
    """
    if not tests:
        refuse("tests", "be at least one", "none")
    if models.fingerprint != system.fingerprint:
        refuse("speaker models", "be of this system", "models of another", error=IncompatibleModel)
    parts = zip(models.ubm.shares.astype(np.float32), models.parts, strict=True)
    columns = np.concatenate([share * part.terms(np.float32).columns for share, part in parts])
    k, d = system.ubm.means.shape
    moments = np.zeros((len(tests), k, d + 1), np.float32)
    for moment, t in zip(moments, tests, strict=True):
        check_against(t, system.ubm, "UBM")
        moment[:, :d] = (t.first - t.counts[:, None] * models.ubm.offsets) / t.frames
    scores = moments.reshape(len(tests), -1) @ columns.reshape(-1, columns.shape[2])
    return np.asarray(scores[:, 1:] - scores[:, :1], dtype=np.float64)


@dataclass(frozen=True)
class Deviation:
    """How far an approximation was from the exact ratios: the `largest` difference in nats per frame, and over what."""

    largest: float
    tests: int
    speakers: int


def deviation(
    scorer: Scorer,
    system: System,
    models: SpeakerModels,
    tests: Iterable[ArrayLike],
    *,
    sample: int = 20,
    seed: int = 0,
) -> Deviation:
    """Return the largest deviation of a scorer from the exact log-likelihood ratio.

    Parameters
    ----------
    scorer : callable
        `top_ratios`, `linear_ratios`, or any function of (system, models, features).
    system : System
    models : SpeakerModels
    tests : iterable of array_like (N, D)
        Features of tests.
    sample : int
        How many of them are scored both ways, drawn by `seed`, each against all speakers.
    seed : int

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System, linear_ratios, speaker_models
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> models = speaker_models(system, {"ann": system.ubm.statistics([[1.0]] * 4)})
    >>> round(deviation(linear_ratios, system, models, [[[2.0], [4.0]]]).largest, 3)  # 0.5 * 0.5 / 2
    0.125
    """
    given = list(tests)
    if not given:
        refuse("tests", "be at least one", "none")
    size = min(integer(sample, "sample", minimum=1), len(given))
    chosen = np.sort(np.random.default_rng(seed).choice(len(given), size=size, replace=False))
    differences = [
        np.abs(scorer(system, models, given[i]) - log_likelihood_ratios(system, models, given[i])).max() for i in chosen
    ]
    return Deviation(float(max(differences)), size, len(models.names))
