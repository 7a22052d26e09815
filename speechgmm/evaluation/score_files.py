"""Trials and scores in files.

Two text formats of trials are in common use: `label enroll test` with the label 1 or 0 (VoxCeleb, Nagrani et al.
2017) and `enroll test target|nontarget` (Kaldi, Povey et al. 2011). Scores are a table with a header
(`speechgmm.tables`), Kaldi's lines `enroll test score` without one, or the columns of the table as arrays in a `.npz`
file. Text is UTF-8, and lines are counted from 1.

Large tables of text are read a block of lines at a time: each block is split into fields, these are parsed by columns,
and names are kept as numbers (`speechgmm.evaluation.name_index`). The numbers of the lines are kept as one more column,
so that a refusal names its line.
"""

import itertools
import math
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import length_hint
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.name_index import NameIndex, Numbering, repeated
from speechgmm.evaluation.table_columns import indexed
from speechgmm.evaluation.trials import (
    OPTIONAL,
    REQUIRED,
    Scores,
    Trials,
    check_header,
    contradiction,
    scores_of,
    whole_columns,
)
from speechgmm.files import Kind, has_member, replacing
from speechgmm.tables import DELIMITERS, Header, divided, parse_header, reading

PathLike = str | os.PathLike[str]
Table = TypeVar("Table", Scores, Trials)
_Parser = tuple[type, Callable[[str], float], str]
"""The type of a column, how a field is parsed, and what it must be."""

_ROWS = 100_000
"""Rows that are turned into text together."""
_BLOCK = 1 << 16
"""Characters of text that are read together: their fields stay in the processor's cache."""
_PACKED, _UNPACKED = 100, 1 << 26
"""A `.npz` file is at most so many times as large unpacked, small ones aside: scores are noise, which hardly packs."""
_KALDI = "Lines 'enroll test score' without a header, as Kaldi writes them, are read too."
_LENGTHS = 1 << 16
"""So many lengths are remembered: one test or speaker has many rows."""


def _holds_trials(path: Path) -> bool:
    """Say whether a file begins with a line of either style of trials."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline(_BLOCK).split()
    return len(first) == 3 and (first[0] in ("0", "1") or first[2] in ("target", "nontarget"))


def _holds_scores(path: Path) -> bool:
    """Say whether a file begins with the header of a table of scores, or holds it as arrays."""
    if has_member("score.npy")(path):
        return True
    with path.open(encoding="utf-8-sig") as file:
        return {"speaker", "test", "score"} <= set(file.readline(_BLOCK).rstrip("\n").split("\t"))


SCORES = Kind("a table of scores", _holds_scores)
"""What `write_scores` writes."""
TRIALS = Kind("a list of trials", _holds_trials)
"""What `write_trials` writes."""


def read_trials(path: PathLike) -> Trials:
    r"""Read a list of trials, in the style of VoxCeleb or of Kaldi, whichever fits the whole file.

    Blank lines are ignored. Where both styles fit every line, the file is taken to be Kaldi's.

    Raises
    ------
    InvalidInput
        For a file that cannot be read or is empty, and with the line number for a line of neither style, a line of the
        other style, or a repeated trial.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "trials.txt")
    >>> _ = place.write_text("1 ann a.wav\n0 bob a.wav\n")
    >>> read_trials(place).target.tolist()
    [1, 0]
    >>> folder.cleanup()
    """
    names = Numbering(), Numbering(), Numbering()
    with reading(path) as file:
        held = _columns(path, _blocks(file), {str(i): (np.int32, n.__getitem__, "") for i, n in enumerate(names)}, "")
    if not held:
        checks.refuse(os.fspath(path), "hold at least a trial", "an empty file")
    lines, *columns = held
    kaldi, voxceleb = (
        np.array([labels.get(name, -1) for name in names[i]], dtype=np.int8)[columns[i]]
        for i, labels in ((2, {"target": 1, "nontarget": 0}), (0, {"1": 1, "0": 0}))
    )
    labels = min(kaldi, voxceleb, key=lambda found: (int((found < 0).sum()), found[0] < 0))
    if (labels < 0).any():
        first = int(np.argmax(labels < 0))
        rule = "read '1|0 enroll test' or 'enroll test target|nontarget', in one style throughout the file"
        row = [list(n)[c[first]] for n, c in zip(names, columns, strict=True)]
        _refuse_line(path, lines[first], rule, repr(" ".join(row)))
    start = 0 if labels is kaldi else 1
    speaker, test = (names[i].index(columns[i]) for i in (start, start + 1))
    return _made(Trials, path, lines, {"speaker": speaker, "test": test, "target": labels})


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

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> from speechgmm.evaluation import Trials
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_trials(Trials(["ann", "bob"], ["a.wav", "a.wav"], [1, 0]), f"{folder.name}/trials", style="kaldi")
    >>> pathlib.Path(folder.name, "trials").read_text().splitlines()
    ['ann a.wav target', 'bob a.wav nontarget']
    >>> folder.cleanup()
    """
    checks.choice(style, "style", ("voxceleb", "kaldi"))
    unknown = int((trials.target == -1).sum())
    if unknown:
        checks.refuse("target", "be 1 or 0 in a file of trials", f"{unknown} of {len(trials)} trials without a label")
    for name in (*trials.speakers.names.tolist(), *trials.tests.names.tolist()):
        if name.split() != [name]:
            checks.refuse("names in a file of trials", "be free of spaces and line ends", repr(name))
    rows = zip(trials.speaker.tolist(), trials.test.tolist(), trials.target.tolist(), strict=True)
    if style == "voxceleb":
        _write(path, TRIALS, (f"{y} {s} {t}\n" for s, t, y in rows))
    else:
        _write(path, TRIALS, (f"{s} {t} {'target' if y else 'nontarget'}\n" for s, t, y in rows))


