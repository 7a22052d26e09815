"""Whether what a page shows is what was printed: every word, and numbers as closely as machines agree.

Processors round differently in the last of the sixteen or eight digits that they have. That moves a printed number
across the edge of its last digit now and then, and never farther; so one unit of it is allowed and no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ANYTHING = "..."
EXACTLY_SHOWN = 6
"""Numbers with more decimals are not rounded for people: these are compared relatively."""

_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<day>"),
    (re.compile(r"(?<![.\w])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}\b"), "<digest>"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "<version>"),
)
_NUMBER = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")


def agree(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether shown lines are what was printed; a line `...` stands for any lines."""
    return _lines_agree([_plain(line) for line in _trimmed(shown)], [_plain(line) for line in _trimmed(printed)])


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Return the lines without empty ones at both ends; a line that goes on, indented after a comma, is one."""
    text = "\n".join(line.rstrip() for line in lines).strip("\n")
    return re.sub(r",\n +", ", ", text).split("\n")


def _plain(line: str) -> str:
    """Return a line whose widths do not count, nor what is another at another time."""
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return re.sub("─+", "─", re.sub(r"\s+", " ", line)).strip()


def _lines_agree(shown: list[str], printed: list[str]) -> bool:
    if not shown:
        return not printed
    if shown[0] == ANYTHING:
        return any(_lines_agree(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and _line_agrees(shown[0], printed[0]) and _lines_agree(shown[1:], printed[1:])


def _line_agrees(shown: str, printed: str) -> bool:
    if shown == printed:
        return True
    if ANYTHING in shown:
        return re.fullmatch(".*".join(map(re.escape, shown.split(ANYTHING))), printed) is not None
    ours, theirs = _NUMBER.split(shown), _NUMBER.split(printed)
    if ours[::2] != theirs[::2]:
        return False
    after = ours[2::2]
    return all(_numbers_agree(a, b, text) for a, b, text in zip(ours[1::2], theirs[1::2], after, strict=True))


def _numbers_agree(shown: str, printed: str, after: str) -> bool:
    """Whether two numbers do: `after` is the text that follows them."""
    a, b = float(shown), float(printed)
    if shown == printed:
        return True
    decimals, others = (len(re.sub(r"[eE].*", "", x).partition(".")[2]) for x in (shown, printed))
    if max(decimals, others) > EXACTLY_SHOWN:
        return abs(a - b) <= 1e-6 * abs(a)
    if decimals != others or (not decimals and not re.match(r" ?%", after)):
        return False
    exponent = int((re.search(r"[eE](.*)", shown) or [0, 0])[1])
    return abs(a - b) <= 1.001 * 10.0 ** (exponent - decimals)
