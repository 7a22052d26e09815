"""GMMClassifier: one Gaussian mixture for each class, the likeliest class wins.

Symbols: N rows, U utterances, K components, D dimensions, C classes.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from speechgmm.checks import Array, choice, finite, numeric, refuse
from speechgmm.classification.mixtures import MixtureSettings, class_log_densities, train_mixtures
from speechgmm.classification.utterances import joined, summed


@dataclass(eq=False, repr=False)
class GMMClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One mixture for each class, over rows or over whole utterances.

    With ``lengths``, or with a list of matrices, each label is that of a whole utterance: the log-likelihoods of its
    rows are added, as if they were independent. Frames of sound that overlap are not, so the probabilities of long
    utterances are too sure of themselves; `AudioClassifier` calibrates them. One component and ``floor=0`` is
    quadratic discriminant analysis with diagonal covariances.

    Training has no random part: order of rows and classes changes rounding and nothing else.

    Parameters
    ----------
    n_components : int
        K. A class with fewer than 5 rows for each component gets fewer: weighted rows, so that weights with a small
        sum, as boosting gives, leave one.
    relevance : float, optional
        None trains each class alone. A number adapts each by MAP from a background model of all classes that counts
        for so many rows in each component (Reynolds, Quatieri and Dunn 2000): better where classes are many or small.
        `train_classifier` takes 4.
    update : str
        What adapts: any of "w" (weights), "m" (means), "c" (covariances).
    priors : "equal" or array_like (C,), optional
        Of the classes in sorted order. None takes their shares of the utterances (or rows), weighted.
    floor : float
        The least variance, as a share of the variance of all rows in that feature. Variances that adapt ("c" in
        `update`) are not held to it, but to a thousandth of those of the background.
    tol : float
        EM ends when the log-likelihood rises by less, in nats per row.
    max_iter : int
        The most EM iterations after the last split, or of adaptation.
    n_threads : int, optional
        Default: all cores. Results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray (C,)
    mixtures_ : tuple of GMM
        One for each class.
    background_ : GMM or None
    class_log_prior_ : ndarray (C,)
    n_features_in_ : int
    n_iter_ : int
        The most EM iterations that a class took.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [0.2], [0.1], [3.0], [3.1], [2.9]])
    >>> GMMClassifier(1).fit(x, ["low", "low", "low", "high", "high", "high"]).predict([[0.5], [2.5]])
    array(['low', 'high'], dtype='<U4')

    Two utterances, of four rows and of two:

    >>> GMMClassifier(1).fit(x, ["a", "b"], lengths=[4, 2]).predict(x, lengths=[4, 2])
    array(['a', 'b'], dtype='<U1')
    """

    n_components: int = 8
    _: KW_ONLY
    relevance: float | None = None
    update: str = "wm"
    priors: Any = None
    floor: float = 0.01
    tol: float = 1e-3
    max_iter: int = 10
    n_threads: int | None = None

    def fit(
        self, X: Any, y: ArrayLike, *, lengths: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train a mixture for each class.

        Parameters
        ----------
        X : array_like (N, D), or list of U matrices (n_i, D)
        y : array_like, shape (N,) or (U,)
            The label of each row, or of each utterance.
        lengths : array_like of int, shape (U,), optional
            Rows of each utterance of one matrix.
        sample_weight : array_like, shape (N,) or (U,), optional
            How often each row or utterance counts: 2 is the same as twice in the data, 0 as left out.

        Raises
        ------
        InvalidInput
            If there are fewer than two classes, or an argument does not fit.
        """
        settings = MixtureSettings(
            n_components=self.n_components,
            relevance=self.relevance,
            update=self.update,
            floor=self.floor,
            tolerance=self.tol,
            max_iterations=self.max_iter,
        )
        x, y, n = self._checked(X, y, lengths)
        weights = _weights(sample_weight, len(y))
        counted = weights > 0
        self.classes_, codes = np.unique(y[counted], return_inverse=True)
        if len(self.classes_) < 2:
            refuse("y", "hold at least two classes", f"{len(self.classes_)} class", "One alone is never confused.")
        self.class_log_prior_ = _log_priors(self.priors, np.bincount(codes, weights[counted]))
        if n is not None:
            y, weights = np.repeat(y, n), np.repeat(weights, n)
        members = [np.flatnonzero((y == c) & (weights > 0)) for c in self.classes_]
        each = None if sample_weight is None else [weights[i] for i in members]
        made = train_mixtures([x[i] for i in members], settings, weights=each, n_threads=self.n_threads)
        self.mixtures_, self.background_, self.n_iter_ = made.mixtures, made.background, made.iterations
        return self

    def decision_function(self, X: Any, *, lengths: ArrayLike | None = None) -> Array:
        """Return log(prior * likelihood), shape (N or U, C); of two classes the lead of the second, shape (N or U,)."""
        joint = self._log_joint(X, lengths)
        if len(self.classes_) == 2:
            return np.asarray(joint[:, 1] - joint[:, 0])
        return joint

    def predict(self, X: Any, *, lengths: ArrayLike | None = None) -> Array:
        """Return the likeliest class of each row or utterance."""
        likeliest = self._log_joint(X, lengths).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def predict_log_proba(self, X: Any, *, lengths: ArrayLike | None = None) -> Array:
        """Return the log posterior of each class, shape (N or U, C)."""
        from scipy.special import log_softmax

        return np.asarray(log_softmax(self._log_joint(X, lengths), axis=1))

    def predict_proba(self, X: Any, *, lengths: ArrayLike | None = None) -> Array:
        """Return the posterior of each class, shape (N or U, C)."""
        return np.exp(self.predict_log_proba(X, lengths=lengths))

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, lengths: ArrayLike | None = None
    ) -> float:
        """Return the share of rows or utterances whose class is found."""
        right = self.predict(X, lengths=lengths) == column_or_1d(y)
        return float(np.average(right, weights=_weights(sample_weight, len(right))))

    def _checked(self, X: Any, y: ArrayLike, lengths: ArrayLike | None) -> tuple[Array, Array, Array | None]:
        """Return rows (N, D), labels, and the lengths of utterances if labels are theirs."""
        rows, n = joined(X, lengths)
        if n is None:
            x, labels = validate_data(self, rows, y, dtype=[np.float64, np.float32])
        else:
            x, labels = validate_data(self, rows, dtype=[np.float64, np.float32]), column_or_1d(y)
            check_consistent_length(n, labels)
        check_classification_targets(labels)
        return x, labels, n

    def _log_joint(self, X: Any, lengths: ArrayLike | None) -> Array:
        """Return log(prior * likelihood), shape (N or U, C)."""
        check_is_fitted(self)
        rows, n = joined(X, lengths)
        x = validate_data(self, rows, dtype=[np.float64, np.float32], reset=False)
        return summed(class_log_densities(self.mixtures_, x, n_threads=self.n_threads), n) + self.class_log_prior_


def _weights(given: ArrayLike | None, n: int) -> Array:
    if given is None:
        return np.ones(n)
    w = finite(numeric(given, "sample_weight"), "sample_weight").astype(np.float64)
    if w.shape != (n,) or w.min() < 0 or w.sum() <= 0:
        rule = f"be {n} numbers of at least 0, one for each label, and not all zero"
        refuse("sample_weight", rule, f"shape {w.shape}, minimum {w.min(initial=0.0):g}, sum {w.sum():g}")
    return w


def _log_priors(given: Any, shares: Array) -> Array:
    advice = "Give 'equal', None for the shares in the data, or a number for each class in sorted order."
    if given is None:
        p = shares / shares.sum()
    elif isinstance(given, str):
        choice(given, "priors", ["equal"])
        p = np.full(len(shares), 1 / len(shares))
    else:
        p = finite(numeric(given, "priors"), "priors")
    if p.shape != shares.shape or p.min() <= 0 or abs(p.sum() - 1) > 1e-6:
        found = f"shape {p.shape}, minimum {p.min(initial=0.0):g}, sum {p.sum():g}"
        refuse("priors", f"be {len(shares)} numbers above 0 with sum 1", found, advice)
    return np.asarray(np.log(p))
