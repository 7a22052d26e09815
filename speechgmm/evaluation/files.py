"""Trials and scores in files.

Two text formats of trials are in common use: `label enroll test` with the label 1 or 0 (VoxCeleb, Nagrani et al.
2017) and `enroll test target|nontarget` (Kaldi, Povey et al. 2011). Scores are tab-separated with a header, or the
same columns as arrays in a `.npz` file.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import text
from speechgmm.evaluation.names import Index, index_names, repeated
from speechgmm.evaluation.table import read_table
from speechgmm.evaluation.text import PathLike
from speechgmm.evaluation.trials import Scores, Trials, columns

__all__ = ["read_scores", "read_trials", "write_scores", "write_trials"]

_ROWS = 100_000
"""Rows that are turned into text together."""


def read_trials(path: PathLike) -> Trials:
    """Read a list of trials, in the style of VoxCeleb or of Kaldi, whichever fits the whole file.

    Blank lines are ignored. Where both styles fit every line, the file is taken to be Kaldi's.

    Raises
    ------
    InvalidInput
        For a file that cannot be read or is empty, and with the line number for a line of neither style, a line of the
        other style, or a repeated trial.
    """
    numbers, rows = text.rows(path, "a trial", None)
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != 3:
            text.refuse_line(path, number, "hold three fields", f"{len(row)} in {' '.join(row)!r}")
    labels = {
        "kaldi": [{"target": 1, "nontarget": 0}.get(row[2]) for row in rows],
        "voxceleb": [{"1": 1, "0": 0}.get(row[0]) for row in rows],
    }
    style = min(labels, key=lambda s: (labels[s].count(None), labels[s][0] is None))
    if None in labels[style]:
        first = labels[style].index(None)
        rule = "read '1|0 enroll test' or 'enroll test target|nontarget', in one style throughout the file"
        text.refuse_line(path, numbers[first], rule, repr(" ".join(rows[first])))
    start = 0 if style == "kaldi" else 1
    speaker, test = ([row[i] for row in rows] for i in (start, start + 1))
    _refuse_repeated_line(path, numbers.__getitem__, *(index_names(np.array(names)) for names in (speaker, test)))
    return Trials(speaker=np.array(speaker), test=np.array(test), target=np.array(labels[style], dtype=np.int8))


def write_trials(trials: Trials, path: PathLike, *, style: str = "voxceleb") -> None:
    """Write a list of labeled trials; the file appears whole or not at all.

    Parameters
    ----------
    trials : Trials
    path : path-like
    style : {"voxceleb", "kaldi"}
        `label enroll test` or `enroll test target|nontarget`.

    Raises
    ------
    InvalidInput
        For trials without a label, names with spaces, or a place that cannot be written to.
    """
    checks.choice(style, "style", ("voxceleb", "kaldi"))
    unknown = int((trials.target == -1).sum())
    if unknown:
        checks.refuse("target", "be 1 or 0 in a file of trials", f"{unknown} of {len(trials)} trials without a label")
    lines = []
    for s, t, y in zip(trials.speaker.tolist(), trials.test.tolist(), trials.target.tolist(), strict=True):
        for name in (s, t):
            if name.split() != [name]:
                checks.refuse("names in a file of trials", "be free of spaces and line ends", repr(name))
        lines.append(f"{y} {s} {t}\n" if style == "voxceleb" else f"{s} {t} {'target' if y else 'nontarget'}\n")
    text.write(lines, path)


def read_scores(path: PathLike) -> Scores:
    """Read a table of scores: tab-separated text with a header, or arrays where the name ends in `.npz`.

    The columns `speaker test score target` are required, `test_speaker session enroll_seconds test_seconds` optional,
    in any order; an empty target or length is one that is not known. Blank lines are ignored.

    Raises
    ------
    InvalidInput
        For a file that cannot be read, missing or unknown columns, no rows, and with the line number for a row of the
        wrong length, a field that is not what its column holds, or a repeated pair.
    """
    if os.fspath(path).endswith(".npz"):
        return _read_arrays(path)
    table = read_table(path, lambda header: _check_columns(path, header))
    if table.empty:
        checks.refuse(os.fspath(path), "hold at least one row below the header", "none")
    held = {name: table.take(name) for name in table.header}
    try:
        return Scores(**held)
    except InvalidInput:
        _refuse_repeated_line(path, table.line, held["speaker"], held["test"])
        raise


def write_scores(scores: Scores, path: PathLike) -> None:
    """Write a table of scores that `read_scores` gives back exactly; the file appears whole or not at all.

    Parameters
    ----------
    scores : Scores
    path : path-like
        A name ending in `.npz` makes a file of arrays (no pickle); any other name tab-separated text.

    Raises
    ------
    InvalidInput
        For names with tabs or line ends (in text), or a place that cannot be written to.
    """
    held = columns(scores)
    if os.fspath(path).endswith(".npz"):
        buffer = io.BytesIO()
        whole = {name: column.column() if isinstance(column, Index) else column for name, column in held.items()}
        np.savez_compressed(buffer, **whole)  # type: ignore[arg-type]  # text, integers and floats: nothing that would be pickled
        return text.replace(buffer.getvalue(), path)
    return text.write(_lines(held), path)


def _lines(held: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table in text, some at a time."""
    yield "\t".join(held) + "\n"
    names = {n: np.array(text.render(n, c.names.tolist())) for n, c in held.items() if isinstance(c, Index)}
    for start in range(0, len(held["score"]), _ROWS):
        rows = slice(start, start + _ROWS)
        texts = [
            names[name][column.codes[rows]].tolist() if name in names else text.render(name, column[rows].tolist())
            for name, column in held.items()
        ]
        yield "".join("\t".join(row) + "\n" for row in zip(*texts, strict=True))


