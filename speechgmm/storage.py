"""Frozen values of arrays, numbers, text and nested values <-> one safetensors file.

The file holds every array as a tensor and the rest as sorted JSON under one metadata key, with a digest over both,
so that the same value gives the same bytes and a damaged file is refused. Nothing is ever unpickled or imported
by a name from a file: `load` builds only the types that the caller passes. A type whose name or fields have changed
says so in the class variables ``FORMER_NAMES`` (a tuple) and ``FORMER_FIELDS`` (old name -> new name), so that older
files are still read. ``LATER_FIELDS`` (name -> value) are fields that came later, with what files without them mean: a
field of that value is left out, so that values of before keep their fingerprints. Types that a value is made of are
known with it where ``PARTS`` names them; a type that a program has made known itself (`know`) may be nested anywhere.

What can be stored: frozen dataclasses of arrays (bool, integer and float types), None, bool, int, float (NaN and
infinities too), str, and tuples, lists and str-keyed mappings of these. Lists come back as tuples.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import IO, Any

import numpy as np

from speechgmm import __version__
from speechgmm.checks import refuse, with_article
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.files import Kind, check_readable, replacing
from speechgmm.tensors import check_ranges, header_length

__all__ = ["dumps", "fingerprint", "kind_of", "know", "load", "loads", "read_header", "save", "versions"]

_KEY = "speechgmm"
_FORMAT = 1
_AGAIN = "Copy or train it again."
_DEEPEST = 100
"""How deep values may be nested: far deeper than any is, and less than Python can follow."""
_Tensors = dict[str, np.ndarray[Any, Any]]
_KNOWN: dict[str, type] = {}
"""Types by their names that this process has made known."""


def save(value: Any, path: str | os.PathLike[str]) -> None:
    """Write a frozen dataclass to one file: beside it first, then renamed, so that no half file is ever seen.

    Raises
    ------
    InvalidInput
        If the value holds something that cannot be stored, or the file must not or cannot be written: see
        `speechgmm.files.check_writable`.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.storage import load
    >>> folder = tempfile.TemporaryDirectory()
    >>> gmm = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]]))
    >>> save(gmm, f"{folder.name}/gmm.sgmm")
    >>> load(f"{folder.name}/gmm.sgmm", GMM, Diagonal).means.tolist()
    [[-1.0], [1.0]]
    >>> folder.cleanup()
    """
    data = dumps(value)
    with replacing(path, kind_of(type(value))) as beside:
        beside.write_bytes(data)


def kind_of(cls: type) -> Kind:
    """Return what a file is that holds a value of a type, which may say in its class variable ``KIND`` what it is.

    Examples
    --------
    >>> import speechgmm
    >>> kind_of(speechgmm.System).name
    'a model of speakers'
    """
    names = {cls.__name__, *getattr(cls, "FORMER_NAMES", ())}
    name = getattr(cls, "KIND", f"a file with {with_article(cls.__name__)}")
    return Kind(name, lambda path: read_header(path).get("$type") in names)


def load(path: str | os.PathLike[str], *types: type) -> Any:
    """Read what `save` wrote; the first of `types` is the one expected, the others may be nested in it.

    Raises
    ------
    InvalidInput
        If the file is missing, is not such a file, or is damaged.
    IncompatibleModel
        If it holds another type, or was written by a later version of the format.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.storage import save
    >>> folder = tempfile.TemporaryDirectory()
    >>> gmm = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]]))
    >>> save(gmm, f"{folder.name}/gmm.sgmm")
    >>> load(f"{folder.name}/gmm.sgmm", GMM, Diagonal).weights.tolist()
    [0.5, 0.5]
    >>> folder.cleanup()
    """
    source = str(path)
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        header = _header(_beginning(file, size), source, size)
        _check_arrays(header, size, source)  # before the arrays are read
        file.seek(0)
        data = file.read(size)
    return _built(header, data, types, source)


def know(cls: type) -> None:
    """Let `load` build a type of your own wherever it is nested in a value, until this process ends.

    A later one of the same name takes its place; what a call of `load` names comes before both.

    Examples
    --------
    >>> from dataclasses import make_dataclass
    >>> from speechgmm.storage import dumps, loads
    >>> Microphone = make_dataclass("Microphone", ["name"], frozen=True)
    >>> Room = make_dataclass("Room", ["microphone"], frozen=True)
    >>> know(Microphone)
    >>> loads(dumps(Room(Microphone("on the table"))), Room).microphone.name
    'on the table'
    """
    _KNOWN[cls.__name__] = cls


def dumps(value: Any) -> bytes:
    """Return the bytes that `save` would write.

    Examples
    --------
    >>> from speechgmm.features import MFCC
    >>> from speechgmm.storage import loads
    >>> loads(dumps(MFCC(sample_rate=8000)), MFCC) == MFCC(sample_rate=8000)
    True
    """
    from safetensors.numpy import save as to_bytes

    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        refuse("a stored value", "be a dataclass instance", type(value).__name__)
    tensors: _Tensors = {}
    try:
        body = _encode(value, "", tensors)
    except RecursionError:
        refuse("a stored value", f"be nested at most {_DEEPEST} deep", "one that is deeper, or holds itself")
    _check_nodes(body, "a stored value")
    header = {"format": _FORMAT, "value": body, "digest": _digest(body, tensors)}
    return bytes(to_bytes(tensors, metadata={_KEY: _json(header)}))


def loads(data: bytes, *types: type, source: str = "the data") -> Any:
    """Build a value from the bytes of `dumps`; `source` names them in messages.

    Examples
    --------
    >>> from speechgmm.features import MFCC
    >>> from speechgmm.storage import dumps
    >>> loads(dumps(MFCC(sample_rate=8000)), MFCC).sample_rate
    8000
    """
    header = _header(data, source)
    _check_arrays(header, len(data), source)
    return _built(header, data, types, source)


def _built(header: "_Header", data: bytes, types: tuple[type, ...], source: str) -> Any:
    """Return the value of a file's bytes, whose header was checked, as the first of some types."""
    tensors = _arrays(data, source)
    if header.digest != _digest(header.value, tensors):
        refuse(source, "be unchanged since it was saved", "another digest", _AGAIN)
    every = [part for t in (*_KNOWN.values(), *types) for part in (t, *getattr(t, "PARTS", ()))]
    former = {name: t for t in every for name in getattr(t, "FORMER_NAMES", ())}
    known = former | {t.__name__: t for t in every}
    found = header.value["$type"]
    if known.get(found) is not types[0]:
        refuse(source, f"hold {with_article(types[0].__name__)}", with_article(str(found)), error=IncompatibleModel)
    return _decode(header.value, known, tensors, source)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the JSON part of a file (settings, versions, data summary), without building anything.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.storage import save
    >>> folder = tempfile.TemporaryDirectory()
    >>> save(GMM([1.0], [[0.0]], Diagonal([[1.0]])), f"{folder.name}/gmm.sgmm")
    >>> header = read_header(f"{folder.name}/gmm.sgmm")
    >>> header["$type"], sorted(header["fields"])
    ('GMM', ['covariance', 'means', 'origin', 'weights'])
    >>> folder.cleanup()
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        return _header(_beginning(file, size), str(path), size).value


