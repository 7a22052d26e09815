"""Trials and scores as tables, and what they may hold.

A trial is a pair (speaker, test): is the test spoken by the enrolled speaker? Its label, `target`, is 1 for yes,
0 for no, -1 where nobody knows. T stands for the number of rows of a table; each pair occurs once in it. A trial whose
`attack` names a kind of attack is none of these, whatever its label: `bona_fide` gives a table without them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.name_index import NameIndex, Names, join_names, repeated
from speechgmm.evaluation.table_columns import (
    Floats,
    Labels,
    TableColumn,
    filled_column,
    filled_speaker_column,
    label_column,
    length_column,
    name_column,
    number_column,
    speaker_column,
)
from speechgmm.frames import FRAME, cell_text, cells, frame_of, header_of, is_missing
from speechgmm.looks import MOST_ROWS, Look, Shown, some_rows

_MARKS = re.compile(r"[\s_-]")
"""What may stand between words that say that a trial is no attack."""

REQUIRED = ("speaker", "test", "score")
OPTIONAL = ("target", "test_speaker", "session", "enroll_seconds", "test_seconds", "attack", "failed")
FAILED = ("test", "speaker")
"""What the column `failed` may name: why a trial has no score."""


class _Table(Shown):
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

    def _look(self) -> Look:
        attacks = attack_rows(cast("Any", self))
        target = np.asarray(cast("Any", self).target)[~attacks]
        kinds = {"target": 1, "nontarget": 0, "trial without a label": -1}
        counts = [checks.number_of(n, kind) for kind, label in kinds.items() if (n := int((target == label).sum()))]
        if attacks.any():
            counts.append(f"{int(attacks.sum())} of attacks")
        sizes = checks.number_of(len(self.speakers.names), "speaker"), checks.number_of(len(self.tests.names), "test")
        held = {**columns(self), **(further(self) if isinstance(self, Scores) else {})}
        header = [name if isinstance(column, NameIndex) else f">{name}" for name, column in held.items()]
        first = [[_cell(column, row) for column in held.values()] for row in range(min(len(self), MOST_ROWS))]
        return Look((*counts, *sizes), tables=(some_rows("", header, first, of=len(self)),))


def _cell(column: Any, row: int) -> str:
    """Return what a row has in a column, as a table shows it."""
    if isinstance(column, NameIndex):
        return str(column.names[column.codes[row]])
    value = column[row].item()
    return "" if value != value else f"{value:.3f}" if isinstance(value, float) else str(value)


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

    speaker: TableColumn[Names] = TableColumn(filled_speaker_column)
    test: TableColumn[Names] = TableColumn(filled_column)
    target: TableColumn[Labels] = TableColumn(label_column)
    attack: TableColumn[Names | None] = TableColumn(speaker_column, optional=True)


@dataclass(frozen=True)
class Failures(Shown):
    """Trials that have no score, because a recording could not be used [1]_.

    Parameters
    ----------
    tests, speakers : Trials or None
        Those whose test could not be acquired (too little speech, a damaged file), and those whose speaker could not be
        enrolled; None where there is no such trial.

    References
    ----------
    .. [1] ISO/IEC 19795-1, Biometric performance testing and reporting: failure to acquire, failure to enroll.

    Examples
    --------
    >>> from speechgmm.evaluation import Failures, Scores, Trials, evaluate
    >>> failures = Failures(tests=Trials(["ann"], ["b.wav"], [1]))
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0], failures=failures)
    >>> found = evaluate(scores)
    >>> found.failures.tests, found.failures.tests_tried
    (1, 2)
    """

    tests: Trials | None = None
    speakers: Trials | None = None

    def __post_init__(self) -> None:
        """Check that no trial failed for both reasons."""
        for name in ("tests", "speakers"):
            if getattr(self, name) is not None:
                checks.instance(getattr(self, name), f"the {name} that failed", Trials)
        if self.tests is not None and self.speakers is not None:
            both = np.flatnonzero(rows_of_pairs(self.tests, self.speakers) >= 0)
            if len(both):
                checks.refuse("a trial", "fail for one reason", f"both for {name_pair(self.tests, int(both[0]))}")

    @property
    def lists(self) -> dict[str, Trials]:
        """The lists that are there, by what of their trials failed: "test" or "speaker"."""
        return {n: kind for n, kind in (("test", self.tests), ("speaker", self.speakers)) if kind is not None}


class _Conditions:
    """Further columns of a table of scores, by name: kept as the columns of names are, and written out as they are.

    A descriptor, as `TableColumn` is. Numbers are taken as text.
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
    return name_column(given, f"the condition {name!r}")


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

    speaker: TableColumn[Names] = TableColumn(filled_speaker_column)
    test: TableColumn[Names] = TableColumn(filled_column)
    score: TableColumn[Floats] = TableColumn(number_column)
    target: TableColumn[Labels] = TableColumn(label_column)
    test_speaker: TableColumn[Names | None] = TableColumn(speaker_column, optional=True)
    session: TableColumn[Names | None] = TableColumn(speaker_column, optional=True)
    enroll_seconds: TableColumn[Floats | None] = TableColumn(length_column, optional=True)
    test_seconds: TableColumn[Floats | None] = TableColumn(length_column, optional=True)
    attack: TableColumn[Names | None] = TableColumn(speaker_column, optional=True)
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
            both = np.flatnonzero(rows_of_pairs(lost, self) >= 0)
            if len(both):
                checks.refuse("a trial that failed", "have no score", f"one for {name_pair(lost, int(both[0]))}")

    def to_frame(self) -> Any:
        """Return a frame of pandas with the columns of a file of scores, a row for each trial.

        Those that failed stand at the end, without a score (NaN), where the column `failed` says why. Names and
        conditions are text, empty where not known; a `target` of -1 and seconds of NaN are not known.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> print(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]).to_frame().to_string(index=False))
        speaker  test  score  target
            ann a.wav    1.5       1
            bob a.wav   -2.0       0
        """
        held = whole_columns(self)
        return frame_of({n: c.names[c.codes].tolist() if isinstance(c, NameIndex) else c for n, c in held.items()})

    @classmethod
    def from_frame(cls, frame: Any) -> "Scores":
        """Return the table that a data frame of pandas or polars holds, with columns as in a file of scores.

        What `to_frame` makes comes back to the bit. Names of columns are known whatever their case; a cell that is
        missing (None, NaN) is one that is not known, and further columns are conditions, as text. The index of the
        frame does not count.

        Raises
        ------
        InvalidInput
            If it is no data frame, lacks a column, or holds no table of scores.

        Examples
        --------
        >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])
        >>> Scores.from_frame(scores.to_frame())
        Scores(1 target, 1 nontarget, 2 speakers, 1 test)
        """
        return scores_of(**_columns_of(frame))

    def rescored(self, score: ArrayLike) -> "Scores":
        """Return the same trials with other scores (T,)."""
        held = columns(self) | {"score": score}
        return Scores(**held, conditions=further(self), failures=self.failures)

    def take(self, rows: NDArray[np.int64]) -> "Scores":
        """Return some rows, without the trials that failed."""
        held = {name: column.take(rows) for name, column in columns(self).items()}
        return Scores(**held, conditions={name: column.take(rows) for name, column in further(self).items()})


