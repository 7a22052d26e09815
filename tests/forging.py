"""Files of every stored type with one thing changed and the digest made right again, as only a forger makes them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_bytes

from speechgmm import storage

Array = NDArray[Any]
Body = dict[str, Any]

HUGE = 10**400
DEEP = "deep"
JUNK: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 7, 3000, 1e300, -1e300, 1e-320, 0.5, -0.0, HUGE, 2**63, -HUGE, "", "x", "mfcc"),
    *("\ud800", "a\u202eb", "a\x00", "nan", [], [1], [None], ["a", "b"], [[1.0], [2.0, 3.0]], {}, {"a": 1}, DEEP),
    *({"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}, {"$float": "one"}, {"$float": 1}, {"$array": "no"}),
    *({"$array": None}, {"$dict": {}}, {"$dict": []}, {"$dict": {"a": 1.5}}, {"$type": "GMM"}, {"fields": {}}),
    *({"$type": None, "fields": {}}, {"$type": [], "fields": {}}, {"$type": "GMM", "fields": {}}),
    *({"$type": "MFCC", "fields": {}}, {"$type": "Diagonal", "fields": {"variances": [[1.0]]}}),
]
"""What a JSON node is replaced by."""
NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 5.0, 1e9, -1e9, 1e38, 1e160, -1e160, 1e300, -1e300, 1e-300, 5e-324]
"""What an entry of an array is replaced by."""


def opened(data: bytes) -> tuple[Body, dict[str, Array]]:
    """Return the JSON body and the tensors of a file."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["speechgmm"])
    return header["value"], tensors_of(data)


def closed(body: Any, tensors: Mapping[str, Array]) -> bytes:
    """Return the file of a body and tensors, with the digest that they have."""
    plain = {name: np.array(a, order="C") for name, a in tensors.items()}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    header = {"format": 1, "value": json.loads(text), "digest": storage._digest(body, plain)}
    return bytes(to_bytes(plain, metadata={"speechgmm": json.dumps(header)}))


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node of a body but the outermost."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


def deep() -> list[Any]:
    """Lists in lists, 300 deep."""
    value: list[Any] = []
    for _ in range(300):
        value = [value]
    return value


def changed_body(body: Body, rng: np.random.Generator) -> tuple[str, Body]:
    """Return a body of which one node is another, is gone, or has another name; and what was done."""
    body = copy.deepcopy(body)
    paths = list(places(body))
    path = paths[rng.integers(len(paths))]
    holder: Any = body
    for key in path[:-1]:
        holder = holder[key]
    key, how = path[-1], rng.integers(8)
    if how == 0:
        del holder[key]
        return f"{path} gone", body
    if how == 1 and isinstance(holder, dict):
        holder[f"{key}?"] = holder.pop(key)
        return f"{path} renamed", body
    old = holder[key]
    if how == 2 and isinstance(old, (int, float)):
        new: Any = float(old) * float(rng.choice([-1, 1e-6, 0.5, 2, 1e3, 1e12, 1e200]))
        new = old if not np.isfinite(new) else int(new) if isinstance(old, int) and rng.random() < 0.7 else new
    elif how == 3 and isinstance(old, list):
        new = old[:-1] if rng.random() < 0.5 else old[::-1]
    elif how == 4:
        paths = list(places(body))
        new = body
        for step in paths[rng.integers(len(paths))]:
            new = new[step]
        new = copy.deepcopy(new)
    else:
        new = JUNK[rng.integers(len(JUNK))]
    holder[key] = deep() if new is DEEP else new
    return f"{path}: {str(old)[:40]} -> {str(new)[:40]}", body


def changed_tensors(tensors: Mapping[str, Array], rng: np.random.Generator) -> tuple[str, dict[str, Array]]:
    """Return tensors of which one has another entry, type, shape or name, or is gone; and what was done."""
    name = sorted(tensors)[rng.integers(len(tensors))]
    old = np.array(tensors[name])
    changes: dict[str, Callable[[], Array | None]] = {
        "entry": lambda: _with_entry(old, rng),
        "entries": lambda: np.full_like(old, NUMBERS[rng.integers(len(NUMBERS))]),
        "scaled": lambda: old * old.dtype.type(rng.choice([-1, 0, 1e-30, 0.5, 3, 1e6, 1e30])),
        "type": lambda: old.astype(rng.choice(["f2", "f4", "f8", "i8", "u1", "?"])),
        "flat": old.ravel,
        "axis": lambda: old[None],
        "turned": lambda: old.T,
        "turned round": lambda: old[::-1],
        "short": lambda: old[: len(old) // 2] if old.ndim else old[None],
        "narrow": lambda: old[..., :-1] if old.ndim else old[None],
        "twice": lambda: np.concatenate([old, old]) if old.ndim else np.stack([old, old]),
        "none": lambda: np.zeros((0, *old.shape[1:]), old.dtype),
        "scalar": lambda: np.array(old.ravel()[0]) if old.size else old,
        "gone": lambda: None,
    }
    how = sorted(changes)[rng.integers(len(changes))]
    with np.errstate(all="ignore"):
        new = changes[how]()
    return f"{name} {how}", {n: a for n, a in {**tensors, name: new}.items() if a is not None}


def _with_entry(old: Array, rng: np.random.Generator) -> Array:
    new = old.copy()
    with np.errstate(all="ignore"):
        if new.size:
            value = NUMBERS[rng.integers(len(NUMBERS))]
            new.ravel()[rng.integers(new.size)] = value if new.dtype.kind == "f" else int(np.nan_to_num(value) % 100)
    return new


def forged(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return a file with one change, and what was changed."""
    body, tensors = opened(data)
    if tensors and rng.random() < 0.5:
        what, tensors = changed_tensors(tensors, rng)
    else:
        what, body = changed_body(body, rng)
    return what, closed(body, tensors)