def fingerprint(*values: Any) -> str:
    """Return 16 hexadecimal digits that depend on the content of values alone.

    Examples
    --------
    >>> from speechgmm.features import MFCC
    >>> slow, fast = MFCC(sample_rate=8000), MFCC(sample_rate=16000)
    >>> fingerprint(slow) == fingerprint(MFCC(sample_rate=8000)), fingerprint(slow) == fingerprint(fast)
    (True, False)
    """
    tensors: _Tensors = {}
    body = [_encode(v, str(i), tensors) for i, v in enumerate(values)]
    return _digest(body, tensors)[:16]


def versions(*libraries: str) -> dict[str, str]:
    """Return the versions of this package, of Python and of libraries, for what a file says of its making.

    Examples
    --------
    >>> sorted(versions("numpy", "scipy"))
    ['numpy', 'python', 'scipy', 'speechgmm']
    """
    found = {"speechgmm": __version__, "python": platform.python_version()}
    return found | {name: version(name) for name in libraries}


def _encode(value: Any, name: str, tensors: _Tensors) -> Any:
    """Turn a value into JSON, moving arrays to `tensors` under their dotted path."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        later = getattr(value, "LATER_FIELDS", {})
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        fields = {k: v for k, v in fields.items() if k not in later or not _same(v, later[k])}
        encoded = {k: _encode(v, f"{name}.{k}".lstrip("."), tensors) for k, v in fields.items()}
        return {"$type": type(value).__name__, "fields": encoded}
    if isinstance(value, (np.ndarray, np.generic)):
        tensors[name] = _plain(value, name)
        return {"$array": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [_encode(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(k, str) for k in value):
            refuse(f"the keys of {name}", "be text to be stored", f"{list(value)[:3]}")
        # dots in keys are escaped, so that {"a.b": x} and {"a": {"b": x}} keep apart
        parts = {k: k.replace("\\", "\\\\").replace(".", "\\.") for k in value}
        return {"$dict": {k: _encode(v, f"{name}.{parts[k]}", tensors) for k, v in value.items()}}
    return refuse(f"{name or 'a stored value'}", "be an array, number, text or a value of these", type(value).__name__)


def _same(value: Any, plain: float | None) -> bool:
    """Return whether a value, which may be an array, is None or this number."""
    return value is None if plain is None else isinstance(value, (int, float)) and value == plain


def _storable(a: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is of a type that files hold."""
    return a.dtype.kind in "biuf" and a.dtype.itemsize <= 8


