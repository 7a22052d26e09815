"""What the commands show: tables or one JSON object, progress bars, and refusals of one line each.

Results go to standard output. Progress goes to standard error, and only to a terminal.
"""

import contextlib
import functools
import json
import math
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from speechgmm.checks import escaped
from speechgmm.errors import BadCorpus, SpeechGMMError

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

    from speechgmm.errors import Skipped
    from speechgmm.parallel import Progress
    from speechgmm.speakers import DamagedSession

_WIDE = 10_000
"""Columns of a file or pipe: there, no name is ever cut or folded."""
_LEAST = 24
"""Narrower terminals are left to break lines themselves."""
_ROOMY, _NARROW = 20, 12
"""Columns that text has before numbers are left out, and before rows become lines."""


class Commands(TyperGroup):
    """Commands whose refusals are one line on standard error and exit status 1, without a traceback."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        """Read what stands before the command."""
        with _usage_escaped():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with _usage_escaped():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except BadCorpus as error:
            for line in str(error).splitlines():
                complain(line)
            raise typer.Exit(1) from None
        except SpeechGMMError as error:
            message = str(error)
        except UnicodeEncodeError as error:
            message = f"names must be Unicode text; got {error.object!a}. Rename the file or the speaker."
        except OSError as error:
            message = f"the output must be written; got {error.strerror}. Free some space, or write elsewhere."
        except KeyboardInterrupt as error:
            complain("interrupted before it was done")
            raise typer.Exit(128 + (error.args[0] if error.args else signal.SIGINT)) from None
        complain(message)
        raise typer.Exit(1)


_WrongUsage: Any = typer.BadParameter.__bases__[0]
"""What typer raises for wrong usage."""


@contextlib.contextmanager
def _usage_escaped() -> Iterator[None]:
    """Escape what words that are no usage hold: a shell takes them from names of files."""
    try:
        yield
    except _WrongUsage as error:
        error.message = _seen(error.message)
        raise


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Let what asks this process to end (SIGTERM), or its terminal that is gone (SIGHUP), end it as Ctrl-C does.

    What is half done is undone then, as after an error. Who has told the process to ignore one of them is obeyed.
    """

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    here = threading.current_thread() is threading.main_thread()
    asked = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) and here]
    taken = [number for number in asked if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class Command(TyperCommand):
    """A command whose usage line names what must be given without braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


def emit(
    as_json: bool,
    document: Mapping[str, Any],
    *parts: "Table | Listing | str",
    warnings: Iterable[str] = (),
    damaged: "Sequence[DamagedSession] | None" = None,
    skipped: "Sequence[Skipped] | None" = None,
    errors: Iterable[tuple[str, str | None]] = (),
    status: int = 0,
) -> None:
    """Print the document as JSON, or the parts for people; leave with exit status 1 if a recording was left out.

    Parameters
    ----------
    as_json : bool
    document : mapping
    *parts : Table, Listing or str
    warnings : iterable of str
        Printed on standard error, a line for each.
    damaged : sequence of DamagedSession, optional
        What the store could not give. They are added to the document, and told on standard error.
    skipped : sequence of Skipped, optional
        Recordings that were left out. They are added to the document, and named on standard error.
    errors : iterable of (str, str or None)
        Files that the document lists already, and why each was left out if it was; named on standard error.
    status : int
        An exit status other than 0 that counts before that.
    """
    if damaged is not None:
        document = {**document, "damaged": [d.told for d in damaged]}
        warnings = [*warnings, *map(str, damaged)]
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


def _text(parts: "Iterable[Table | Listing | str]") -> str:
    """Return tables and lines as text, as wide as the terminal; for a file or pipe no name is cut or folded."""
    from rich.console import Console

    width = max(_LEAST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDE
    # a height too: of a terminal that calls itself dumb, rich would believe no width without one
    console = Console(width=width, height=25, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        for part in parts:
            console.print(_seen(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


@dataclass(frozen=True)
class Listing:
    """Rows under names, laid out for the width that there is.

    Where they do not fit, the numbers of `spare` are left out, one after the other; where what is left would be folded
    into narrow columns, each row becomes lines of its own, a name and a value each.

    Parameters
    ----------
    names : tuple of str
    rows : tuple of tuple of str
    numbers : frozenset of int
        Columns that are set flush right and never folded.
    spare : tuple of int
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int]
    spare: tuple[int, ...]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Table | str]":
        """Yield what fits."""
        shown = list(range(len(self.names)))
        for number in self.spare:
            if self._width(shown, _ROOMY) > options.max_width:
                shown.remove(number)
        yield self._table(shown) if self._width(shown, _NARROW) <= options.max_width else self._lines(shown)
        if lost := [name for i, name in enumerate(self.names) if i not in shown]:
            yield f"no room for: {'; '.join(lost)}"

    def _width(self, shown: list[int], most: int) -> int:
        """Return how wide these columns are if text is folded at `most`."""
        from rich.cells import cell_len

        widest = [
            max(cell_len(line) for cell in (self.names[i], *(row[i] for row in self.rows)) for line in cell.split("\n"))
            for i in shown
        ]
        held = (w if i in self.numbers else min(w, most) for i, w in zip(shown, widest, strict=True))
        return sum(held) + 3 * len(shown)

    def _table(self, shown: list[int]) -> "Table":
        """Return a table of these columns."""
        from rich import box
        from rich.table import Table

        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for i in shown:
            number = i in self.numbers
            made.add_column(self.names[i], justify="right" if number else "left", overflow="fold", no_wrap=number)
        for row in self.rows:
            made.add_row(*(row[i] for i in shown))
        return made

    def _lines(self, shown: list[int]) -> "Table":
        """Return these columns as lines, a name and a value each, with a blank line between two rows."""
        made = _pairs()
        for number, row in enumerate(self.rows):
            if number:
                made.add_row("", "")
            for i in shown:
                if row[i]:
                    made.add_row(self.names[i], row[i])
        return made


