"""MFCCTransformer: sounds -> matrices of features, or one row of statistics for each, inside scikit-learn pipelines.

Symbols: N frames, D dimensions, U sounds.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from speechgmm.checks import Array, choice
from speechgmm.features import Extracted, FrontEnd, Sound, extract_all, preset_for
from speechgmm.features.sounds import listed


@dataclass(eq=False, repr=False)
class MFCCTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of sounds by a front end.

    Parameters
    ----------
    frontend : FrontEnd or str
        Or the name of a preset ("speech", "word", "sound"), at the lowest rate of the sounds that it is fitted to,
        from 8 kHz up. In a grid search, give a list of front ends.
    output : str
        "matrices": a list of U matrices (N, D), for `GMMClassifier`. "statistics": one row for each sound, the mean and
        the deviation of each feature over its frames, shape (U, 2 D), for any model of scikit-learn.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.

    Attributes
    ----------
    frontend_ : FrontEnd

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> pipeline = make_pipeline(MFCCTransformer("sound", output="statistics"), SVC())
    """

    frontend: FrontEnd | str = "speech"
    _: KW_ONLY
    output: str = "matrices"
    n_threads: int | None = None

    def fit(self, X: Sequence[Sound], y: Any = None) -> Self:
        """Choose the front end's rate; nothing is learned.

        Parameters
        ----------
        X : sequence of paths, signals or recordings
        y : ignored

        Raises
        ------
        InvalidInput
            If a setting is out of range, or no sound can be opened.
        """
        choice(self.output, "output", ("matrices", "statistics"))
        sounds = listed(X)
        self.frontend_ = preset_for(sounds, self.frontend) if isinstance(self.frontend, str) else self.frontend
        return self

    def transform(self, X: Sequence[Sound]) -> list[Array] | Array:
        """Return matrices, or rows of statistics; the first bad sound is an error.

        Raises
        ------
        SpeechGMMError
            What the front end refuses.
        """
        check_is_fitted(self)
        matrices = list(extract_all(self.frontend_, listed(X), Extracted.usable, n_threads=self.n_threads))
        if self.output == "matrices":
            return matrices
        wide = (m.astype(np.float64) for m in matrices)
        return np.stack([np.concatenate([m.mean(axis=0), m.std(axis=0)]) for m in wide])

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return names of the columns, of statistics or of the matrices."""
        check_is_fitted(self)
        kind = getattr(self.frontend_, "kind", "feature")
        names = [f"{kind}{i}" for i in range(self.frontend_.n_dimensions)]
        if self.output == "statistics":
            names = [f"{name}_{what}" for what in ("mean", "deviation") for name in names]
        return np.array(names, dtype=object)
