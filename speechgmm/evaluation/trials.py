"""Trials and scores as tables: validate, join.

A trial is a pair (speaker, test): is the test spoken by the enrolled speaker? Its label, `target`, is 1 for yes,
0 for no, -1 where nobody knows. T stands for the number of rows of a table; each pair occurs once in it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.names import Index, index_names, repeated

__all__ = ["Scores", "Trials", "check_labels", "columns", "join", "name_pair", "rows_of"]


_TEXT = ("speaker", "test", "test_speaker", "session")

Names = NDArray[np.str_]
Labels = NDArray[np.int8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trials:
    """A list of trials; lists are accepted and turned into read-only arrays.

    Parameters
    ----------
    speaker, test : array of str, shape (T,)
        The enrolled speaker and the test of each trial, neither of them empty.
    target : array of int8, shape (T,)
        1 target, 0 nontarget, -1 not known.

    Raises
    ------
    InvalidInput
        For columns of different lengths, no trial, a repeated pair, an empty name or another label.

    Examples
    --------
    >>> len(Trials(["ann", "bob"], ["a.wav", "a.wav"], [1, 0]))
    2
    """

    speaker: Names
    test: Names
    target: Labels

    def __post_init__(self) -> None:
        _freeze(self, "trials")

    @property
    def speakers(self) -> Index:
        """The different enrolled speakers, and which one each row is about."""
        found: Index = vars(self)["speaker"]
        return found

    @property
    def tests(self) -> Index:
        """The different tests, and which one each row is about."""
        found: Index = vars(self)["test"]
        return found

    def __len__(self) -> int:
        """Return the number of trials, T."""
        return len(self.target)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scored trials; lists are accepted and turned into read-only arrays.

    Parameters
    ----------
    speaker, test : array of str, shape (T,)
        The enrolled speaker and the test of each trial, neither of them empty.
    score : array of float64, shape (T,)
        Higher for targets, finite. For `cllr` and `actual_dcf` a log-likelihood ratio in nats.
    target : array of int8, shape (T,)
        1 target, 0 nontarget, -1 not known.
    test_speaker, session : array of str, shape (T,), optional
        Who really speaks in the test, and the session it was recorded in; empty where not known.
    enroll_seconds, test_seconds : array of float64, shape (T,), optional
        The length in seconds of the enrolled and of the tested speech; NaN where not known.

    Raises
    ------
    InvalidInput
        For columns of different lengths, no row, a repeated pair, an empty name, a score that is not
        finite, or another label.

    Examples
    --------
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])
    >>> scores.score[scores.target == 1]
    array([1.5])
    """

    speaker: Names
    test: Names
    score: Floats
    target: Labels
    test_speaker: Names | None = None
    session: Names | None = None
    enroll_seconds: Floats | None = None
    test_seconds: Floats | None = None

    def __post_init__(self) -> None:
        _freeze(self, "scores")

    @property
    def speakers(self) -> Index:
        """The different enrolled speakers, and which one each row is about."""
        found: Index = vars(self)["speaker"]
        return found

    @property
    def tests(self) -> Index:
        """The different tests, and which one each row is about."""
        found: Index = vars(self)["test"]
        return found

    def __len__(self) -> int:
        """Return the number of scored trials, T."""
        return len(self.target)


class _Text:
    """A column of names, given as an array, a list or an `Index`: kept as an `Index`, seen as an array of str.

    Ten million names in full take half a gigabyte; they are written out when first asked for.
    """

    def __init__(self, name: str) -> None:
        self._name, self._full = name, f"_{name}"

    def __get__(self, table: Any, owner: type) -> Any:
        held = vars(table)
        if self._full not in held:
            kept = held[self._name]
            held[self._full] = kept and kept.column()
            if kept:
                held[self._full].setflags(write=False)
        return held[self._full]

    def __set__(self, table: Any, value: Any) -> None:
        vars(table)[self._name] = value  # a frozen dataclass sets in its constructor alone


for _table in (Trials, Scores):
    for _name in _TEXT:
        if _name in _table.__annotations__:
            setattr(_table, _name, _Text(_name))


def join(scores: Scores, trials: Trials) -> Scores:
    """Return the scores of exactly these trials, in their order and with their labels, whatever labels the scores had.

    Raises
    ------
    InvalidInput
        If a trial has no score.

    Examples
    --------
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [-1, -1])
    >>> join(scores, Trials(["bob"], ["a.wav"], [0])).target
    array([0], dtype=int8)
    """
    rows = rows_of(scores, trials, "scores", "hold every trial")
    taken = {name: column[rows] for name, column in columns(scores).items()}
    taken = {name: part.held() if isinstance(part, Index) else part for name, part in taken.items()}
    return Scores(**{**taken, "target": trials.target})


