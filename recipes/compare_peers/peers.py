"""What others do: the copied tutorial, a background model by scikit-learn, and by bob.learn.em."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import scale

import speechgmm
from speechgmm.features import Corpus, read

RATE, TUTORIAL, COMPONENTS = 8000, 16, 256
RELEVANCE = 4.0
Array = NDArray[np.float64]
Extract = Callable[[str], Array]
Score = Callable[[Corpus], Array]
"""From a corpus to the scores (T, S) of its tests against the speakers whom it enrolls."""


def cepstra(path: str, *, deltas: bool = False, scaled: bool = False) -> Array:
    """Return 20 MFCC of every frame, 25 ms every 10 ms, with deltas and scaled if wanted, as tutorials have them."""
    signal = read(path).samples.astype(np.float64)
    x = librosa.feature.mfcc(y=signal, sr=RATE, n_mfcc=20, n_fft=256, win_length=200, hop_length=80)
    x = np.vstack([x, librosa.feature.delta(x)]) if deltas else x
    return scale(x.T) if scaled else x.T


def ours(path: str) -> Array:
    """Return mel cepstra by this package, of speech frames alone."""
    return speechgmm.MFCC(sample_rate=RATE).from_file(path).astype(np.float64)


def _tests(corpus: Corpus, extract: Extract) -> tuple[Array, Array]:
    """Return the frames of all tests, and where each begins."""
    every = [extract(r.path) for r in corpus.where(split="test")]
    return np.concatenate(every), np.cumsum([0, *(len(x) for x in every[:-1])])


def _means(densities: Iterable[Array], starts: Array, frames: int) -> Array:
    """Return the mean of log densities, one array for each speaker, over the frames of each test: (T, S)."""
    counts = np.diff([*starts, frames])
    return np.stack([np.add.reduceat(d, starts) / counts for d in densities], axis=1)


def _enrolled(corpus: Corpus, extract: Extract) -> list[Array]:
    enroll = corpus.where(split="enroll")
    return [np.concatenate([extract(r.path) for r in enroll.where(speaker=s)]) for s in enroll.speakers]


def tutorial(extract: Extract) -> Score:
    """Return the scores of one mixture for each speaker, and no background model."""

    def score(corpus: Corpus) -> Array:
        x, starts = _tests(corpus, extract)
        how: dict[str, Any] = {"covariance_type": "diag", "max_iter": 200, "n_init": 3, "random_state": 0}
        fitted = (GaussianMixture(TUTORIAL, **how).fit(frames) for frames in _enrolled(corpus, extract))
        return _means((g.score_samples(x) for g in fitted), starts, len(x))

    return score


def scikit_learn(corpus: Corpus) -> Array:
    """Return log-likelihood ratios of means adapted by hand from a background mixture of scikit-learn's."""
    background = np.concatenate([ours(r.path) for r in corpus.where(split="ubm")])
    ubm = GaussianMixture(COMPONENTS, covariance_type="diag", max_iter=20, tol=2e-3, reg_covar=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends after 20 iterations, as the others do
        ubm.fit(background)
    x, starts = _tests(corpus, ours)
    means, plain, found = ubm.means_.copy(), ubm.score_samples(x), []
    for frames in _enrolled(corpus, ours):
        posteriors = ubm.predict_proba(frames)
        counts = posteriors.sum(axis=0)[:, None]
        ubm.means_ = (posteriors.T @ frames + RELEVANCE * means) / (counts + RELEVANCE)
        found.append(ubm.score_samples(x) - plain)
        ubm.means_ = means
    return _means(found, starts, len(x))


def bob(corpus: Corpus) -> Array:
    """Return bob.learn.em's linear scores of means that it adapted from a background mixture of its own."""
    from bob.learn.em import GMMMachine, linear_scoring

    background = np.concatenate([ours(r.path) for r in corpus.where(split="ubm")])
    how: dict[str, Any] = {"max_fitting_steps": 20, "convergence_threshold": 2e-3, "random_state": 0}
    ubm = GMMMachine(COMPONENTS, update_variances=True, update_weights=True, **how)
    ubm.fit(background)
    speakers = []
    for frames in _enrolled(corpus, ours):
        one = GMMMachine(COMPONENTS, trainer="map", ubm=ubm, map_relevance_factor=RELEVANCE, max_fitting_steps=1)
        speakers.append(one.fit(frames))
    tests = [ubm.transform([ours(r.path)])[0] for r in corpus.where(split="test")]
    return np.array(linear_scoring(speakers, ubm, tests, frame_length_normalization=True)).T