def read_scores(path: PathLike) -> Scores:
    r"""Read a table of scores: text with a header, Kaldi's lines, or arrays where the name ends in `.npz`.

    The columns `speaker test score` are required, `target test_speaker session enroll_seconds test_seconds attack
    failed` optional, in any order and case, divided by tabs, commas or semicolons; an empty target or length is one
    that is not known. Further columns are conditions. Where `failed` says "test" or "speaker", a trial has no score for
    want of one; where it is missing, nobody knows of failures.
    Lines `enroll test score` without a header are Kaldi's; their targets are not known. Blank lines are ignored.

    Raises
    ------
    InvalidInput
        For a file that cannot be read, missing or unknown columns, no rows, and with the line number for a row of the
        wrong length, a field that is not what its column holds, or a repeated pair.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "scores.csv")
    >>> _ = place.write_text("speaker,test,score,target\nann,a.wav,1.5,1\nbob,a.wav,-2.0,0\n")
    >>> read_scores(place)
    Scores(1 target, 1 nontarget, 2 speakers, 1 test)
    >>> folder.cleanup()
    """
    if os.fspath(path).endswith(".npz"):
        return _read_arrays(path)
    with reading(path) as file:
        return _read_table(path, file)


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

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.evaluation import Scores, read_scores
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_scores(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]), f"{folder.name}/scores.npz")
    >>> read_scores(f"{folder.name}/scores.npz").score
    array([ 1.5, -2. ])
    >>> folder.cleanup()
    """
    held = whole_columns(scores)
    if not os.fspath(path).endswith(".npz"):
        _write(path, SCORES, _lines(held))
        return
    whole: dict[str, Any] = {name: c.names[c.codes] if isinstance(c, NameIndex) else c for name, c in held.items()}
    with replacing(path, SCORES) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **whole)


# Text


def _score_if_any(field: str) -> float:
    """Return a number, NaN for an empty field; ValueError for another one."""
    return _score(field) if field else math.nan


def _score(field: str) -> float:
    """Return a number; ValueError if it is none, or not finite."""
    value = float(field)
    if not math.isfinite(value):
        raise ValueError(field)
    return value


@lru_cache(_LENGTHS)
def _length(field: str) -> float:
    """Return seconds, NaN where they are not known; ValueError for another field."""
    value = _score(field) if field else math.nan
    if value < 0:
        raise ValueError(field)
    return value


def _label(field: str) -> int:
    """Return a label, -1 where it is not known; ValueError for another field."""
    return ("0", "1", "").index(field) if field else -1


_SECONDS = "be a finite number of seconds, at least 0, or empty"
_NUMBERS: dict[str, _Parser] = {
    "score": (np.float64, _score, "be a finite number"),
    "target": (np.int8, _label, "be 1, 0 or empty"),
    "enroll_seconds": (np.float64, _length, _SECONDS),
    "test_seconds": (np.float64, _length, _SECONDS),
}
"""Of the columns that hold no text."""


def _read_table(path: PathLike, file: IO[str]) -> Scores:
    """Return the scores in an open file, read a block of lines at a time."""
    number, line = next(((n, line) for n, line in enumerate(file, 1) if line.strip()), (0, ""))
    if not line:
        checks.refuse(os.fspath(path), "hold at least a header and a row", "an empty file")
    if _is_kaldi(line):
        header, blocks = Header(REQUIRED, ""), _blocks(file, number, line)
    else:
        header = parse_header(line.removesuffix("\n"), REQUIRED, OPTIONAL)
        check_header(os.fspath(path), header.names, _KALDI)
        blocks = _blocks(file, number + 1, blank=" ")
    names = {n: Numbering(empty=n not in ("speaker", "test")) for n in header.names if n not in _NUMBERS}
    numbers = _NUMBERS | ({"score": (np.float64, _score_if_any, "be a finite number")} if "failed" in names else {})
    parsers = {n: numbers.get(n) or (np.int32, names[n].__getitem__, "not be empty") for n in header.names}
    if header.decimal_comma:
        parsers |= {
            n: (kind, _then(header.with_point, parse), rule)
            for n, (kind, parse, rule) in numbers.items()
            if n in parsers
        }
    held = _columns(path, blocks, parsers, header.delimiter)
    if not held:
        checks.refuse(os.fspath(path), "hold at least one row below the header", "none")
    lines, *whole = held
    found = {n: names[n].index(c) if n in names else c for n, c in zip(header.names, whole, strict=True)}
    if bad := contradiction(found):
        _refuse_line(path, lines[bad[0]], *bad[1:])
    return _made(scores_of, path, lines, _unlabeled(len(lines)) | found)


def _then(first: Callable[[str], str], parse: Callable[[str], float]) -> Callable[[str], float]:
    """Return the one function after the other."""
    return lambda field: parse(first(field))


def _is_kaldi(line: str) -> bool:
    """Return whether a line reads `enroll test score`; in a header the third field is no number."""
    try:
        return len(fields := line.split()) == 3 and math.isfinite(float(fields[2]))
    except ValueError:
        return False


def _unlabeled(rows: int) -> dict[str, Any]:
    """Return the column of targets of which none is known."""
    return {"target": np.full(rows, -1, dtype=np.int8)}


def _blocks(file: IO[str], first: int = 1, start: str = "", blank: str | None = None) -> Iterator[dict[int, str]]:
    """Yield the lines of a file that are not `blank` by their numbers, some at a time: of `start`, then the rest."""
    text = start + file.read(_BLOCK) + file.readline()
    while text:
        if rows := {number: row for number, row in enumerate(text.split("\n"), first) if row.strip(blank)}:
            yield rows
        first += text.count("\n")
        text = file.read(_BLOCK) + file.readline()


def _columns(
    path: PathLike, blocks: Iterable[dict[int, str]], parsers: Mapping[str, _Parser], delimiter: str
) -> list[NDArray[Any]]:
    """Return the numbers of the lines and then the columns, nothing where there is no line; refuse a bad line."""
    parsed = [[np.array(list(rows), dtype=np.int32), *_parsed(path, rows, parsers, delimiter)] for rows in blocks]
    return [np.concatenate(parts) for parts in zip(*parsed, strict=True)]


def _parsed(
    path: PathLike, rows: Mapping[int, str], parsers: Mapping[str, _Parser], delimiter: str
) -> list[NDArray[Any]]:
    """Return the columns of some rows, given by the numbers of their lines, or refuse a bad line."""
    fields = _fields(path, rows, len(parsers), delimiter)
    parsed: list[NDArray[Any]] = []
    for i, (name, (kind, parse, rule)) in enumerate(parsers.items()):
        column = fields[i :: len(parsers)]
        waiting = iter(column)
        try:
            parsed.append(np.fromiter(map(parse, waiting), kind, len(rows)))
        except ValueError:
            bad = len(rows) - length_hint(waiting) - 1  # the field taken last
            checks.refuse(f"{os.fspath(path)}, line {list(rows)[bad]}: {name}", rule, repr(column[bad]))
    return parsed


def _fields(path: PathLike, rows: Mapping[int, str], n: int, delimiter: str) -> list[str]:
    """Return the fields of some rows, one row after the other; fields divided by tabs are never quoted."""
    if delimiter == "\t":
        counts = [row.count("\t") + 1 for row in rows.values()]
        fields = "\t".join(rows.values()).split("\t")
    else:
        parts = [divided(row, delimiter) if delimiter else row.split() for row in rows.values()]
        counts, fields = list(map(len, parts)), list(itertools.chain.from_iterable(parts))
    if set(counts) - {n}:
        number, found = next((number, c) for number, c in zip(rows, counts, strict=True) if c != n)
        rule = (
            f"hold {n} fields divided by {DELIMITERS[delimiter]}, as the header does"
            if delimiter
            else f"hold {n} fields"
        )
        _refuse_line(path, number, rule, f"{found} in {rows[number]!r}")
    return fields


def _made(make: Callable[..., Table], path: PathLike, lines: NDArray[Any], held: Mapping[str, Any]) -> Table:
    """Return the table of these columns, or refuse the first line whose pair of names an earlier line holds."""
    try:
        return make(**held)
    except InvalidInput:
        if again := repeated(held["speaker"], held["test"]):
            speaker, test = (index.names[index.codes[again[1]]] for index in (held["speaker"], held["test"]))
            found = f"speaker '{speaker}' with test '{test}', which line {lines[again[0]]} holds too"
            _refuse_line(path, lines[again[1]], "hold a pair of speaker and test that no other line holds", found)
        raise


def _refuse_line(path: PathLike, number: int, rule: str, found: object) -> NoReturn:
    checks.refuse(f"{os.fspath(path)}, line {number},", rule, found)


def _rendered(name: str, values: list[Any]) -> list[str]:
    """Return the fields of a column, which are read as exactly the same values."""
    if name == "target":
        return [("0", "1", "")[value] for value in values]
    if name in _NUMBERS:
        return ["" if math.isnan(value) else repr(value) for value in values]
    for value in values:
        if any(mark in value for mark in "\t\n\r"):
            advice = "Write a .npz file instead."
            checks.refuse(name, "be free of tabs and line ends in a text file", repr(value), advice)
    return values


def _lines(held: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table, some at a time."""
    yield "\t".join(held) + "\n"
    names = {n: np.array(_rendered(n, c.names.tolist())) for n, c in held.items() if isinstance(c, NameIndex)}
    for start in range(0, len(held["score"]), _ROWS):
        rows = slice(start, start + _ROWS)
        texts = [
            names[name][column.codes[rows]].tolist() if name in names else _rendered(name, column[rows].tolist())
            for name, column in held.items()
        ]
        yield "".join("\t".join(row) + "\n" for row in zip(*texts, strict=True))


