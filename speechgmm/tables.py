"""Tables of text as people and spreadsheets write them: UTF-8, a header, and commas, semicolons or tabs.

The header decides how fields are divided: by the delimiter that makes the required columns of it. Names of columns are
known whatever their case. A mark of byte order and line ends of any kind are no matter.
"""

import csv
import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

from speechgmm.checks import refuse
from speechgmm.files import check_readable

DELIMITERS = MappingProxyType({",": "commas", ";": "semicolons", "\t": "tabs"})
"""What may divide fields, and how messages call it."""


@dataclass(frozen=True)
class Header:
    """The `names` of the columns, known ones as they are known, and the `delimiter`, a key of `DELIMITERS`."""

    names: tuple[str, ...]
    delimiter: str

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers may have a decimal comma: spreadsheets that write semicolons do so because of it."""
        return self.delimiter == ";"

    def with_point(self, number: str) -> str:
        """Return a number with a decimal point."""
        return number.replace(",", ".") if self.decimal_comma else number

    @property
    def repeated(self) -> list[str]:
        """The names that stand in it more than once, whatever their case."""
        count = Counter(n.casefold() for n in self.names if n)
        return list(dict.fromkeys(n for n in self.names if count[n.casefold()] > 1))


def divided(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line, which may be quoted; the line itself where it is too long to be one."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def parse_header(line: str, required: Collection[str], known: Collection[str] = ()) -> Header:
    """Return the header that a line is: divided so that most of the required columns are found, then most columns.

    Parameters
    ----------
    line : str
    required, known : collection of str
        Columns that must be there, and that may be. Others keep the name that they have.

    Examples
    --------
    >>> parse_header("Path;Speaker;Note", ["path", "speaker"])
    Header(names=('path', 'speaker', 'Note'), delimiter=';')
    """
    names = {name.casefold(): name for name in (*required, *known)}
    found = []
    for delimiter in DELIMITERS:
        fields = [field.strip() for field in divided(line, delimiter)]
        found.append(Header(tuple(names.get(field.casefold(), field) for field in fields), delimiter))
    return max(found, key=lambda h: (len(set(required) & set(h.names)), len(h.names)))


@contextmanager
def reading(path: str | os.PathLike[str], mode: str = "r", encoding: str | None = "utf-8-sig") -> Iterator[IO[Any]]:
    """Open a file, of text with line ends of any kind by default, or refuse it.

    Raises
    ------
    InvalidInput
        If it cannot be opened, or is no text in UTF-8.
    """
    check_readable(path, "a table", pipes=mode == "r")
    try:
        with open(path, mode, encoding=encoding) as file:
            yield file
    except OSError as error:
        refuse(os.fspath(path), "be a readable file", f"this: {error.strerror}")
    except UnicodeDecodeError as error:
        refuse(os.fspath(path), "be UTF-8 text", f"this: {error}", "Spreadsheets call that format 'CSV UTF-8'.")
