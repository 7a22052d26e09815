"""Rows, or whole utterances: what the estimators accept as data.

Rows are one matrix (N, D). Utterances are either one matrix with their `lengths`, as hmmlearn has it, or a list of
matrices (n_i, D), which scikit-learn's splitters cut by itself. Symbols: N frames, D dimensions, U utterances.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, numeric, refuse


def joined(x: Any, lengths: ArrayLike | None = None) -> tuple[Any, Array | None]:
    """Return the rows of all utterances and how many each has; lengths None where every row stands for itself.

    Parameters
    ----------
    x : array_like (N, D), or sequence of U array_like (n_i, D)
    lengths : array_like of int, shape (U,), optional
        Rows of each utterance, in order; their sum is N. Not with a sequence of matrices.

    Raises
    ------
    InvalidInput
        If lengths do not fit, an utterance has no rows, or the matrices have different numbers of features.
    """
    if _is_list(x):
        if lengths is not None:
            refuse("lengths", "be given with one matrix of rows", "a list of matrices too", "Leave lengths out.")
        matrices = [numeric(m, f"utterance {i}") for i, m in enumerate(x)]
        for i, m in enumerate(matrices):
            if m.ndim != 2 or not len(m) or m.shape[1] != matrices[0].shape[1]:
                rule = f"be a matrix of at least one row and {matrices[0].shape[1]} features, as the first has"
                refuse(f"utterance {i}", rule, f"shape {m.shape}")
        return np.concatenate(matrices), np.array([len(m) for m in matrices])
    if lengths is None:
        return x, None
    n = np.asarray(lengths)
    if n.ndim != 1 or n.dtype.kind not in "iu" or not len(n) or n.min() < 1:
        refuse("lengths", "be whole numbers of at least 1, one for each utterance", repr(lengths)[:80])
    if n.sum() != len(x):
        refuse("lengths", f"have the sum {len(x)}, as there are rows", int(n.sum()))
    return x, n.astype(np.int64)


def summed(values: Array, lengths: Array | None) -> Array:
    """Return the sums (U, ...) of the rows of each utterance, or the values (N, ...) where each row is its own."""
    if lengths is None:
        return values
    return np.add.reduceat(values, np.cumsum(lengths) - lengths, axis=0)


def _is_list(x: Any) -> bool:
    """Whether this is a sequence of matrices."""
    listed = x.dtype == object and x.ndim == 1 if isinstance(x, np.ndarray) else isinstance(x, (list, tuple))
    return listed and len(x) > 0 and np.ndim(x[0]) == 2
