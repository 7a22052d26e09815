"""How values look: a line of text for `repr`, and a small piece of a page for notebooks.

A value that derives from `Shown` says in one method, `_look`, what matters of it; `repr` and `_repr_html_` follow from
that, so that no other class writes HTML. Nothing in it has a color or a script: a notebook's own colors hold, light and
dark. Names are text, whatever is in them.
"""

import dataclasses
import html
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from speechgmm.checks import escaped, percent_of

MOST_ROWS = 10
"""Rows that a table shows at most."""
_LONGEST = 80
"""Characters of a part of a `repr` at most: a file may hold a name of a megabyte."""
_FEW = 4
"""So many values of a tuple are written out."""
_RULE = "1px solid rgba(128,128,128,.35)"


@dataclass(frozen=True)
class ShownTable:
    """Rows under names; of names that begin with ">" the cells are numbers, and `more` rows are not shown."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


def some_rows(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[object]], of: int | None = None
) -> ShownTable:
    """Return a table of the first rows, which says how many there are beside them, `of` so many; default: these."""
    shown = tuple(tuple(map(str, row)) for row in rows[:MOST_ROWS])
    return ShownTable(caption, tuple(header), shown, (len(rows) if of is None else of) - len(shown))


@dataclass(frozen=True)
class Look:
    """What is seen of a value.

    Parameters
    ----------
    words : tuple of str
        What a `repr` says between its brackets.
    facts : mapping
        Names and values that a page shows below that.
    tables : tuple of ShownTable
    picture : callable, optional
        Gives an <svg> element, see `sketch`; a `repr` does not ask for it.
    """

    words: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    tables: tuple[ShownTable, ...] = ()
    picture: Callable[[], str] | None = None


class Shown:
    """What gives a class its `repr`, and its look in notebooks, by what `_look` says.

    By default that is a dataclass's fields which are not as usual, arrays by their shapes.
    """

    _FIRST: ClassVar[tuple[str, ...]] = ()
    """Fields that are told even where they are as usual."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Give each subclass the `repr` as its own, or `dataclass` would write another one."""
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def _look(self) -> Look:
        usual = self._usual()
        told = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.repr}  # type: ignore[arg-type]
        kept = {n: v for n, v in told.items() if n in self._FIRST or not _same(v, usual.get(n, dataclasses.MISSING))}
        return Look(
            tuple(f"{n}={brief(v)}" for n, v in kept.items()), {n: brief(v) for n, v in told.items() if v is not None}
        )

    def _usual(self) -> dict[str, Any]:
        """Return the values of fields that go without saying."""
        return {f.name: f.default for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Return what matters in one line; of a value that is just being made only its kind."""
        try:
            words = self._look().words
        except Exception:  # a debugger shows values whose fields are not there yet
            words = ("...",)
        return f"{type(self).__name__}({', '.join(map(_shortened, words))})"

    def _repr_html_(self) -> str:
        """Return the same for a notebook, with tables, and a picture where it helps."""
        return page_part(type(self).__name__, self._look())


def _same(value: Any, usual: Any) -> bool:
    if value is usual:
        return True
    return type(value) is type(usual) and isinstance(value, (bool, int, float, str, tuple)) and value == usual


def brief(value: Any) -> str:
    """Return a value in a few words: arrays by their shapes, long tuples and mappings by their lengths.

    Examples
    --------
    >>> brief(np.zeros((3, 2))), brief((1.0, 2.0)), brief({"a": 1})
    ('array of 3 x 2', '(1.0, 2.0)', '1 entry')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return f"array of {' x '.join(map(str, value.shape))}" if value.ndim else brief(value.item())
    if isinstance(value, Mapping):
        return f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}"
    if type(value) in (tuple, list, set, frozenset):
        few = len(value) <= _FEW and all(isinstance(v, (bool, int, float, str)) for v in value)
        return repr(value) if few else f"{len(value)} of {_kind(value)}"
    return repr(value)


def _kind(values: Iterable[Any]) -> str:
    """Return what the first of some values is, in a word."""
    return type(next(iter(values))).__name__


def speech_of(value: float) -> str:
    """Return an amount of speech, where it is known."""
    return "an unknown amount of speech" if math.isnan(value) else f"{value:.1f} s of speech"


def share(value: float | None) -> str:
    """Return a rate in percent, nothing for none."""
    return "" if value is None or math.isnan(value) else f"{percent_of(value)} %"


def _shortened(words: str) -> str:
    """Return words for a terminal, without what cannot be seen, and without their end where they are too long."""
    seen = escaped(words)
    return seen if len(seen) <= _LONGEST else f"{seen[: _LONGEST - 3]}..."


def text(value: str) -> str:
    """Return text as a page shows it: no markup, and with escapes for what cannot be seen, but for ends of lines."""
    return html.escape("\n".join(map(escaped, value.split("\n"))))


