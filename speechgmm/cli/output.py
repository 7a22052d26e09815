"""What the commands show: tables or one JSON object, progress bars, and refusals of one line each.

Results go to standard output. Progress goes to standard error, and only to a terminal.
"""

import contextlib
import functools
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from speechgmm.errors import SpeechGMMError

if TYPE_CHECKING:
    from rich.table import Table

    from speechgmm.errors import Skipped
    from speechgmm.parallel import Progress

_WIDE = 10_000
"""Columns of a file or pipe: there, no name is ever cut or folded."""


class Commands(TyperGroup):
    """Commands whose refusals are one line on standard error and exit status 1, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except SpeechGMMError as error:
            message = str(error)
        except UnicodeEncodeError as error:
            message = f"names must be Unicode text; got {error.object!a}. Rename the file or the speaker."
        except OSError as error:
            message = f"the output must be written; got {error.strerror}. Free some space, or write elsewhere."
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        complain(message)
        raise typer.Exit(1)


class Command(TyperCommand):
    """A command whose usage line names what must be given without braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


def emit(
    as_json: bool,
    document: Mapping[str, Any],
    *parts: "Table | str",
    warnings: Iterable[str] = (),
    skipped: "Sequence[Skipped] | None" = None,
    errors: Iterable[tuple[str, str | None]] = (),
    status: int = 0,
) -> None:
    """Print the document as JSON, or the parts for people; leave with exit status 1 if a recording was left out.

    Parameters
    ----------
    as_json : bool
    document : mapping
    *parts : Table or str
    warnings : iterable of str
        Printed on standard error, a line for each.
    skipped : sequence of Skipped, optional
        Recordings that were left out. They are added to the document, and named on standard error.
    errors : iterable of (str, str or None)
        Files that the document lists already, and why each was left out if it was; named on standard error.
    status : int
        An exit status other than 0 that counts before that.
    """
    if skipped is not None:
        errors = [(s.name, s.reason) for s in skipped]
        document = {**document, "skipped": [{"file": name, "error": reason} for name, reason in errors]}
    print(json.dumps(_plain(document), allow_nan=False) if as_json else _text(parts))
    for message in warnings:
        complain(message)
    left_out = [(name, reason) for name, reason in errors if reason]
    for name, reason in left_out:
        complain(f"left out: {reason}" if _named(name, reason) else f"left out {name}: {reason}")
    if status or left_out:
        raise typer.Exit(status or 1)


def _text(parts: "Iterable[Table | str]") -> str:
    """Return tables and lines as text, as wide as the terminal; for a file or pipe no name is cut or folded."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def table(*columns: str, rows: Iterable[Iterable[object]]) -> "Table":
    """Return a table; columns whose name begins with ">" are set flush right, and floats have two decimals."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        right = name.startswith(">")
        made.add_column(name.removeprefix(">"), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        made.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    return made


def facts(rows: Mapping[str, object]) -> "Table":
    """Return a table of names and values."""
    from rich.table import Table

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(name, str(value))
    return made


@contextlib.contextmanager
def progress() -> "Iterator[Progress]":
    """Give a callback (stage, how much is done, how much there is) that draws a bar for each stage."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich import progress as rich
    from rich.console import Console

    columns = rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeElapsedColumn()
    with rich.Progress("{task.description}", *columns, console=Console(stderr=True), transient=True) as bars:
        bar = functools.cache(bars.add_task)  # one for each stage
        yield lambda stage, done, total: bars.update(bar(stage), completed=done, total=total)


def complain(message: str) -> None:
    """Print one line on standard error."""
    print("speechgmm: " + " ".join(message.splitlines()), file=sys.stderr)


def _named(name: str, reason: str) -> bool:
    """Return whether a message names this file, by itself or at the end of a path; a bare word might mean anything."""
    return "." in name and re.search(rf"(?:^|[\s/]){re.escape(name)}(?:[\s,;:.]|$)", reason) is not None


def _plain(value: Any, name: str = "") -> Any:
    """Return what JSON can hold: null for what is not finite; seconds to three decimals."""
    if isinstance(value, Mapping):
        return {k: _plain(v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, name) for v in value]
    if isinstance(value, float):
        value = round(value, 3) if name.endswith("seconds") else value
        return value if math.isfinite(value) else None
    return value
