"""Names in pictures: as long as there is room for, in letters that can be drawn, and no more of them than can be read.

Names come from files and folders, so they may be of any length and script.
"""

import functools
import itertools
import unicodedata
from collections.abc import Sequence
from typing import Any

from speechgmm.checks import extra

LONGEST = 24
"""Columns of a name in a picture; longer ones lose their middle, for many begin or end alike."""
SMALLEST = 7.0
"""Points: the least size that can be read."""
_PITCH = 1.25
"""From one line of text to the next, in sizes of its letters."""


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    r"""Return names as they are drawn: different ones stay different.

    Of names too long the beginning and the end that all share give way, then the middle of each. Letters that no font
    has are written as their numbers, as in Python (``\u4f60``), unless the text is kept as text, which whoever shows
    it draws (see `speechgmm.plot.svg`). Where two names would still look the same, their numbers follow.
    """
    missing = _missing(names)
    rest = _parted(names) if max(map(width, names), default=0) > longest else names
    plain = [_short([_escaped(c) if c in missing else c for c in name], longest) for name in rest]
    alike = {text: {name for name, p in zip(names, plain, strict=True) if p == text} for text in set(plain)}
    number = {name: f" ({i})" for same in alike.values() if len(same) > 1 for i, name in enumerate(sorted(same), 1)}
    return [text + number.get(name, "") for name, text in zip(names, plain, strict=True)]


def families(names: Sequence[str]) -> list[str]:
    """Return the fonts in use, and behind them others of this machine that have letters of the names that they lack."""
    manager, matplotlib = extra("matplotlib.font_manager", "plot"), extra("matplotlib", "plot")
    found = list(matplotlib.rcParams["font.family"])
    wanted = set("".join(names)) - _letters(manager.findfont(manager.FontProperties(family=found)))
    own = matplotlib.get_data_path()  # its other fonts are of symbols, or of empty boxes
    for entry in sorted(manager.fontManager.ttflist, key=lambda e: (e.name, e.fname)) if wanted else ():
        if entry.name not in found and not entry.fname.startswith(own) and wanted & _letters(entry.fname):
            found.append(entry.name)
            wanted -= _letters(entry.fname)
    return found


def width(text: str) -> int:
    """Return how many columns a text takes: letters of East Asia take two, accents none.

    Examples
    --------
    >>> width("ab"), width("你好")
    (2, 4)
    """
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def name_ticks(axis: Any, names: Sequence[str], room: float, *, size: float = 10.0, rotation: float = 0.0) -> None:
    """Write names at 0, 1, ... along an axis: smaller where they are many, and every second, third, ... beyond that.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    names : sequence of str
    room : float
        The length of the axis, in points.
    size : float
        The largest size of the letters, in points.
    rotation : float
        Degrees.
    """
    pitch = room / max(1, len(names)) / _PITCH
    step = max(1, -int(-SMALLEST // pitch))
    places = range(0, len(names), step)
    size = max(SMALLEST, min(size, pitch))
    chosen = [names[i] for i in places]
    axis.set_ticks(places, shown(chosen), fontsize=size, fontfamily=families(chosen), parse_math=False)
    axis.set_tick_params(labelrotation=rotation)


def length_for(names: Sequence[str]) -> float:
    """Return how long an axis must be to name so many, in inches: at least 3, at most for 60."""
    return max(3.0, min(len(names), 60) * SMALLEST * _PITCH / 72)


def _missing(names: Sequence[str]) -> set[str]:
    """Return the letters that cannot be drawn."""
    manager, matplotlib = extra("matplotlib.font_manager", "plot"), extra("matplotlib", "plot")
    letters = set("".join(names))
    unprintable = {c for c in letters if not c.isprintable()}
    if matplotlib.rcParams["svg.fonttype"] == "none":
        return unprintable
    fonts = [manager.findfont(manager.FontProperties(family=[f])) for f in families(names)]
    return unprintable | letters.difference(*map(_letters, fonts))


@functools.lru_cache(maxsize=64)
def _letters(path: str) -> frozenset[str]:
    """Return the letters of a font."""
    try:
        return frozenset(map(chr, extra("matplotlib.font_manager", "plot").get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # a font that is listed and cannot be read
        return frozenset()


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _parted(names: Sequence[str]) -> list[str]:
    """Return names without the beginning and the end that all have in common, where something is left of each."""
    first, last = _shared(names), _shared([name[::-1] for name in names])
    rest = [name[first : len(name) - last] for name in names]
    if len(set(names)) < 2 or not all(rest):
        return list(names)
    return ["…" * (first > 0) + part + "…" * (last > 0) for part in rest]


def _shared(names: Sequence[str]) -> int:
    """Return how many letters all begin with, or 0 for one, which an ellipsis would not shorten."""
    n = len(list(itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))))
    return n if n > 1 else 0


def _short(letters: Sequence[str], longest: int) -> str:
    """Return a text of at most so many columns, an ellipsis in place of its middle."""
    if width("".join(letters)) <= longest:
        return "".join(letters)
    head, tail = _end(letters, longest // 2), _end(letters[::-1], (longest - 1) // 2)[::-1]
    return "".join([*head, "…", *tail])


def _end(letters: Sequence[str], columns: int) -> list[str]:
    """Return the first letters, of at most so many columns."""
    ends = list(itertools.accumulate(map(width, letters)))
    return list(letters[: sum(end <= columns for end in ends)])