def rows_of(scores: Scores, trials: Trials | Scores, what: str, rule: str) -> NDArray[np.int64]:
    """Return the rows of a table that score these trials; refuse `what` must `rule` if one is missing."""
    speaker, test = (_places(*pair) for pair in ((trials.speakers, scores.speakers), (trials.tests, scores.tests)))
    size = len(scores.tests.names)
    keys = scores.speakers.codes.astype(np.int64) * size + scores.tests.codes
    wanted = np.where((speaker >= 0) & (test >= 0), speaker * size + test, -1)
    order = np.argsort(keys)
    rows: NDArray[np.int64] = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    missing = np.flatnonzero(keys[rows] != wanted)
    if len(missing):
        first = name_pair(trials, int(missing[0]))
        found = f"{len(missing)} of {len(trials)} trials without a score, the first {first}"
        checks.refuse(what, rule, found, "Score these trials too, or take them off the list.")
    return rows


def columns(scores: Scores) -> dict[str, Any]:
    """Return the columns that are there, in the order of the file format; names as an `Index`."""
    return {f.name: vars(scores)[f.name] for f in fields(Scores) if vars(scores)[f.name] is not None}


def name_pair(table: Trials | Scores, row: int) -> str:
    """Return the names of a row in words."""
    speaker, test = (index.names[index.codes[row]] for index in (table.speakers, table.tests))
    return f"speaker '{speaker}' with test '{test}'"


def check_labels(scores: Scores) -> None:
    """Refuse scores of which a label is not known."""
    unknown = scores.target == -1
    if unknown.any():
        first = int(np.argmax(unknown))
        found = f"{int(unknown.sum())} of {len(scores)} trials without a label, the first {name_pair(scores, first)}"
        checks.refuse("target", "be 1 or 0 in every trial", found, "Take the labels from a list of trials with join.")


# Columns, in memory and in files


def _freeze(table: Trials | Scores, what: str) -> None:
    """Validate the columns of a table and put read-only ones in their place."""
    held = vars(table)
    rows = len(held["speaker"]) if isinstance(held["speaker"], Index) else np.size(held["speaker"])
    if rows == 0:
        checks.refuse(what, "hold at least one row", "none")
    for field in fields(table):
        values = held[field.name]
        if values is None and field.default is None:
            continue
        column = values if isinstance(values, Index) else _column(values, field.name)
        shape = (len(column),) if isinstance(column, Index) else column.shape
        if shape != (rows,):
            rule = f"be one-dimensional, of the same length as speaker ({rows})"
            checks.refuse(field.name, rule, f"shape {shape}")
        if isinstance(column, Index):
            continue
        if field.name in _TEXT:
            held[field.name] = index_names(column)
        else:
            column.setflags(write=False)
            held[field.name] = column
    again = repeated(table.speakers, table.tests)
    if again:
        found = f"{name_pair(table, again[1])} in rows {again[0]} and {again[1]}"
        checks.refuse(what, "hold each pair of speaker and test once", found)


def _places(wanted: Index, among: Index) -> NDArray[np.int64]:
    """Return where the name of each row stands among others, -1 where it does not."""
    place = np.searchsorted(among.names, wanted.names)
    place[place == len(among.names)] = 0
    return np.where(among.names[place] == wanted.names, place, -1)[wanted.codes]


def _column(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return one validated column in the type that its name calls for: a copy, unless nobody can change it."""
    if name == "target":
        labels = np.asarray(values)
        rule = "be 1 (target), 0 (nontarget) or -1 (not known), as whole numbers"
        if labels.dtype.kind not in "iub":
            checks.refuse(name, rule, f"an array of type {labels.dtype}")
        _check_every(np.isin(labels, (1, 0, -1)), labels, name, rule)
        return _own(values, labels, np.int8)
    if name == "score":
        return _own(values, checks.finite(checks.numeric(values, name), name), np.float64)
    if name.endswith("_seconds"):
        seconds = checks.numeric(values, name)
        good = np.isnan(seconds) | ((seconds >= 0) & (seconds < np.inf))
        _check_every(good, seconds, name, "be finite and at least 0 s, or NaN where not known")
        return _own(values, seconds, np.float64)
    words = np.asarray(values)
    if words.dtype.kind in "OT" and all(isinstance(word, str) for word in words.flat):
        words = words.astype(str)
    if words.dtype.kind != "U":
        checks.refuse(name, "hold text", f"an array of type {words.dtype}")
    if name in ("speaker", "test"):
        _check_every(words != "", words, name, "hold no empty names")
    return words


def _own(given: ArrayLike, column: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """Return the column itself if it is frozen memory of its own, a copy else."""
    kept = column is given and not column.flags.writeable and column.base is None
    return column.astype(kind, copy=not kept)


def _check_every(good: NDArray[np.bool_], values: NDArray[Any], name: str, rule: str) -> None:
    """Refuse a column with a bad entry, and show the first one."""
    if not good.all():
        first = int(np.argmin(good))
        checks.refuse(name, rule, f"{values.ravel()[first].item()!r} in row {first}")
