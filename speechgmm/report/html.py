"""Pieces of a web page: tables, pictures, numbers. Whatever comes from files is escaped here (`text`)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from speechgmm.checks import percent_of
from speechgmm.evaluation import Evaluation, Interval
from speechgmm.looks import text
from speechgmm.plot.svg import svg

SIZE, SMALL, LARGE = (5.2, 4.8), (4.2, 4.0), (10.4, 9.0)
"""Width and height of a picture, in inches: beside another one, beside a wide table, and alone."""


def beside(*parts: str, kind: str = "") -> str:
    """Return parts side by side where there is room, else one under the other.

    Pictures take what tables leave; parts of the kind "even" take halves.
    """
    boxes = (f'<div class="{kind or ("picture" if p.startswith("<figure") else "table")}">{p}</div>' for p in parts)
    return f'<div class="beside">{"".join(boxes)}</div>'


def figure(
    name: str, draw: Callable[[Any], object], description: str, caption: str, size: tuple[float, float] = SIZE
) -> str:
    """Return a picture with a caption, and a description for those who do not see it."""
    picture = svg(draw, name=name, description=description, size=size)
    return f"<figure>{picture}<figcaption>{text(caption)}</figcaption></figure>"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column names its rows; columns whose name begins with ">" hold numbers.

    Cells behind the first may have several lines.
    """
    kinds = [' class="number"' if name.startswith(">") else "" for name in header]
    names = [text(name.removeprefix(">")) for name in header]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(names, kinds, strict=True))
    body = ""
    for first, *others in rows:
        shown = (text(cell).replace("\n", "<br>") for cell in others)
        cells = "".join(f"<td{kind}>{inner}</td>" for inner, kind in zip(shown, kinds[1:], strict=True))
        body += f'<tr><th scope="row">{text(first)}</th>{cells}</tr>'
    inside = f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}"><table>{inside}</table></div>'


def percent(rate: float) -> str:
    """Return a rate in percent, with its unit."""
    return f"{percent_of(rate)} %"


def plain(value: float) -> str:
    """Return a cost."""
    return f"{value:.4f}"


def ends(interval: Interval | None, form: Callable[[float], str]) -> str:
    """Return the ends of an interval, the unit behind the second."""
    return "" if interval is None else f"{form(interval.low).removesuffix(' %')} to {form(interval.high)}"


def span(e: Evaluation, name: str, form: Callable[[float], str] = plain) -> str:
    """Return the ends of the interval of a rate of this name, nothing where it has none."""
    return ends(e.intervals.get(name), form)