def _plain(value: np.ndarray[Any, Any] | np.generic, name: str) -> np.ndarray[Any, Any]:
    """Return a C-contiguous, little-endian array: safetensors stores others transposed or swapped in silence."""
    a = np.asarray(value)
    if not _storable(a):
        refuse(f"the array {name}", "be of a bool, integer or float type of up to 64 bits", str(a.dtype))
    return np.array(a, dtype=a.dtype.newbyteorder("<"), order="C", copy=True)


def _decode(body: Any, types: Mapping[str, type], tensors: _Tensors, source: str) -> Any:
    """Build the value of one JSON node that `_check_nodes` has let pass."""
    if isinstance(body, list):
        return tuple(_decode(b, types, tensors, source) for b in body)
    if not isinstance(body, dict):
        return body
    if "$array" in body:
        return tensors[body["$array"]]
    if "$float" in body:
        return float(body["$float"])
    if "$dict" in body:
        return {k: _decode(v, types, tensors, source) for k, v in body["$dict"].items()}
    cls = types.get(body["$type"])
    if cls is None:
        refuse(source, f"hold only {', '.join(types)}", with_article(str(body["$type"])), error=IncompatibleModel)
    former = getattr(cls, "FORMER_FIELDS", {})
    fields = {former.get(k, k): _decode(v, types, tensors, source) for k, v in body["fields"].items()}
    fields = {**getattr(cls, "LATER_FIELDS", {}), **fields}
    _check_fields(cls, fields, source)
    try:
        return cls(**fields)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{source} must hold a valid {cls.__name__}; {error}") from error


def _check_fields(cls: Any, found: Iterable[str], source: str) -> None:
    """Refuse fields that a later version has added to a type, or a lack of those that an earlier one did not know."""
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}
    if unknown := sorted(set(found) - set(known)):
        rule, also = f"hold only the settings of {cls.__name__}", f"also {', '.join(unknown)}"
        advice = "It was written by a later version: update speechgmm."
        refuse(source, rule, also, advice, error=IncompatibleModel)
    missing = dataclasses.MISSING
    needed = [n for n, f in known.items() if f.default is missing and f.default_factory is missing]
    if lost := [n for n in needed if n not in set(found)]:
        rule, without = f"hold {with_article(cls.__name__)} as this version writes it", f"one without {', '.join(lost)}"
        advice = "It was written by an earlier version: train it again."
        refuse(source, rule, without, advice, error=IncompatibleModel)


@dataclass(frozen=True)
class _Header:
    """What stands before the arrays: the `value` without them, the `digest` of both, and where the `arrays` lie.

    `arrays` has the entries of safetensors by name, `length` are the bytes before the first array.
    """

    value: dict[str, Any]
    digest: Any
    arrays: dict[str, Any]
    length: int