def _check_columns(path: PathLike, header: Sequence[str]) -> None:
    """Refuse a header with missing, unknown or repeated columns, and name them."""
    required = [field.name for field in fields(Scores) if field.default is not None]
    known = [field.name for field in fields(Scores)]
    faults = {
        "missing": [name for name in required if name not in header],
        "unknown": [name for name in header if name not in known],
        "repeated": [name for i, name in enumerate(header) if name in header[:i]],
    }
    for fault, names in faults.items():
        if names:
            rule = f"have the columns {', '.join(required)} and no others than {', '.join(known[len(required) :])}"
            checks.refuse(os.fspath(path), rule, f"{fault} {', '.join(map(repr, names))}")


def _read_arrays(path: PathLike) -> Scores:
    """Read the `.npz` form of a table of scores."""
    content = text.read(path)
    try:
        if not content.startswith(b"PK"):  # NumPy would take it for a pickle, and say so
            raise zipfile.BadZipFile("File is not a zip file")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            held = {name: _kept(file[name], optional=name not in ("speaker", "test")) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        checks.refuse(os.fspath(path), "be a readable .npz file of plain arrays", f"this: {error}")
    _check_columns(path, list(held))
    try:
        return Scores(**held)
    except InvalidInput as error:
        raise InvalidInput(f"{os.fspath(path)}: {error}") from None


def _kept(column: NDArray[Any], *, optional: bool) -> Any:
    """Return a column of a file as `Scores` keeps it, so that never more than one column of names is there in full."""
    good = column.dtype.kind == "U" and column.ndim == 1 and len(column)
    if good and (optional or (column != "").all()):
        return index_names(column)
    column.setflags(write=False)
    return column


def _refuse_repeated_line(path: PathLike, line: Callable[[int], int], speakers: Index, tests: Index) -> None:
    """Refuse the first line whose pair of names an earlier line holds."""
    again = repeated(speakers, tests)
    if again:
        first, second = line(again[0]), line(again[1])
        pair = [index.names[index.codes[again[1]]] for index in (speakers, tests)]
        rule = "hold a pair of speaker and test that no other line holds"
        text.refuse_line(path, second, rule, f"speaker '{pair[0]}' with test '{pair[1]}', which line {first} holds too")