_WITH_NUMBERS = ("score", "target", "enroll_seconds", "test_seconds")
"""Columns that hold no text."""


def _columns_of(frame: Any) -> dict[str, Any]:
    """Return the columns of a data frame by the names that they are known by, as those of a file."""
    header = header_of(frame, (*REQUIRED, *OPTIONAL), "a table of scores")
    check_header(FRAME, header)
    if not len(frame):
        checks.refuse(FRAME, "hold at least one row", "none")
    held: dict[str, Any] = {"target": np.full(len(frame), -1, dtype=np.int8)}
    for column, name in zip(frame.columns, header, strict=True):
        values = cells(frame, column)
        if name in _WITH_NUMBERS:
            held[name] = _numbers_of(values, name)
        else:
            held[name] = name_column([cell_text(value) for value in values], name)
    if bad := contradiction(held):
        checks.refuse(f"{FRAME}, row {bad[0]},", *bad[1:])
    return held


def _numbers_of(values: Sequence[Any], name: str) -> NDArray[Any]:
    """Return a column of numbers; what is missing is NaN, or -1 where labels are."""
    held = []
    for row, value in enumerate(values):
        try:
            held.append(np.nan if is_missing(value) or value == "" else float(value))
        except (TypeError, ValueError, OverflowError):
            checks.refuse(f"{name} in {FRAME}", "hold numbers", f"{value!r} in row {row}")
    found = np.array(held)
    if name != "target":
        return found
    labels = np.where(np.isnan(found), -1.0, found)
    return labels.astype(np.int64) if np.isin(labels, (1, 0, -1)).all() else labels


def further(scores: Scores) -> dict[str, NameIndex]:
    """Return the conditions of scores as they are kept."""
    return cast("dict[str, NameIndex]", vars(scores)["conditions"])