def _header(data: bytes, source: str, size: int | None = None) -> _Header:
    """Return the checked header of a file of a size that begins with these bytes; without one, of these alone."""
    length = header_length(data, len(data))
    try:
        outer = _parsed(data[8 : 8 + length])
        meta = outer.pop("__metadata__")
        inner = _parsed(meta[_KEY])
        written, value, digest = inner["format"], inner["value"], inner["digest"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        rule, advice = "be a speechgmm file (safetensors with a header)", "Give a file that speechgmm wrote."
        refuse(source, rule, f"{len(data) if size is None else size} other bytes", advice)
    if written != _FORMAT:
        found, advice = f"format {written!r}"[:200], "Update speechgmm."
        refuse(source, f"be of format {_FORMAT}", found, advice, error=IncompatibleModel)
    _check_nodes([value], source)
    if not isinstance(value, dict) or "$type" not in value:
        refuse(source, "hold a value with a type", "one without", error=IncompatibleModel)
    return _Header(value, digest, outer, 8 + length)


def _check_arrays(header: _Header, size: int, source: str) -> None:
    """Refuse a file of so many bytes whose arrays are not all of it, or not those that its value names, once each."""
    check_ranges(header.arrays, size - header.length, source)
    named: set[str] = set()
    waiting: list[Any] = [header.value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and "$array" in node:
            if (name := node["$array"]) in named:
                refuse(source, "hold an array for each place in its value", f"{name!r} in two places", _AGAIN)
            named.add(name)
        waiting.extend(_held(node) or ())
    if lost := sorted(named - set(header.arrays)):
        refuse(source, "hold every array that its header names", f"none of the name {lost[0]!r}")
    if unused := sorted(set(header.arrays) - named):
        refuse(source, "hold only arrays that its value names", f"also {unused[0]!r}", _AGAIN)


def _parsed(text: Any) -> Any:
    """Return what JSON says; ValueError where a key comes twice in an object, or a number is not finite."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a key that comes twice")
        return found

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(number)
        return value

    return json.loads(text, object_pairs_hook=once, parse_float=finite, parse_constant=finite)


def _check_nodes(value: Any, source: str) -> None:
    """Refuse JSON that `_encode` cannot have made, or that is nested too deep; level by level, without recursion."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        held = [_held(node) for node in level]
        if strange := [node for node, inner in zip(level, held, strict=True) if inner is None]:
            rule, found = "hold values as speechgmm writes them", f"an object with {', '.join(map(repr, strange[0]))}"
            refuse(source, rule, found[:200], _AGAIN)
        level = [node for inner in held if inner is not None for node in inner]
        if not level:
            return
    refuse(source, f"be nested at most {_DEEPEST} deep", "deeper values")


def _held(node: Any) -> Iterable[Any] | None:
    """Return the nodes that a JSON node holds, None where it is no node."""
    if not isinstance(node, dict):
        return node if isinstance(node, list) else ()
    if len(node) == 2 and isinstance(node.get("$type"), str):
        inner = node.get("fields")
        return inner.values() if isinstance(inner, dict) else None
    mark, inner = next(iter(node.items())) if len(node) == 1 else ("", None)
    if (mark == "$array" and isinstance(inner, str)) or (mark == "$float" and inner in ("nan", "inf", "-inf")):
        return ()
    return inner.values() if mark == "$dict" and isinstance(inner, dict) else None


def _arrays(data: bytes, source: str) -> _Tensors:
    """Return the tensors in a file's bytes, whose header was checked."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        tensors: _Tensors = from_bytes(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        refuse(source, "be a whole model file", f"a damaged one ({error})", _AGAIN)
    return tensors


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for reading, or refuse it."""
    check_readable(path, "the model file")
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        refuse("the model file", "exist", f"{path}, which does not")
    except OSError as error:
        refuse("the model file", "be a readable file", f"{path} ({error.strerror})")


def _beginning(file: IO[bytes], size: int) -> bytes:
    """Return the header of an open file of so many bytes, or what is there of a file that has none."""
    beginning = file.read(8)
    return beginning + file.read(header_length(beginning, size))


def _digest(body: Any, tensors: _Tensors) -> str:
    digest = hashlib.sha256(_json(body).encode())
    for name in sorted(tensors):
        a = tensors[name]
        digest.update(f"{name} {a.dtype.str} {a.shape} ".encode())
        digest.update(np.ascontiguousarray(a).reshape(-1).data)
    return digest.hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
