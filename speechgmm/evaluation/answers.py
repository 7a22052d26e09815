"""The answers to several tests: a tuple that shows itself as a table, and turns into a data frame and back."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from speechgmm.checks import choice, number_of, refuse
from speechgmm.errors import InvalidInput, Skipped
from speechgmm.evaluation.decision import Answer, Candidate, Rule, Unfamiliar
from speechgmm.frames import FRAME, FrameCells, frame_of
from speechgmm.looks import Look, Shown, share, some_rows

_WRITTEN = 5
"""So many answers a `repr` shows."""
_STATUSES = ("accepted", "unknown", "rejected", "ranked", "too_little_speech", "error")
_REQUIRED = ("test", "status")
_OF_CANDIDATES = ("rank", "candidate", "score", "posterior")
_RULE = tuple(Rule.__dataclass_fields__)
"""The columns of a rule are called by its fields, after `rule_`."""
_NUMBERS = ("score", "posterior", "threshold", "missed", "wanted_seconds", "unfamiliar_value", "unfamiliar_limit")
_OPTIONAL = (
    *("decision", "speech_seconds", *_OF_CANDIDATES, "threshold", "missed", "assured", "unfamiliar", "error"),
    *("wanted_seconds", "extrapolated", "unfamiliar_value", "unfamiliar_limit", *(f"rule_{n}" for n in _RULE)),
    "skipped",
)


class Answers(tuple[Answer, ...], Shown):
    """Answers in the order of the tests; a tuple of `Answer`.

    Examples
    --------
    >>> from speechgmm.evaluation import Answer
    >>> Answers([Answer("a.wav", "accepted", 3.0, "ann"), Answer("b.wav", "unknown", 2.0)])
    Answers(
        Answer('a.wav', accepted as 'ann', 3.0 s of speech),
        Answer('b.wav', unknown, 2.0 s of speech),
    )
    """

    def __repr__(self) -> str:
        """Return a line for each of the first answers."""
        lines = [f"    {answer!r},\n" for answer in self[:_WRITTEN]]
        more = f"    and {len(self) - _WRITTEN} more\n" if len(self) > _WRITTEN else ""
        return f"Answers(\n{''.join(lines)}{more})" if self else "Answers()"

    def _look(self) -> Look:
        statuses = Counter(answer.status.replace("_", " ") for answer in self)
        words = (number_of(len(self), "test"), *(f"{n} {status}" for status, n in statuses.items()))
        header = ("test", "answer", ">speech, s", "best candidate", ">score", ">posterior", ">owners missed")
        return Look(words, tables=(some_rows("", header, list(map(_row, self))),))

    def to_frame(self) -> Any:
        """Return a frame of pandas with a row for each candidate of each test, the best first.

        A test without candidates has one row. Text is empty where there is none, and numbers are missing. The columns
        are, as `Answer` has them:

        * `test`, `status`, `decision` and `speech_seconds`;
        * `rank` (from 1), `candidate`, `score` and `posterior`;
        * `threshold`, `missed`, `assured`, `unfamiliar` (the reason) and `error`;
        * `wanted_seconds`, `extrapolated`, `unfamiliar_value` and `unfamiliar_limit`;
        * `rule_far`, `rule_prior`, `rule_cost_miss`, `rule_cost_fa` and `rule_threshold`, the costs missing where no
          rule was applied;
        * `skipped`, the names and reasons of the recordings that were left out, as a list of pairs in JSON.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> answers = Answers([Answer("a.wav", "error", error="a.wav is empty")])
        >>> answers.to_frame()[["test", "status", "error"]].values.tolist()
        [['a.wav', 'error', 'a.wav is empty']]
        """
        rows: list[dict[str, Any]] = []
        for answer in self:
            of_test = _cells_of(answer)
            for rank, c in enumerate(answer.candidates, 1):
                rows.append(of_test | {"rank": rank, "candidate": c.name, "score": c.score, "posterior": c.posterior})
            if not answer.candidates:
                rows.append(of_test | {"candidate": ""})
        names = (*_REQUIRED, *_OPTIONAL)
        numbers = (*_NUMBERS, *(f"rule_{name}" for name in _RULE))
        return frame_of({name: [row.get(name) for row in rows] for name in names}, floats=numbers, whole=("rank",))

    @classmethod
    def from_frame(cls, frame: Any) -> "Answers":
        """Return the answers that a data frame of pandas or polars holds, with columns as `to_frame` makes them.

        What `to_frame` makes comes back equal, also from a CSV file that was read as text (``dtype=str,
        keep_default_na=False``). Names of columns are known whatever their case. Only `test` and `status` must be
        there, and `candidate` and `score` beside `rank`; other columns that are missing say nothing, and those of other
        names do not count. The rows of a test stand together, the best candidate first.

        Raises
        ------
        InvalidInput
            If it is no data frame, lacks a column, holds something else than the column must hold, or if the rows of a
            test contradict each other; the message names row, counted from 0, and column.

        Examples
        --------
        >>> from speechgmm.evaluation import Answer, Candidate
        >>> answers = Answers([Answer("a.wav", "accepted", 3.0, "ann", (Candidate("ann", 2.5),))])
        >>> Answers.from_frame(answers.to_frame()) == answers
        True
        """
        cells = FrameCells.of(frame, "answers", _REQUIRED, _OPTIONAL)
        there = [name in cells.columns for name in _OF_CANDIDATES]
        if any(there) and not all(there[:3]):
            names = [repr(name) for name, held in zip(_OF_CANDIDATES, there, strict=True) if held]
            refuse(FRAME, "have the columns rank, candidate and score together, or none of them", " and ".join(names))
        return cls(_answer(cells, rows) for rows in _tests_of(cells))


def _cells_of(answer: Answer) -> dict[str, Any]:
    """Return what the rows of a test have in common."""
    strange, skipped = answer.unfamiliar, [[s.name, s.reason] for s in answer.skipped]
    of_rule = {} if answer.rule is None else {f"rule_{name}": getattr(answer.rule, name) for name in _RULE}
    return {
        "test": answer.name,
        "status": answer.status,
        "decision": answer.decision or "",
        "speech_seconds": answer.speech_seconds,
        "threshold": answer.threshold,
        "missed": answer.missed,
        "assured": answer.assured,
        "unfamiliar": strange.reason if strange else "",
        "error": answer.error or "",
        "wanted_seconds": answer.wanted_seconds,
        "extrapolated": answer.extrapolated,
        "unfamiliar_value": strange and strange.value,
        "unfamiliar_limit": strange and strange.limit,
        **of_rule,
        "skipped": json.dumps(skipped, ensure_ascii=False) if skipped else "",
    }


def _tests_of(cells: FrameCells) -> Iterator[range]:
    """Yield the rows of each test: one that has no rank or the first, and those of the ranks that follow."""
    first = before = 0
    for row in range(cells.rows):
        test, rank = cells.filled(row, "test"), cells.whole(row, "rank")
        if rank is None or rank == 1:
            if row:
                yield range(first, row)
            first = row
        elif not (row and before == rank - 1 > 0 and test == cells.text(row - 1, "test")):
            cells.refuse(row, "rank", "count the candidates of each test from 1, in rows that stand together", rank)
        before = rank or 0
    if cells.rows:
        yield range(first, cells.rows)


def _answer(cells: FrameCells, rows: range) -> Answer:
    """Return the answer that the rows of a test tell."""
    told = _told(cells, rows[0])
    for row in rows[1:]:
        for name, value in _told(cells, row).items():
            if value != told[name]:
                rule = f"be what the row before says of the test {told['test']!r}, {told[name]!r}"
                cells.refuse(row, name, rule, repr(value))
    candidates = tuple(c for row in rows if (c := _candidate(cells, row)))
    reason, value, limit = (told[f"unfamiliar{part}"] for part in ("", "_value", "_limit"))
    return Answer(
        told["test"],
        told["status"],
        told["speech_seconds"] or 0.0,
        told["decision"] or None,
        candidates,
        _rule(cells, rows[0]),
        told["threshold"],
        bool(told["extrapolated"]),
        told["error"] or None,
        _skipped(cells, rows[0]),
        told["missed"],
        told["wanted_seconds"],
        told["assured"],
        Unfamiliar(reason, value, limit) if reason else None,
    )


def _told(cells: FrameCells, row: int) -> dict[str, Any]:
    """Return what a row says of its test, by column."""
    texts = ("test", "decision", "unfamiliar", "error", "skipped")
    numbers = ("speech_seconds", "threshold", "missed", "wanted_seconds", *(f"rule_{name}" for name in _RULE))
    told: dict[str, Any] = {"status": choice(cells.text(row, "status"), f"status in {FRAME}, row {row},", _STATUSES)}
    told |= {name: cells.text(row, name) for name in texts} | {name: cells.number(row, name) for name in numbers}
    told |= {name: cells.flag(row, name) for name in ("assured", "extrapolated")}
    if (told["status"] == "accepted") != bool(told["decision"]):
        rule = "name who is accepted where the status is accepted, and nobody elsewhere"
        cells.refuse(row, "decision", rule, f"{told['decision']!r} with {told['status']!r}")
    for name in ("unfamiliar_value", "unfamiliar_limit"):
        told[name] = cells.known(row, name) if told["unfamiliar"] else cells.number(row, name)
        if told[name] is not None and not told["unfamiliar"]:
            cells.refuse(row, name, "be missing where the column unfamiliar gives no reason", f"{told[name]:g}")
    return told


def _candidate(cells: FrameCells, row: int) -> Candidate | None:
    """Return the candidate of a row that has a rank."""
    if cells.whole(row, "rank") is not None:
        name, score = cells.filled(row, "candidate"), cells.known(row, "score")
        return Candidate(name, score, cells.number(row, "posterior"))
    for name in _OF_CANDIDATES[1:]:
        if cells.cell(row, name) is not None:
            cells.refuse(row, name, "be missing where there is no rank", repr(cells.cell(row, name)))
    return None


def _rule(cells: FrameCells, row: int) -> Rule | None:
    """Return the rule of a test, None where no column of it says anything."""
    said = {name: cells.number(row, f"rule_{name}") for name in _RULE}
    if all(value is None for value in said.values()):
        return None
    costs = {name: cells.known(row, f"rule_{name}") for name in ("cost_miss", "cost_fa")}
    try:
        return Rule(said["far"], said["prior"], **costs, threshold=said["threshold"])
    except InvalidInput as error:
        refuse(f"the columns rule_ in {FRAME}, row {row},", "make a rule", error)


def _skipped(cells: FrameCells, row: int) -> tuple[Skipped, ...]:
    """Return the recordings of a test that were left out."""
    if not (text := cells.text(row, "skipped")):
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    pairs: list[Any] = found if isinstance(found, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair) for pair in pairs):
        cells.refuse(row, "skipped", "be a list of pairs of texts, name and reason, in JSON", repr(text))
    return tuple(Skipped(*pair) for pair in pairs)


def _row(answer: Answer) -> tuple[str, ...]:
    """Return what a table says of a test."""
    told = answer.status.replace("_", " ") if answer.decision is None else answer.decision
    of_test = answer.name, told, f"{answer.speech_seconds:.1f}"
    if not answer.candidates:
        return (*of_test, "", "", "", "")
    best = answer.candidates[0]
    posterior = "" if best.posterior is None else f"{best.posterior:.3f}"
    return (*of_test, best.name, f"{best.score:+.2f}", posterior, share(answer.missed))