def contradiction(held: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """Return the first row whose score and `failed` do not go together, the rule and what was found; None for none."""
    if (failed := held.get("failed")) is None:
        return None
    told = failed.names[failed.codes]
    good = np.where(np.isnan(held["score"]), np.isin(told, FAILED), told == "")
    if good.all():
        return None
    row = int(np.argmin(good))
    rule = f"have a score, or say in the column failed why not: {' or '.join(map(repr, FAILED))}"
    return row, rule, f"the score {held['score'][row]:g} with {str(told[row])!r}"


def scores_of(**held: Any) -> Scores:
    """Return the table of the columns of a file, which go together."""
    failures, failed = None, held.pop("failed", None)
    if failed is not None:
        told = failed.names[failed.codes]
        failures = Failures(*(_trials_of(held, np.flatnonzero(told == what)) for what in FAILED))
        if not len(rows := np.flatnonzero(told == "")):
            checks.refuse("scores", "hold at least one score", "none but trials that failed")
        held = {name: column.take(rows) for name, column in held.items()}
    conditions = {name: held.pop(name) for name in list(held) if name not in (*REQUIRED, *OPTIONAL)}
    return Scores(**held, conditions=conditions, failures=failures)


def _trials_of(held: Mapping[str, Any], rows: NDArray[np.int64]) -> Trials | None:
    """Return some rows as a list of trials, None for no rows."""
    names = [name for name in ("speaker", "test", "target", "attack") if name in held]
    return Trials(**{name: held[name].take(rows) for name in names}) if len(rows) else None


def whole_columns(scores: Scores) -> dict[str, Any]:
    """Return all columns of a file of scores; trials that failed stand at the end."""
    held, failures = columns(scores) | further(scores), scores.failures
    if failures is None:
        return held
    if "attack" not in held and any("attack" in columns(kind) for kind in failures.lists.values()):
        held["attack"] = _all_of("", len(scores))
    held["failed"] = _all_of("", len(scores))
    lost = [columns(kind) | {"failed": _all_of(what, len(kind))} for what, kind in failures.lists.items()]
    return {name: _joined([column, *(_part(rows, name, column) for rows in lost)]) for name, column in held.items()}


def _part(rows: Mapping[str, Any], name: str, like: Any) -> Any:
    """Return a column of trials that failed; where it is not there, one of the same kind of which nothing is known."""
    count = len(rows["speaker"])
    return rows.get(name, _all_of("", count) if isinstance(like, NameIndex) else np.full(count, np.nan))


def _all_of(name: str, rows: int) -> NameIndex:
    """Return a column that holds one name so many times."""
    return NameIndex(np.array([name]), np.zeros(rows, dtype=np.int32))


def _joined(parts: list[Any]) -> Any:
    """Return columns of one kind, one below the other."""
    return join_names(parts) if isinstance(parts[0], NameIndex) else np.concatenate(parts)


def check_header(where: str, header: Sequence[str], advice: str = "") -> None:
    """Refuse missing, repeated or unnamed columns, and name them."""
    faults = {
        "missing": [name for name in REQUIRED if name not in header],
        "repeated": [name for i, name in enumerate(header) if name in header[:i]],
        "unnamed": [name for name in header if not name.strip()],
    }
    for fault, names in faults.items():
        if names:
            rule = f"have the columns {', '.join(REQUIRED)}, and each column under a name of its own"
            checks.refuse(where, rule, f"{fault} {', '.join(map(repr, names))}", advice)


def attack_rows(table: Scores | Trials) -> NDArray[np.bool_]:
    """Return which rows (T,) are of attacks."""
    told = columns(table).get("attack")
    if told is None:
        return np.zeros(len(table), dtype=bool)
    named = [_MARKS.sub("", name).casefold() not in ("", "none", "bonafide") for name in told.names.tolist()]
    return np.array(named, dtype=bool)[told.codes]


def rows_of_pairs(wanted: _Table, table: _Table) -> NDArray[np.int64]:
    """Return the row of a table that holds each pair of another one, -1 where none does."""
    speaker, test = places_among(wanted.speakers, table.speakers), places_among(wanted.tests, table.tests)
    size = len(table.tests.names)
    keys = table.speakers.codes.astype(np.int64) * size + table.tests.codes
    pairs = np.where((speaker >= 0) & (test >= 0), speaker * size + test, -1)
    order = np.argsort(keys)
    rows = np.take(order, np.minimum(np.searchsorted(keys, pairs, sorter=order), len(keys) - 1))
    return np.where(keys[rows] == pairs, rows, -1)


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
    return {n: held for n, held in vars(table).items() if held is not None and isinstance(kinds.get(n), TableColumn)}


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
