"""The answers to several tests: a tuple that shows itself as a table, and becomes a data frame."""

from collections import Counter
from typing import Any

from speechgmm.checks import number_of
from speechgmm.evaluation.decision import Answer, Candidate
from speechgmm.frames import frame_of
from speechgmm.looks import Look, Shown, share, some_rows

_WRITTEN = 5
"""So many answers a `repr` shows."""


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

        The columns: `test`, `status`, `decision`, `speech_seconds`, `rank` (from 1), `candidate`, `score`,
        `posterior`, `threshold`, `missed`, `assured`, `unfamiliar` and `error`, as `Answer` has them. A test without
        candidates has one row. Text is empty where there is none, and numbers are missing.

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
        rows: list[tuple[Answer, int | None, Candidate | None]] = []
        for a in self:
            rows += [(a, rank, c) for rank, c in enumerate(a.candidates, 1)] or [(a, None, None)]
        return frame_of(
            {
                "test": [a.name for a, _, _ in rows],
                "status": [a.status for a, _, _ in rows],
                "decision": [a.decision or "" for a, _, _ in rows],
                "speech_seconds": [a.speech_seconds for a, _, _ in rows],
                "rank": [rank for _, rank, _ in rows],
                "candidate": [c.name if c else "" for _, _, c in rows],
                "score": [c and c.score for _, _, c in rows],
                "posterior": [c and c.posterior for _, _, c in rows],
                "threshold": [a.threshold for a, _, _ in rows],
                "missed": [a.missed for a, _, _ in rows],
                "assured": [a.assured for a, _, _ in rows],
                "unfamiliar": [a.unfamiliar.reason if a.unfamiliar else "" for a, _, _ in rows],
                "error": [a.error or "" for a, _, _ in rows],
            },
            floats=("score", "posterior", "threshold", "missed"),
            whole=("rank",),
        )


def _row(answer: Answer) -> tuple[str, ...]:
    """Return what a table says of a test."""
    told = answer.status.replace("_", " ") if answer.decision is None else answer.decision
    of_test = answer.name, told, f"{answer.speech_seconds:.1f}"
    if not answer.candidates:
        return (*of_test, "", "", "", "")
    best = answer.candidates[0]
    posterior = "" if best.posterior is None else f"{best.posterior:.3f}"
    return (*of_test, best.name, f"{best.score:+.2f}", posterior, share(answer.missed))
