"""How files are spoiled: bytes anywhere, and what a format says where it says it. The same generator spoils alike.

Bytes are flipped, put in, taken out, doubled, swapped, cut off or become numbers that are hard for readers. Beside that
the JSON of a model gets other values and the digest that it then has, headers of safetensors and of NumPy say other
shapes and ranges, chunks of RIFF and of IFF other sizes, fields of tables and nodes of JSON become what nobody writes.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import sqlite3
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from speechgmm import storage

Generator = np.random.Generator
Mutation = Callable[[bytes, Generator], bytes]

INTEGERS = [0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32]
INTEGERS += [2**36, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
"""Numbers at the edges of types."""
WORDS = [
    "",
    " ",
    "\0",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1",
    "1e308",
    "1e-320",
    "0x10",
    "9" * 5000,
    "1_0",
]
WORDS += [
    "\t",
    "\n",
    "\r",
    ",",
    ";",
    '"',
    "'",
    "\\",
    "/",
    "../../x",
    "/dev/zero",
    "|",
    "true",
    "null",
    "[]",
    "{}",
    "x" * 70_000,
]
WORDS += ["\u202e", "\u200b", "\ufeff", "e\u0301", "\U0001f600", "\x1b[2J", "\x7f", "\u2028", "é" * 300, "½", "٣"]
"""Fields of tables that are hard for readers."""
NODES: list[Any] = [None, True, -1, 0, 3, 1e300, -1e-320, 10**400, 2**63, "", "x", "nan", "\ud800", "a\u202eb", "\0"]
NODES += [[], [1], [None], {}, {"a": 1}, [[[[[]]]]], {"$array": "no"}, {"$float": "nan"}, {"$dict": {}}, [1e308] * 40]
"""Nodes of JSON that are hard for readers."""


def _place(data: bytes, rng: Generator, size: int = 1) -> int:
    """Return a place; half of them are in the header."""
    end = max(len(data) - size, 0) + 1
    return int(rng.integers(min(end, 256) if rng.random() < 0.5 else end))


def _flip(data: bytes, rng: Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if changed:
            changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _insert(data: bytes, rng: Generator) -> bytes:
    at, size = _place(data, rng), int(rng.choice([1, 2, 4, 8, 100, 5000]))
    new = bytes(size) if rng.random() < 0.3 else rng.bytes(size)
    return data[:at] + new + data[at:]


def _delete(data: bytes, rng: Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.choice([1, 2, 4, 8, 100, 5000])) :]


def _truncate(data: bytes, rng: Generator) -> bytes:
    return data[: _place(data, rng)]


def _double(data: bytes, rng: Generator) -> bytes:
    at, size = _place(data, rng), int(rng.choice([4, 16, 200, 4000]))
    return data[: at + size] + data[at : at + size] * int(rng.choice([1, 2, 30])) + data[at + size :]


def _swap(data: bytes, rng: Generator) -> bytes:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    size = min(int(rng.choice([1, 4, 64])), b - a)
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def _number(data: bytes, rng: Generator) -> bytes:
    """Write one of the hard numbers, of 1 to 8 bytes in either order; half of them where fields lie."""
    size = int(rng.choice([1, 2, 4, 8]))
    at = _place(data, rng, size)
    at -= at % size if rng.random() < 0.5 else 0
    value = INTEGERS[rng.integers(len(INTEGERS))] % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, "little" if rng.random() < 0.5 else "big") + data[at + size :]


def _float(data: bytes, rng: Generator) -> bytes:
    kind = str(rng.choice(["<f4", "<f8", ">f4", ">f8"]))
    value = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e38, 1e-40, 0.0])
    new = np.array(value).astype(kind).tobytes()
    at = _place(data, rng, len(new))
    return data[:at] + new + data[at + len(new) :]


def _empty(data: bytes, rng: Generator) -> bytes:
    return b"" if rng.random() < 0.5 else bytes(len(data))


BYTES: list[Mutation] = [_flip, _flip, _insert, _delete, _truncate, _double, _swap, _number, _number, _number, _float]
BYTES += [_empty]


def _chunks(data: bytes, rng: Generator) -> bytes:
    """Change the size, the name or the content of a chunk of RIFF (little-endian) or IFF (big-endian)."""
    order = "big" if data[:4] == b"FORM" else "little"
    at, places = 12, [0]
    while at + 8 <= len(data):
        places.append(at)
        at += 8 + int.from_bytes(data[at + 4 : at + 8], order) + 1 & ~1
    at = places[int(rng.integers(len(places)))]
    size = int.from_bytes(data[at + 4 : at + 8], order)
    how = rng.integers(4)
    if how == 0:
        wrong = [size + 1, size - 1, 2 * size, size // 2, *INTEGERS]
        new = wrong[int(rng.integers(len(wrong)))] % 2**32
        return data[: at + 4] + new.to_bytes(4, order) + data[at + 8 :]
    if how == 1:
        return data[: at + 8] + _number(data[at + 8 : at + 8 + size], rng) + data[at + 8 + size :]
    if how == 2:
        return data[:at] + data[at : at + 8 + size] + data[at:]
    return data[:at] + data[at + 8 + size :]


def _nodes(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all nodes inside one of JSON."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [p for key, value in inner for p in [(*path, key), *_nodes(value, (*path, key))]]


def changed_json(value: Any, rng: Generator) -> Any:
    """Return JSON of which one node is another one, is gone, scaled, doubled or under another name."""
    value = copy.deepcopy(value)
    if not (paths := _nodes(value)):
        return NODES[int(rng.integers(len(NODES)))]
    path = paths[int(rng.integers(len(paths)))]
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    key, how = path[-1], rng.integers(7)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[WORDS[int(rng.integers(len(WORDS)))]] = holder.pop(key)
    elif how == 2 and isinstance(holder[key], (int, float)):
        holder[key] = holder[key] * type(holder[key])(rng.choice([-1, 0, 2, 1000]))
    elif how == 3:
        holder[key] = INTEGERS[int(rng.integers(len(INTEGERS)))]
    elif how == 4 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how == 5:
        holder[key] = WORDS[int(rng.integers(len(WORDS)))]
    else:
        holder[key] = NODES[int(rng.integers(len(NODES)))]
    return value


def _model(data: bytes, rng: Generator) -> bytes:
    """Change what a model's header says, of its value (with the digest that it then has) or of its arrays."""
    size = int.from_bytes(data[:8], "little")
    outer = json.loads(data[8 : 8 + size])
    inner = json.loads(outer["__metadata__"]["speechgmm"])
    body, how = data[8 + size :], rng.integers(3)
    if how == 0:
        outer = changed_json(outer, rng)
    else:
        if how == 1:
            inner["value"] = changed_json(inner["value"], rng)
        elif body:
            body = _float(body, rng)
        with np.errstate(all="ignore"):
            arrays = {n: a for n, e in outer.items() if n != "__metadata__" and (a := _array(e, body)) is not None}
        with contextlib.suppress(ValueError):  # what is not finite has no digest
            inner["digest"] = storage._digest(json.loads(json.dumps(inner["value"])), arrays)
        outer["__metadata__"]["speechgmm"] = json.dumps(inner)
    text = json.dumps(outer)
    text += " " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text.encode() + body


