"""Trials and scores as tables: validate, join.

A trial is a pair (speaker, test): is the test spoken by the enrolled speaker? Its label, `target`, is 1 for yes,
0 for no, -1 where nobody knows. T stands for the number of rows of a table; each pair occurs once in it. A trial whose
`attack` names a kind of attack is none of these, whatever its label: `bona_fide` gives a table without them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.name_index import NameIndex, Names, check_no_nul, index_names, repeated, visible_names

_MARKS = re.compile(r"[\s_-]")
"""What may stand between words that say that a trial is no attack."""

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]
Seen = TypeVar("Seen")
"""What a column is seen as from outside."""


class _Column(Generic[Seen]):
    """A column of a table: checked when the table is made, read-only from then on.

    It is a descriptor, which dataclasses take as the declaration of a field. Names are kept as a `NameIndex` and
    written out when first asked for: ten million of them take half a gigabyte.

    Parameters
    ----------
    check : callable
        Given what the caller gave and the name of the column, it returns an array or a `NameIndex`.
    optional : bool
        Whether a table may be without this column, which then is None.
    """

    def __init__(self, check: Callable[[Any, str], Any], *, optional: bool = False) -> None:
        self._check, self._optional = check, optional

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, table: None, owner: type) -> Any: ...
    @overload
    def __get__(self, table: object, owner: type) -> Seen: ...
    def __get__(self, table: object | None, owner: type) -> Any:
        if table is not None:
            kept = vars(table)[self._name]
            return kept.full if isinstance(kept, NameIndex) else kept
        if self._optional:  # a dataclass asks for the default of the field in this way
            return None
        raise AttributeError(self._name)

    def __set__(self, table: object, given: ArrayLike | NameIndex | None) -> None:
        vars(table)[self._name] = None if given is None and self._optional else self._check(given, self._name)


def _names(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return text as an index, or as it is if it has a shape that no column has."""
    if isinstance(given, NameIndex):
        return given
    if isinstance(given, (list, tuple)):
        check_no_nul(given)
    words = np.asarray(given)
    if words.dtype.kind == "O":
        check_no_nul(words.flat)
    if not words.size or (words.dtype.kind in "OT" and all(isinstance(word, str) for word in words.flat)):
        words = words.astype(str)
    if words.dtype.kind != "U" or not words.ndim:
        checks.refuse(what, "hold text", f"an array of type {words.dtype}" if words.ndim else f"one value, {given!r}")
    return indexed(words)


def indexed(column: NDArray[Any]) -> NDArray[Any] | NameIndex:
    """Return names as they are kept, and as it is what is no column of names."""
    return index_names(column) if column.dtype.kind == "U" and column.ndim == 1 and column.size else column


