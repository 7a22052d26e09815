"""Corpora as tables: a CSV, or a data frame of pandas or polars. A row for each recording, or for a part of one."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechgmm.checks import refuse, visible, with_article
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.problems import Problems
from speechgmm.frames import FRAME, cell_text, cells, is_frame
from speechgmm.tables import DELIMITERS, Header, parse_header, reading

_COLUMNS = ("path", "speaker", "session", "start", "end", "channel")
"""The columns that mean something to everybody."""

_DIGITS = 9
"""Of the number of a channel, at most; a longer one is refused as the name that it is when the recording is read."""


@dataclass(frozen=True)
class _Table:
    """What is known of all rows of a table: what it is called, where paths begin, its header, what each must have."""

    source: str
    folder: Path
    header: Header
    required: tuple[str, ...]

    def check(self, what: str, empty: str, advice: str) -> None:
        """Refuse a table without a column that must be there, or with two of one name; messages call it `what`."""
        names = self.header.names
        if missing := [c for c in self.required if c not in names]:
            rule = f"have the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
            refuse(what, rule, ", ".join(filter(None, names))[:200] or empty, advice)
        if self.header.repeated:
            found = " and ".join(map(repr, self.header.repeated))
            refuse(what, "have one column of each name, in whatever case", f"{found} several times")

    def recording(self, values: Sequence[str], row: str) -> Recording:
        """Return the recording that a row is."""
        columns = {name: field.strip() for name, field in zip(self.header.names, values, strict=True)}
        where = f"{row} of {self.source}"
        if not all(columns[name] for name in self.required):
            found = ", ".join(f"{name} {columns[name]!r}" for name in self.required)
            refuse(where, f"name {' and '.join(map(with_article, self.required))}", found)
        channel = columns.get("channel", "")
        start, end = (
            seconds(self.header.with_point(columns.get(name, "")), f"the {name} in {where}")
            for name in ("start", "end")
        )
        return Recording(
            path=str(self.folder / columns["path"]),
            speaker=visible(columns.get("speaker", ""), f"the speaker in {where}"),
            name=columns["path"],
            session=columns.get("session") or None,
            start=start or 0.0,
            end=end,
            channel=int(channel) if channel.isdecimal() and len(channel) <= _DIGITS else channel or "mix",
            columns=columns,
            row=row,
        )


def _required(label: str | None) -> tuple[str, ...]:
    return ("path",) if label is None else tuple(dict.fromkeys(("path", label)))


class Csv(CorpusLayout):
    """A file with a header, divided by commas, semicolons or tabs (`speechgmm.tables`)."""

    name = "a CSV"

    def recognizes(self, place: Place) -> bool:
        """Return whether it is a file, of whatever name."""
        return place.path.is_file()

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recording of each row; blank ones are passed over."""
        path, source, required = place.path, f"the manifest {place.path}", _required(label)
        with reading(path) as file:
            number, line = next(((n, line) for n, line in enumerate(file, 1) if line.strip()), (0, ""))
            table = _Table(str(path), path.parent, parse_header(line, required, _COLUMNS), required)
            advice = f"divided by commas, semicolons or tabs, as in: {','.join(required)}"
            table.check(source, "an empty file", f"Its first line names them, {advice}")
            header = table.header
            rows = csv.reader(file, delimiter=header.delimiter)
            try:
                every = [(f"line {number + rows.line_num}", row) for row in rows if any(row)]
            except csv.Error as error:
                refuse(source, "be a CSV", str(error))
        for row, values in every:
            with problems:
                if len(values) != len(header.names):
                    rule = (
                        f"hold {len(header.names)} fields divided by {DELIMITERS[header.delimiter]}, as the header does"
                    )
                    found = f"{len(values)} in {header.delimiter.join(values)[:200]!r}"
                    refuse(f"{row} of {path}", rule, found)
                yield table.recording(values, row)


def frame_recordings(frame: Any, label: str | None, problems: Problems) -> Iterator[Recording]:
    """Yield the recording of each row of a data frame of pandas or polars; paths are relative to the working folder.

    Raises
    ------
    InvalidInput
        If it is no data frame, or lacks a column.
    """
    if not is_frame(frame):
        refuse("a corpus", "be a path or a data frame of pandas or polars", type(frame).__name__)
    given = list(frame.columns)
    required = _required(label)
    known = {name.casefold(): name for name in (*required, *_COLUMNS)}
    names = tuple(known.get(str(c).strip().casefold(), str(c)) for c in given)
    table = _Table(FRAME, Path(), Header(names, ","), required)
    table.check(FRAME, "none", f"Name them {' and '.join(required)}.")
    columns = [map(cell_text, cells(frame, name)) for name in given]
    for i, values in enumerate(zip(*columns, strict=True)):
        with problems:
            yield table.recording(values, f"row {i}")


def seconds(value: str, where: str) -> float | None:
    """Return a number of seconds, None for none."""
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        refuse(where, "be a number of seconds", repr(value))
