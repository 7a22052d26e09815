"""Which label was taken for which: a table of counts, C labels by C labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.checks import number_of
from speechgmm.looks import MOST_ROWS, Look, Shown, share, some_rows


@dataclass(frozen=True, eq=False)
class ConfusionMatrix(Shown):
    """How often each label was taken for each; made by `confusion_matrix`.

    Parameters
    ----------
    labels : tuple of str
        C different labels, in the order of rows and columns.
    counts : array of int, shape (C, C)
        Entry (i, j) counts what is labels[i] and was taken for labels[j].

    Raises
    ------
    InvalidInput
        For repeated labels, or counts that are not whole numbers from 0 up, with a row and a column for each label.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        labels = _names(self.labels, "labels")
        if repeated := [name for i, name in enumerate(labels) if name in labels[:i]]:
            checks.refuse("labels", "differ from each other", f"{repeated[0]!r} twice")
        counts = np.array(self.counts)
        if counts.shape != (len(labels),) * 2:
            checks.refuse("counts", f"have a row and a column for each of {len(labels)} labels", f"{counts.shape}")
        if counts.dtype.kind not in "iu" or (counts < 0).any():
            checks.refuse("counts", "be whole numbers, at least 0", f"{counts.dtype} from {counts.min()}")
        checks.hold(self, labels=labels, counts=counts.astype(np.int64))

    def _look(self) -> Look:
        words = [number_of(len(self.labels), "label"), number_of(self.total, "decision")]
        words += [f"{share(self.accuracy)} right"] if self.total else []
        if len(self.labels) <= MOST_ROWS:
            names = zip(self.labels, self.counts.tolist(), strict=True)
            header, rows = ("truth", *(f">{name}" for name in self.labels)), [(name, *row) for name, row in names]
            return Look(tuple(words), tables=(some_rows("", header, rows),))
        mistakes = some_rows("the most frequent mistakes", ("truth", "taken for", ">times"), self.confusions())
        return Look(tuple(words), tables=(mistakes,))

    @property
    def total(self) -> int:
        """How many decisions there are."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share of all decisions that are right; NaN for none."""
        return float(np.trace(self.counts) / self.total) if self.total else float("nan")

    @property
    def rates(self) -> NDArray[np.float64]:
        """The counts over the sums of their rows, (C, C): the shares of each true label; 0 in rows without any."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of each label that was taken for itself, (C,); NaN for a label that never was the truth."""
        present = self.counts.sum(axis=1) > 0
        return np.where(present, np.diag(self.rates), np.nan)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the labels that occur; NaN for no decisions."""
        return float(np.nanmean(self.recall)) if self.total else float("nan")

    def confusions(self, limit: int | None = None) -> tuple[tuple[str, str, int], ...]:
        """Return the mistakes (truth, decision, how many), the most frequent first.

        Parameters
        ----------
        limit : int, optional
            At most so many; all by default.

        Examples
        --------
        >>> confusion_matrix(["a", "a", "b", "b"], ["a", "b", "a", "a"]).confusions(1)
        (('b', 'a', 2),)
        """
        wrong = self.counts * (1 - np.eye(len(self.labels), dtype=np.int64))
        order = np.argsort(-wrong, axis=None, kind="stable")[: int((wrong > 0).sum())][:limit]
        places = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return tuple((self.labels[i], self.labels[j], int(wrong[i, j])) for i, j in places)


def confusion_matrix(truth: ArrayLike, decisions: ArrayLike, *, labels: Sequence[str] | None = None) -> ConfusionMatrix:
    """Count which label was taken for which.

    Parameters
    ----------
    truth, decisions : array_like of str, shape (N,)
        What each one is, and what it was taken for. A decision may be a label that is never the truth ("unknown").
    labels : sequence of str, optional
        All labels in the order wanted. Default: those that occur, sorted.

    Raises
    ------
    InvalidInput
        For arrays of different lengths or of anything but text, for none at all, and for a label that is not in
        `labels`.

    Examples
    --------
    >>> confusion_matrix(["cat", "dog", "dog"], ["cat", "dog", "cat"]).counts
    array([[1, 0],
           [1, 1]])
    """
    true, told = _names(truth, "truth"), _names(decisions, "decisions")
    if len(true) != len(told):
        checks.refuse("decisions", f"be as many as there are truths ({len(true)})", len(told))
    if not true:
        checks.refuse("truth", "hold at least one label", "none")
    order = _names(sorted({*true, *told}) if labels is None else labels, "labels")
    place = {name: i for i, name in enumerate(order)}
    for what, names in (("truth", true), ("decisions", told)):
        if strange := [name for name in names if name not in place]:
            checks.refuse(what, "hold only the labels given", repr(strange[0]), f"Known are {', '.join(order[:20])}.")
    counts = np.zeros((len(order), len(order)), dtype=np.int64)
    np.add.at(counts, ([place[n] for n in true], [place[n] for n in told]), 1)
    return ConfusionMatrix(order, counts)


def _names(values: ArrayLike | Sequence[str], what: str) -> tuple[str, ...]:
    """Return a tuple of Python strings, or refuse what is none."""
    names = np.asarray(values, dtype=object)
    if names.ndim != 1 or not all(isinstance(name, str) for name in names):
        bad = next((name for name in names.flat if not isinstance(name, str)), names.shape)
        checks.refuse(what, "be a one-dimensional array of text", repr(bad))
    return tuple(str(name) for name in names)