def _array(entry: Any, body: bytes) -> np.ndarray[Any, Any] | None:
    """Return the array of an entry of safetensors, nothing where there is none."""
    try:
        kind = "?" if entry["dtype"] == "BOOL" else f"<{entry['dtype'][0].lower()}{int(entry['dtype'][1:]) // 8}"
        return np.frombuffer(body[slice(*entry["data_offsets"])], kind).reshape(entry["shape"])
    except (TypeError, KeyError, ValueError):
        return None


def _lines(data: bytes, rng: Generator) -> bytes:
    """Change a field of a table, or its lines."""
    lines = data.decode(errors="replace").split("\n")
    at, how = int(rng.integers(len(lines))), rng.integers(6)
    if how == 0:
        lines.insert(int(rng.integers(len(lines))), lines[at])
    elif how == 1:
        del lines[at]
    elif how == 2:
        return "\n".join(lines).replace(*(str(c) for c in rng.choice([" ", "\t", ",", ";", "\n", "\r\n"], 2))).encode()
    elif how == 3:
        lines[at] += str(rng.choice([",", "\t", " ", ";"])) + WORDS[int(rng.integers(len(WORDS)))]
    else:
        mark = max("\t ,;", key=lines[at].count)
        fields = lines[at].split(mark)
        fields[int(rng.integers(len(fields)))] = WORDS[int(rng.integers(len(WORDS)))]
        lines[at] = mark.join(fields)
    return "\n".join(lines).encode(errors="surrogatepass")


def _json_lines(data: bytes, rng: Generator) -> bytes:
    lines = data.decode(errors="replace").split("\n")
    at = int(rng.integers(len(lines)))
    try:
        lines[at] = json.dumps(changed_json(json.loads(lines[at]), rng))
    except (ValueError, RecursionError):
        lines[at] = "[" * int(rng.choice([1, 100_000]))
    return "\n".join(lines).encode()