def table(*columns: str, rows: Iterable[Iterable[object]], spare: Sequence[str] | None = None) -> Listing:
    """Return rows to print; names that begin with ">" are of numbers, and floats have two decimals.

    For want of room the columns named `spare` are left out, the first ones first; by default all numbers may be.
    """
    numbers = [i for i, name in enumerate(columns) if name.startswith(">")]
    texts = (tuple(f"{cell:.2f}" if isinstance(cell, float) else _seen(cell) for cell in row) for row in rows)
    names = tuple(name.removeprefix(">") for name in columns)
    given_up = numbers if spare is None else map(names.index, spare)
    return Listing(names, tuple(texts), frozenset(numbers), tuple(given_up))


def _pairs() -> "Table":
    """Return an empty table of names and values."""
    from rich.table import Table

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(overflow="fold", min_width=8)
    made.add_column(overflow="fold")
    return made


def facts(rows: Mapping[str, object]) -> "Table":
    """Return a table of names and values."""
    made = _pairs()
    for name, value in rows.items():
        made.add_row(name, _seen(value))
    return made


@contextlib.contextmanager
def progress() -> "Iterator[Progress]":
    """Give a callback (stage, how much is done, how much there is) that draws a bar for each stage.

    A bar says how long it took and how long it will, of recordings also how much speech there was and how fast it went.
    """
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich import progress as rich
    from rich.console import Console

    counts, elapsed, left = rich.MofNCompleteColumn(), rich.TimeElapsedColumn(), rich.TimeRemainingColumn()
    columns = "{task.description}", rich.BarColumn(), counts, "{task.fields[heard]}", elapsed, "left", left
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)


class _Bars:
    """Bars on a terminal, one for each stage."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        """Begin without any."""
        self._bars = bars
        self._bar = functools.cache(functools.partial(bars.add_task, heard=""))

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Draw how much is done."""
        self._bars.update(self._bar(stage), completed=done, total=total)

    def heard(self, stage: str, seconds: float) -> None:
        """Say how much speech there was, and how many times faster than it was spoken."""
        bar = self._bar(stage)
        took = self._bars.tasks[bar].elapsed
        amount = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
        speed = f", {seconds / took:.0f} x real time" if took else ""
        self._bars.update(bar, heard=f"{amount} of speech{speed}")


def say_waiting(location: str) -> None:
    """Say, to a terminal, that another process holds a store."""
    if sys.stderr.isatty():
        complain(f"waiting for another process, which holds the store {location}; Ctrl-C ends this")


def complain(message: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(one_line(message))


def one_line(message: str) -> str:
    """Return a message as a line of standard error."""
    return f"speechgmm: {escaped(' '.join(message.splitlines()))}\n"


def _seen(value: object) -> str:
    """Return text for a terminal, its lines kept: names of files may hold what would move the cursor."""
    return "\n".join(map(escaped, str(value).split("\n")))


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
