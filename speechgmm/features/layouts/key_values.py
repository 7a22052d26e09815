"""Tables of Kaldi's: lines of a key and a value."""

from pathlib import Path

from speechgmm.checks import refuse
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