def page_part(title: str, look: Look) -> str:
    """Return a piece of a page with a title, facts, tables and a picture, in the colors of that page."""
    words = ", ".join(map(_shortened, look.words))
    parts = [f"<div><b>{text(title)}</b> {text(words)}</div>"]
    if look.facts:
        parts.append(_html_table(ShownTable("", ("", ""), tuple((n, str(v)) for n, v in look.facts.items()))))
    parts += map(_html_table, look.tables)
    parts += [] if look.picture is None else [look.picture()]
    return f'<div style="max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def _html_table(table: ShownTable) -> str:
    """Return a table; one whose columns have no names has no header."""
    left, right = (f"text-align:{side};vertical-align:top;padding:2px 10px 2px 0" for side in ("left", "right"))
    sides = [right if name.startswith(">") else left for name in table.header]

    def row(tag: str, cells: Iterable[str], more: str = "") -> str:
        inside = "".join(
            f'<{tag} style="{side}{more}">{text(cell).replace(chr(10), "<br>")}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f'<tr style="background:none">{inside}</tr>'

    names = [name.removeprefix(">") for name in table.header]
    head = f"<thead>{row('th', names, f';border-bottom:{_RULE}')}</thead>" if any(names) else ""
    body = "".join(row("td", cells) for cells in table.rows)
    if table.more:
        body += f'<tr style="background:none"><td colspan="{len(names)}" style="{left}">and {table.more} more</td></tr>'
    caption = f'<caption style="{left};caption-side:top">{text(table.caption)}</caption>' if table.caption else ""
    style = "border-collapse:collapse;border:none;margin:6px 0"
    return f'<table style="{style}">{caption}{head}<tbody>{body}</tbody></table>'


@dataclass(frozen=True)
class Axis:
    """One axis of a sketch: its name, its ends, and where on it stands what."""

    name: str
    low: float
    high: float
    ticks: Mapping[str, float]

    def place(self, value: float, start: float, stop: float) -> float:
        """Return where a value lies between two places, which stand for the ends; beyond them it lies at an end."""
        part = (value - self.low) / ((self.high - self.low) or 1.0)
        return start + min(1.0, max(0.0, part)) * (stop - start)


_WIDTH, _HEIGHT = 280.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 270.0, 8.0, 180.0
_NEAR = 1.5
"""Points that are nearer to each other, in pixels, are one."""


def sketch(
    points: Iterable[tuple[float, float]], x: Axis, y: Axis, described: str, mark: tuple[float, float] | None = None
) -> str:
    """Return a line through points as a small <svg> element, in the color of the text around it.

    Parameters
    ----------
    points : iterable of (float, float)
    x, y : Axis
    described : str
        What is seen, for those who do not see it.
    mark : (float, float), optional
        A point that is marked.
    """

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return x.place(point[0], _LEFT, _RIGHT), y.place(point[1], _BOTTOM, _TOP)

    line = " L".join(f"{a:.1f} {b:.1f}" for a, b in _apart(map(at, points)))
    inside = [f'<path d="M{line}" fill="none" stroke="currentColor" stroke-width="1.6"/>'] if line else []
    if mark is not None:
        a, b = at(mark)
        inside.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="currentColor"/>')
    inside += [*_grid(x, y), _label(x.name, (_LEFT + _RIGHT) / 2, _HEIGHT - 6)]
    turned = f"rotate(-90 11 {(_TOP + _BOTTOM) / 2:.0f})"
    inside.append(_label(y.name, 11, (_TOP + _BOTTOM) / 2, more=f' transform="{turned}"'))
    size = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}"'
    style = 'style="max-width:100%;font:10px sans-serif" role="img"'
    return f'<svg {size} {style} aria-label="{text(described)}">{"".join(inside)}</svg>'


def _apart(points: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield points that can be told from the one before, and the last one."""
    last, waiting = None, None
    for point in points:
        waiting = point
        if last is None or math.dist(point, last) >= _NEAR:
            yield point
            last, waiting = point, None
    if waiting is not None:
        yield waiting


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    """Yield the lines of a grid, and what they stand for."""
    for name, value in x.ticks.items():
        at = x.place(value, _LEFT, _RIGHT)
        yield f'<path d="M{at:.1f} {_TOP}V{_BOTTOM}" stroke="currentColor" stroke-opacity=".25"/>'
        yield _label(name, at, _BOTTOM + 13)
    for name, value in y.ticks.items():
        at = y.place(value, _BOTTOM, _TOP)
        yield f'<path d="M{_LEFT} {at:.1f}H{_RIGHT}" stroke="currentColor" stroke-opacity=".25"/>'
        yield _label(name, _LEFT - 5, at + 3.5, anchor="end")


def _label(words: str, x: float, y: float, *, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor"{more}>{text(words)}</text>'