def _write(path: PathLike, kind: Kind, lines: Iterable[str]) -> None:
    """Write lines, which bring their line ends with them."""
    try:
        with replacing(path, kind) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    except UnicodeEncodeError as error:
        checks.refuse("names in a text file", "be valid Unicode", f"this: {error}")


# Arrays


def _read_arrays(path: PathLike) -> Scores:
    """Read the `.npz` form of a table of scores; never more than one column of names is there in full."""
    with reading(path, "rb", None) as file:
        try:
            if file.read(2) != b"PK":  # NumPy would take it for a pickle, and say so
                raise zipfile.BadZipFile("File is not a zip file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                _check_sizes(arrays.zip, os.fstat(file.fileno()).st_size)
                held = {name: _array(arrays, name) for name in arrays.files}
        except Exception as error:  # a header of an array is Python text, and its parser raises errors of its own
            checks.refuse(os.fspath(path), "be a readable .npz file of plain arrays", f"this: {error}")
    check_header(os.fspath(path), list(held), _KALDI)
    if "failed" in held:
        _check_failed(path, held)
    try:
        return scores_of(**_unlabeled(len(next(iter(held.values())))) | held)
    except InvalidInput as error:
        raise InvalidInput(f"{os.fspath(path)}: {error}") from None


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """Raise ValueError where arrays are larger than what is packed, or much larger than a file of so many bytes."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(_UNPACKED, _PACKED * size):
        raise ValueError(f"its {size} bytes unpack to {unpacked}, which no table of scores does")
    for member in archive.infolist():
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            shape, _, kind = getattr(np.lib.format, f"read_array_header_{version[0]}_0")(file)
        if math.prod(shape) * max(kind.itemsize, 1) > member.file_size:
            raise ValueError(f"{member.filename[:80]!r} of shape {shape} is larger than its {member.file_size} bytes")


def _array(arrays: Any, name: str) -> NDArray[Any] | NameIndex:
    """Return a column of an open `.npz` file; ValueError where it is no array."""
    if not isinstance(found := arrays[name], np.ndarray):
        raise ValueError(f"{name[:80]!r} is no array")
    if found.dtype.kind == "U" and found.size:
        characters = np.frombuffer(found.tobytes(), found.dtype.byteorder.replace("|", "=") + "u4")
        if characters.max(initial=0) > sys.maxunicode:
            raise ValueError(f"{name[:80]!r} is no text: it has characters beyond Unicode")
    return indexed(found)


def _check_failed(path: PathLike, held: Mapping[str, Any]) -> None:
    """Refuse arrays that cannot be divided into trials that have a score and trials that failed."""
    failed, score = held["failed"], held["score"]
    if not isinstance(failed, NameIndex) or isinstance(score, NameIndex) or score.dtype.kind != "f":
        checks.refuse(os.fspath(path), "hold text in the column failed and numbers in score", "other types")
    if lost := [name for name, column in held.items() if column.shape != failed.shape]:
        checks.refuse(os.fspath(path), f"have columns of {len(failed)} rows, as failed has", f"others in {lost[0]}")
    if bad := contradiction(held):
        checks.refuse(f"{os.fspath(path)}, row {bad[0]},", *bad[1:])