def _speakers(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return names of speakers or sessions, each in its one spelling."""
    column = _names(given, what)
    return visible_names(column, what) if isinstance(column, NameIndex) else column


def _filled_speakers(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return names of speakers of which no entry is empty."""
    return _filled_names(_speakers(given, what), what)


def _filled_names(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return text of which no entry is empty."""
    column = _names(given, what)
    if isinstance(column, NameIndex) and column.names[0] == "":
        checks.refuse(what, "hold no empty names", f"'' in row {int(np.argmin(column.codes))}")
    return column


def _numbers(given: ArrayLike, what: str) -> Floats:
    return _frozen(checks.finite(checks.numeric(given, what), what), np.float64)


def _seconds(given: ArrayLike, what: str) -> Floats:
    seconds = checks.numeric(given, what)
    good = np.isnan(seconds) | ((seconds >= 0) & (seconds < np.inf))
    _check_every(good, seconds, what, "be finite and at least 0 s, or NaN where not known")
    return _frozen(seconds, np.float64)


def _labels(given: ArrayLike, what: str) -> Labels:
    labels = np.asarray(given)
    rule = "be 1 (target), 0 (nontarget) or -1 (not known), as whole numbers"
    if labels.size and labels.dtype.kind not in "iub":
        checks.refuse(what, rule, f"an array of type {labels.dtype}")
    _check_every(np.isin(labels, (1, 0, -1)), labels, what, rule)
    return _frozen(labels, np.int8)


def _check_every(good: NDArray[np.bool_], values: NDArray[Any], what: str, rule: str) -> None:
    """Refuse a column with a bad entry, and show the first one."""
    if not good.all():
        first = int(np.argmin(good))
        checks.refuse(what, rule, f"{values.ravel()[first].item()!r} in row {first}")


def _frozen(column: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """Return a read-only copy of a column."""
    column = column.astype(kind)
    column.setflags(write=False)
    return column


class _Table:
    """What trials and scores share."""

    def __post_init__(self) -> None:
        what, rows = type(self).__name__.lower(), len(self)
        if rows == 0:
            checks.refuse(what, "hold at least one row", "none")
        for name, column in columns(self).items():
            if column.shape != (rows,):
                checks.refuse(name, f"be one-dimensional, of the length of speaker ({rows})", f"shape {column.shape}")
        if again := repeated(self.speakers, self.tests):
            found = f"{name_pair(self, again[1])} in rows {again[0]} and {again[1]}"
            checks.refuse(what, "hold each pair of speaker and test once", found)

    @property
    def speakers(self) -> NameIndex:
        """The different enrolled speakers, and which one each row is about."""
        return cast("NameIndex", vars(self)["speaker"])

    @property
    def tests(self) -> NameIndex:
        """The different tests, and which one each row is about."""
        return cast("NameIndex", vars(self)["test"])

    def __len__(self) -> int:
        """Return the number of rows, T."""
        return len(self.speakers)


@dataclass(frozen=True, eq=False)
class Trials(_Table):
    """A list of trials; lists are accepted and turned into read-only arrays.

    Parameters
    ----------
    speaker, test : array of str, shape (T,)
        The enrolled speaker and the test of each trial, neither of them empty. Names of speakers and sessions are held
        as composed text (NFC); names of tests, which may be those of files, as they are.
    target : array of int8, shape (T,)
        1 target, 0 nontarget, -1 not known.
    attack : array of str, shape (T,), optional
        As in `Scores`. Files of trials do not hold it.

    Raises
    ------
    InvalidInput
        For columns of different lengths, no trial, a repeated pair, an empty name, one with control or direction
        characters, or another label.

    Examples
    --------
    >>> len(Trials(["ann", "bob"], ["a.wav", "a.wav"], [1, 0]))
    2
    """

    speaker: _Column[Names] = _Column(_filled_speakers)
    test: _Column[Names] = _Column(_filled_names)
    target: _Column[Labels] = _Column(_labels)
    attack: _Column[Names | None] = _Column(_speakers, optional=True)


@dataclass(frozen=True)
class Failures:
    """Trials that have no score, because a recording could not be used [1]_.

    Parameters
    ----------
    tests, speakers : Trials or None
        Those whose test could not be acquired (too little speech, a damaged file), and those whose speaker could not be
        enrolled; None where there is no such trial.

    References
    ----------
    .. [1] ISO/IEC 19795-1, Biometric performance testing and reporting: failure to acquire, failure to enroll.
    """

    tests: Trials | None = None
    speakers: Trials | None = None

    def __post_init__(self) -> None:
        """Check that no trial failed for both reasons."""
        for name in ("tests", "speakers"):
            if getattr(self, name) is not None:
                checks.instance(getattr(self, name), f"the {name} that failed", Trials)
        if self.tests is not None and self.speakers is not None:
            both = np.flatnonzero(_rows_of(self.tests, self.speakers) >= 0)
            if len(both):
                checks.refuse("a trial", "fail for one reason", f"both for {name_pair(self.tests, int(both[0]))}")

    @property
    def lists(self) -> dict[str, Trials]:
        """The lists that are there, by what of their trials failed: "test" or "speaker"."""
        return {n: kind for n, kind in (("test", self.tests), ("speaker", self.speakers)) if kind is not None}


class _Conditions:
    """Further columns of a table of scores, by name: kept as the columns of names are, and written out as they are.

    A descriptor, as `_Column` is. Numbers are taken as text.
    """

    @overload
    def __get__(self, table: None, owner: type) -> Any: ...
    @overload
    def __get__(self, table: object, owner: type) -> Mapping[str, Names]: ...
    def __get__(self, table: object | None, owner: type) -> Any:
        if table is None:  # a dataclass asks for the default of the field in this way
            return None
        return MappingProxyType({name: kept.full for name, kept in vars(table)["conditions"].items()})

    def __set__(self, table: object, given: "Mapping[str, ArrayLike | NameIndex] | None") -> None:
        kept = {condition_name(name): _condition_of(column, name) for name, column in (given or {}).items()}
        vars(table)["conditions"] = kept


def _condition_of(given: "ArrayLike | NameIndex", name: str) -> NameIndex | Names:
    """Return a further column as text; of numbers, empty where they are none (NaN)."""
    if not isinstance(given, NameIndex) and (column := np.asarray(given)).dtype.kind in "iufb":
        given = np.where(np.isnan(column), "", column.astype(str))
    return _names(given, f"the condition {name!r}")


def condition_name(name: str) -> str:
    """Return the name of a further column, or refuse it."""
    known = {*Scores.__annotations__, "failed"}
    if not name.strip() or any(mark in name for mark in "\t\n\r") or name.casefold() in known:
        rule = "have a name without tabs and line ends, and none that means something else in a table of scores"
        checks.refuse("a condition", rule, repr(name), f"These do: {', '.join(sorted(known))}.")
    return name


@dataclass(frozen=True, eq=False)
class Scores(_Table):
    """Scored trials; lists are accepted and turned into read-only arrays.

    Parameters
    ----------
    speaker, test : array of str, shape (T,)
        The enrolled speaker and the test of each trial, neither of them empty. Names of speakers and sessions are held
        as composed text (NFC); names of tests, which may be those of files, as they are.
    score : array of float64, shape (T,)
        Higher for targets, finite. For `cllr` and `actual_dcf` a log-likelihood ratio in nats.
    target : array of int8, shape (T,)
        1 target, 0 nontarget, -1 not known.
    test_speaker, session : array of str, shape (T,), optional
        Who really speaks in the test, and the session it was recorded in; empty where not known.
    enroll_seconds, test_seconds : array of float64, shape (T,), optional
        The length in seconds of the enrolled and of the tested speech; NaN where not known.
    attack : array of str, shape (T,), optional
        The kind of attack of which each test is an example, such as "replayed" or "synthetic"; empty, "none", "-" or
        "bona fide", however written, where it is no attack.
    conditions : mapping of str to array of str, shape (T,)
        Further columns: the conditions of each trial, such as the device or the room, by names of your own; empty
        where not known.
    failures : Failures or None
        Trials that have no score because a recording could not be used; None where nobody knows whether there are any.

    Raises
    ------
    InvalidInput
        For columns of different lengths, no row, a repeated pair, an empty name, one with control or direction
        characters, a score that is not finite, another label, or a trial that failed and has a score.

    Examples
    --------
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])
    >>> scores.score[scores.target == 1]
    array([1.5])
    """

    speaker: _Column[Names] = _Column(_filled_speakers)
    test: _Column[Names] = _Column(_filled_names)
    score: _Column[Floats] = _Column(_numbers)
    target: _Column[Labels] = _Column(_labels)
    test_speaker: _Column[Names | None] = _Column(_speakers, optional=True)
    session: _Column[Names | None] = _Column(_speakers, optional=True)
    enroll_seconds: _Column[Floats | None] = _Column(_seconds, optional=True)
    test_seconds: _Column[Floats | None] = _Column(_seconds, optional=True)
    attack: _Column[Names | None] = _Column(_speakers, optional=True)
    conditions: _Conditions = _Conditions()
    failures: Failures | None = None

    def __post_init__(self) -> None:
        """Check that columns and failures go together."""
        super().__post_init__()
        for name, column in further(self).items():
            if column.shape != (len(self),):
                rule = f"be one-dimensional, of the length of speaker ({len(self)})"
                checks.refuse(f"the condition {name!r}", rule, f"shape {column.shape}")
        for lost in () if self.failures is None else self.failures.lists.values():
            both = np.flatnonzero(_rows_of(lost, self) >= 0)
            if len(both):
                checks.refuse("a trial that failed", "have no score", f"one for {name_pair(lost, int(both[0]))}")

    def rescored(self, score: ArrayLike) -> "Scores":
        """Return the same trials with other scores (T,)."""
        held = columns(self) | {"score": score}
        return Scores(**held, conditions=further(self), failures=self.failures)

    def take(self, rows: NDArray[np.int64]) -> "Scores":
        """Return some rows, without the trials that failed."""
        held = {name: column.take(rows) for name, column in columns(self).items()}
        return Scores(**held, conditions={name: column.take(rows) for name, column in further(self).items()})


def further(scores: Scores) -> dict[str, NameIndex]:
    """Return the conditions of scores as they are kept."""
    return cast("dict[str, NameIndex]", vars(scores)["conditions"])


def attack_rows(table: Scores | Trials) -> NDArray[np.bool_]:
    """Return which rows (T,) are of attacks."""
    told = columns(table).get("attack")
    if told is None:
        return np.zeros(len(table), dtype=bool)
    named = [_MARKS.sub("", name).casefold() not in ("", "none", "bonafide") for name in told.names.tolist()]
    return np.array(named, dtype=bool)[told.codes]


def bona_fide(scores: Scores) -> Scores:
    """Return the trials that are no attacks, without the column `attack`, also of those that failed.

    Raises
    ------
    InvalidInput
        If every trial is of an attack.

    Examples
    --------
    >>> scores = Scores(["ann", "ann"], ["a.wav", "b.wav"], [1.5, 1.0], [1, 1], attack=["", "replayed"])
    >>> bona_fide(scores).test
    array(['a.wav'], dtype='<U5')
    """
    lists = {} if scores.failures is None else scores.failures.lists
    if not any("attack" in columns(table) for table in (scores, *lists.values())):
        return scores
    rows = np.flatnonzero(~attack_rows(scores))
    if not len(rows):
        advice = "Score recordings of the speakers themselves, too: with the column attack empty."
        checks.refuse("scores", "hold bona fide trials beside those of attacks", f"{len(scores)} of attacks", advice)
    failures = scores.failures
    if failures is not None:
        failures = Failures(*(kind and _bona_fide_trials(kind) for kind in (failures.tests, failures.speakers)))
    held = {name: column.take(rows) for name, column in columns(scores).items() if name != "attack"}
    return Scores(**held, conditions={n: c.take(rows) for n, c in further(scores).items()}, failures=failures)


def _bona_fide_trials(trials: Trials) -> Trials | None:
    """Return the trials that are no attacks, None for none."""
    rows = np.flatnonzero(~attack_rows(trials))
    held = {name: column.take(rows) for name, column in columns(trials).items() if name != "attack"}
    return Trials(**held) if len(rows) else None


def join(scores: Scores, trials: Trials) -> Scores:
    """Return the scores of exactly these trials, in their order and with their labels, whatever labels the scores had.

    Trials that failed have no score, and stay among the failures.

    Raises
    ------
    InvalidInput
        If a trial neither has a score nor failed, or if none has a score.

    Examples
    --------
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [-1, -1])
    >>> join(scores, Trials(["bob"], ["a.wav"], [0])).target
    array([0], dtype=int8)
    """
    failures = scores.failures
    if failures is not None:
        failures = Failures(*(kind and _listed(kind, trials) for kind in (failures.tests, failures.speakers)))
        lost = [_rows_of(trials, kind) >= 0 for kind in failures.lists.values()]
        kept = some_trials(trials, ~np.any(lost, axis=0)) if lost else trials
        if kept is None:
            checks.refuse("scores", "hold a score of a trial of the list", f"{len(trials)} trials that failed")
        trials = kept
    held = scores.take(rows_scoring(trials, scores, "scores", "hold every trial"))
    told = {name: column for name, column in columns(trials).items() if name in ("target", "attack")}
    return Scores(**columns(held) | told, conditions=further(held), failures=failures)


def rows_scoring(trials: _Table, scores: Scores, what: str, rule: str) -> NDArray[np.int64]:
    """Return the rows of a table that score these trials; refuse that `what` must `rule` if one is missing."""
    rows = _rows_of(trials, scores)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        first = name_pair(trials, int(missing[0]))
        found = f"{len(missing)} of {len(trials)} trials without a score, the first {first}"
        checks.refuse(what, rule, found, "Score these trials too, or take them off the list.")
    return rows


def _rows_of(wanted: _Table, table: _Table) -> NDArray[np.int64]:
    """Return the row of a table that holds each pair of another one, -1 where none does."""
    speaker, test = places_among(wanted.speakers, table.speakers), places_among(wanted.tests, table.tests)
    size = len(table.tests.names)
    keys = table.speakers.codes.astype(np.int64) * size + table.tests.codes
    pairs = np.where((speaker >= 0) & (test >= 0), speaker * size + test, -1)
    order = np.argsort(keys)
    rows = np.take(order, np.minimum(np.searchsorted(keys, pairs, sorter=order), len(keys) - 1))
    return np.where(keys[rows] == pairs, rows, -1)


def _listed(failed: Trials, trials: Trials) -> Trials | None:
    """Return those of some failed trials that a list holds, with the labels of the list; None for none."""
    rows = _rows_of(trials, failed)
    if (found := some_trials(trials, rows >= 0)) is None:
        return None
    kept = {name: column.take(rows[rows >= 0]) for name, column in columns(failed).items()}
    return Trials(**kept | columns(found))


def some_trials(trials: Trials, kept: NDArray[np.bool_]) -> Trials | None:
    """Return some trials, None for none."""
    rows = np.flatnonzero(kept)
    return Trials(**{name: column.take(rows) for name, column in columns(trials).items()}) if len(rows) else None


def places_among(wanted: NameIndex, among: NameIndex) -> NDArray[np.int64]:
    """Return where the name of each row stands among others, -1 where it does not."""
    place = np.searchsorted(among.names, wanted.names)
    place[place == len(among.names)] = 0
    return np.where(among.names[place] == wanted.names, place, -1)[wanted.codes]


def columns(table: _Table) -> dict[str, Any]:
    """Return the columns that are there, in the order of the file format; names as a `NameIndex`.

    The conditions of scores are apart: `further`.
    """
    kinds = vars(type(table))
    return {n: held for n, held in vars(table).items() if held is not None and isinstance(kinds.get(n), _Column)}


def name_pair(table: _Table, row: int) -> str:
    """Return the names of a row in words."""
    speaker, test = (index.names[index.codes[row]] for index in (table.speakers, table.tests))
    return f"speaker '{speaker}' with test '{test}'"


def check_labels(scores: Scores) -> None:
    """Refuse scores of which a label is not known, or which hold trials of attacks."""
    if attacked := int(attack_rows(scores).sum()):
        rule = "hold no trials of attacks, which are neither targets nor nontargets"
        checks.refuse("scores", rule, f"{attacked} of {len(scores)}", "Take them out: bona_fide(scores).")
    unknown = scores.target == -1
    if unknown.any():
        first = int(np.argmax(unknown))
        found = f"{int(unknown.sum())} of {len(scores)} trials without a label, the first {name_pair(scores, first)}"
        checks.refuse(
            "target", "be 1 or 0 in every trial", found, "Take the labels from a list of trials (join, or --trials)."
        )
