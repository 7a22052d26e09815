"""Lessons: notebooks of recipes/notebooks/ as pages, with their outputs and pictures as they are kept. Nothing is run.

A page of one line, `<!-- notebook: 1_first_speaker_model -->`, becomes the whole of that notebook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).resolve().parents[2] / "recipes" / "notebooks"
PROMPT = "# > "
"""What stands before each line that a cell printed, below its code."""
PICTURE = "[picture] "
"""What stands before the titles of a picture that a cell drew, among the lines that it printed."""

_PAGE = re.compile(r"<!-- notebook: (\w+) -->\s*")
_ANSWER = "### Answer"


@dataclass(frozen=True)
class Cell:
    """A cell: whether it is text, its lines, the number of the first in the file, and what it printed."""

    is_text: bool
    lines: tuple[str, ...]
    first: int
    shown: tuple[str, ...] = ()

    @property
    def at(self) -> int:
        """The number of the first line of what is shown, or would be."""
        return self.first + len(self.lines)


def cells(text: str) -> list[Cell]:
    """Return the cells of a notebook in jupytext's percent format; what stands before the first is left out."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    ends = [*starts[1:], len(lines)]
    return [_cell(lines[start], lines[start + 1 : end], start + 2) for start, end in zip(starts, ends, strict=True)]


def _cell(mark: str, lines: list[str], first: int) -> Cell:
    while lines and not lines[-1]:
        lines = lines[:-1]
    if mark.startswith("# %% [markdown]"):
        return Cell(True, tuple(line.removeprefix("#").removeprefix(" ") for line in lines), first)
    end = len(lines)
    while end and lines[end - 1].startswith(PROMPT.rstrip()):
        end -= 1
    shown = (line.removeprefix(PROMPT.rstrip()).removeprefix(" ") for line in lines[end:])
    return Cell(False, tuple(lines[:end]), first, tuple(shown))


def page(name: str, text: str) -> str:
    """Return a notebook as a page in MyST; each answer is folded."""
    program = f"../../recipes/notebooks/{name}.py"
    note = f"This lesson is a notebook: {{download}}`{name}.py <{program}>`. [](index.md) says how to open it."
    parts, folded, pictures = [], False, 0
    for number, cell in enumerate(cells(text)):
        for line in cell.lines if cell.is_text else ():
            if folded and re.match("#{1,3} ", line):
                parts += ["::::", ""]
                folded = False
            if line.startswith(_ANSWER):
                line = f"::::{{dropdown}} {line.removeprefix('### ')}"
                folded = True
            parts.append(line)
        if not cell.is_text:
            parts += _shown(cell, name, pictures)
            pictures += sum(line.startswith(PICTURE) for line in cell.shown)
        parts += ["", note, ""] if number == 0 else [""]
    return "\n".join([*parts, *(["::::"] if folded else [])]) + "\n"


def _shown(cell: Cell, name: str, pictures: int) -> Iterator[str]:
    """Yield the lines of a cell of code: the code, what it printed, and its pictures, of which some came before."""
    yield from ("```python", *cell.lines, "```")
    if printed := [line for line in cell.shown if not line.startswith(PICTURE)]:
        yield from ("```output", *printed, "```")
    titles = [line.removeprefix(PICTURE) for line in cell.shown if line.startswith(PICTURE)]
    for number, title in enumerate(titles, pictures + 1):
        told = re.sub(r"([][*_`$<>])", r"\\\1", title)
        yield from ("", f"![{told}](pictures/{picture(name, number)})")


def picture(name: str, number: int) -> str:
    """Return the file of a picture of a notebook, counted from 1."""
    return f"{name}_{number}.png"


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    if found := _PAGE.fullmatch(source[0]):
        source[0] = page(found[1], (NOTEBOOKS / f"{found[1]}.py").read_text(encoding="utf-8"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Put notebooks into their pages when these are read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