def _zipped(data: bytes, rng: Generator) -> bytes:
    """Unpack, change, pack again: a damaged archive tells of itself."""
    return gzip.compress(_json_lines(gzip.decompress(data), rng), mtime=0)


def _npy(data: bytes, rng: Generator) -> bytes:
    """Change what the header of a `.npy` file says of type, order and shape."""
    size = int.from_bytes(data[8:10], "little")
    header, how = data[10 : 10 + size], rng.integers(4)
    number = str(INTEGERS[int(rng.integers(len(INTEGERS)))])
    shapes = [
        f"({number},)",
        f"({number}, {number})",
        f"(2, -{number})",
        "()",
        "(0, 3)",
        "(1,) * 9",
        f"({'9' * 5000}, 1)",
    ]
    if how == 0:
        begin, end = header.find(b"("), header.find(b")")
        header = header[:begin] + shapes[int(rng.integers(len(shapes)))].encode() + header[end + 1 :]
    elif how == 1:
        kind = rng.choice(
            ["<f8", "<f4", "|O", "<c16", "<M8[s]", "<U3", "|V9", "|b1", ">i8", "[('a', '<f4')]", "<f0", "|S0"]
        )
        begin, end = header.find(b": '"), header.find(b"', ")
        header = header[: begin + 3] + str(kind).encode() + header[end:]
    elif how == 2:
        header = header.replace(b"False", rng.choice([b"True", b"None", b"1"]))
    else:
        header = b"(" * int(rng.choice([10, 3000])) + header
    return data[:8] + struct.pack("<H", len(header) % 65536) + header + data[10 + size :]


def _npz(data: bytes, rng: Generator) -> bytes:
    """Change a member of a zip archive, drop it, double it or call it otherwise; its sum of control is right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at, how = int(rng.integers(len(members))), rng.integers(5)
    name, held = members[at]
    if how < 2:
        members[at] = name, (_npy if how else BYTES[int(rng.integers(len(BYTES)))])(held, rng)
    elif how == 2:
        del members[at]
    elif how == 3:
        members[at] = str(rng.choice(["speaker.npy", "x.npy", "failed.npy", "target", "../x.npy", "session.npy"])), held
    else:
        members.append((f"more{rng.integers(9)}.npy", held))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that comes twice
        for name, held in members:
            archive.writestr(zipfile.ZipInfo(name), held)
    return packed.getvalue()


def _rows(data: bytes, rng: Generator) -> bytes:
    """Change, drop or double a row of a table of SQLite."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(data)
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table' order by name")]
        table = tables[int(rng.integers(len(tables)))]
        columns = [row[1] for row in db.execute(f"pragma table_info({table})")]
        rows = [row for (row,) in db.execute(f"select rowid from {table} order by rowid")]
        row, column = rows[int(rng.integers(len(rows)))], columns[int(rng.integers(len(columns)))]
        ((value,),) = db.execute(f"select {column} from {table} where rowid = {row}").fetchall()
        new: Any = [None, -1, 2**62, 1e300, b"", WORDS[int(rng.integers(len(WORDS)))]][int(rng.integers(6))]
        if isinstance(value, bytes) and rng.random() < 0.7:
            changes = [_model, *BYTES]
            new = changes[int(rng.integers(len(changes)))](value, rng)
        if rng.random() < 0.1:
            db.execute(f"delete from {table} where rowid = {row}")
        else:
            db.execute(f"update or replace {table} set {column} = ? where rowid = {row}", [new])
        db.commit()
        return bytes(db.serialize())


OF: dict[str, list[Mutation]] = {
    ".sgmm": [_model],
    **{ending: [_chunks] for ending in (".wav", ".aiff", ".rf64")},
    **{e: [_lines] for e in (".csv", ".tsv", ".txt", ".scp", "segments", "utt2spk", "text.ark")},
    ".jsonl": [_json_lines, _lines],
    ".db": [_rows],
    ".dubm": [_lines],
    ".mmf": [_lines],
    ".gz": [_zipped],
    ".npy": [_npy],
    ".npz": [_npz],
}
"""What is done to files beside changes of their bytes, by how their names end."""


def spoiled(name: str, data: bytes, rng: Generator) -> bytes:
    """Return a file, of which one to four things are changed, as is done to files whose names end so."""
    own = [m for ending, some in OF.items() if name.endswith(ending) for m in some]
    for _ in range(int(min(rng.geometric(0.6), 4))):
        choices = own if own and rng.random() < 0.7 else BYTES
        # what is spoiled already may be no file of its format any more, and stays as it is
        with np.errstate(all="ignore"), contextlib.suppress(Exception):
            data = choices[int(rng.integers(len(choices)))](data, rng)
    return data[: 1 << 22]
