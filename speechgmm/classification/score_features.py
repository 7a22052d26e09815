"""Feature matrices against saved models: log-likelihoods of frames, segments and whole files.

Symbols: N frames, D dimensions, M models, U files.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import storage
from speechgmm.checks import Array, integer, matrix, refuse
from speechgmm.classification.classifier import load_classifier
from speechgmm.classification.mixtures import class_log_densities
from speechgmm.classification.utterances import joined, summed
from speechgmm.errors import IncompatibleModel
from speechgmm.looks import Shown
from speechgmm.mixture import GMM
from speechgmm.mixture.covariance import COVARIANCES


@dataclass(frozen=True, eq=False)
class FeatureScores(Shown):
    """Log-likelihoods of U files under M models, in nats.

    Parameters
    ----------
    models : tuple of str
    frames : ndarray, shape (N, M)
        The log density of every frame, file after file.
    lengths : ndarray of int, shape (U,)
        Frames of each file.
    """

    models: tuple[str, ...]
    frames: Array
    lengths: Array

    @property
    def files(self) -> Array:
        """The sum over the frames of each file, shape (U, M); divide by `lengths` for nats per frame."""
        return summed(self.frames, self.lengths)

    def segments(self, length: int, file: int = 0) -> Array:
        """Return the sums over segments of so many frames of one file, the last one shorter, shape (S, M).

        Raises
        ------
        InvalidInput
            If the length is below 1, or there is no such file.
        """
        n = integer(length, "length", minimum=1)
        i = integer(file, "file", minimum=0, maximum=len(self.lengths) - 1)
        start, frames = int(self.lengths[:i].sum()), int(self.lengths[i])
        parts = np.diff(np.append(np.arange(0, frames, n), frames))
        return summed(self.frames[start : start + frames], parts)


def score_features(
    features: ArrayLike | Sequence[ArrayLike],
    models: Mapping[str, GMM | str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    lengths: ArrayLike | None = None,
) -> FeatureScores:
    """Score features against models.

    Parameters
    ----------
    features : array_like (N, D), or sequence of U matrices
        One matrix without lengths is one file.
    models : mapping of names to GMM or path, or a path
        Mixtures, files of one mixture each (`speechgmm.storage.save`), or the file of an `AudioClassifier`, which
        names its own.
    lengths : array_like of int, shape (U,), optional

    Raises
    ------
    InvalidInput
        If there are no models, a file holds none, or features do not fit.
    IncompatibleModel
        If a classifier has no mixtures (back end svm), or models are of different numbers of features.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> model = GMM(np.ones(1), np.zeros((1, 1)), Diagonal(np.ones((1, 1))))
    >>> score_features([[0.0], [1.0], [2.0]], {"normal": model}).segments(2).round(3)
    array([[-2.338],
           [-2.919]])
    """
    found = _loaded(models)
    if not found:
        refuse("models", "be at least one", "none")
    x, n = joined(features, lengths)
    dimensions = {m.n_dimensions for m in found.values()}
    if len(dimensions) > 1:
        refuse(
            "models",
            "be of the same number of features",
            " and ".join(map(str, sorted(dimensions))),
            error=IncompatibleModel,
        )
    x = matrix(x, "features", dimensions=dimensions.pop())
    densities = class_log_densities(list(found.values()), x, n_threads=1)
    return FeatureScores(tuple(found), densities, np.array([len(x)]) if n is None else n)


def _loaded(models: Any) -> dict[str, GMM]:
    if isinstance(models, Mapping):
        return {n: m if isinstance(m, GMM) else storage.load(m, GMM, *COVARIANCES.values()) for n, m in models.items()}
    classifier = load_classifier(models)
    if not classifier.mixtures:
        rule, advice = "hold a mixture for each class", "Train one with the back end gmm."
        refuse(str(models), rule, "a machine in their place", advice, error=IncompatibleModel)
    return dict(zip(classifier.labels, classifier.mixtures, strict=True))
