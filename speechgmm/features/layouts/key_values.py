"""Tables of Kaldi's: lines of a key and a value."""

import functools
from pathlib import Path

from speechgmm.checks import refuse
from speechgmm.features import archives
from speechgmm.features.layouts.protocol import Place
from speechgmm.features.problems import Problems
from speechgmm.files import check_readable


def key_values(path: Path, problems: Problems) -> dict[str, tuple[str, str]]:
    """Return the value and the row (``line 3``) of each key of a file; bad lines are collected.

    Raises
    ------
    InvalidInput
        If it is no text.
    """
    check_readable(path, "a table")
    table: dict[str, tuple[str, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        refuse(str(path), "be text in UTF-8", str(error))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, *value = line.split(maxsplit=1)
        with problems:
            if not value or key in table:
                refuse(f"line {number} of {path}", "hold a key of its own and a value", repr(line))
            table[key] = (value[0].strip(), f"line {number}")
    return table


def listed_places(place: Place, path: Path, problems: Problems) -> dict[str, tuple[str, str]]:
    """Return, by name, the places in Kaldi archives that a `.scp` lists, each with its row.

    Parameters
    ----------
    place : Place
        Where archives are looked for that are not in the working folder.
    path : Path
        The list.
    problems : Problems
        What the lines name beside such places is collected.
    """
    located = functools.cache(place.located)
    found: dict[str, tuple[str, str]] = {}
    for name, (where, row) in key_values(path, problems).items():
        with problems:
            if not archives.is_place(where):
                advice = "Write archives first, as with: copy-feats scp:feats.scp ark,scp:new.ark,new.scp"
                refuse(f"{row} of {path}", "name a place in an archive, as in feats.ark:17", where, advice)
            archive = archives.file_of(where)
            found[name] = located(archive) + where[len(archive) :], row
    return found
