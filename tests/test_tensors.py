"""Headers of safetensors files that say anything: each is refused in our own words, before the arrays are read."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.tensors import LONGEST_HEADER
from tests import forging

SPARSE = 1 << 33
"""Bytes of a file that takes no place on the disk, and that no test can hold in memory."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays."""

    a: Any
    b: Any = None


def entry(shape: list[Any], begin: Any, end: Any, kind: Any = "F64") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def headed(arrays: dict[str, Any], named: list[str]) -> bytes:
    """The beginning of a file of a Pair whose header says this of its arrays, and whose value names these."""
    fields = {field: {"$array": name} for field, name in zip("ab", named, strict=False)}
    value = {"$type": "Pair", "fields": fields}
    told = {"format": 1, "value": value, "digest": storage._digest(value, {})}
    text = json.dumps({"__metadata__": {"speechgmm": json.dumps(told)}, **arrays}).encode()
    return len(text).to_bytes(8, "little") + text


A = entry([2], 0, 16)
RANGES: dict[str, tuple[dict[str, Any], list[str], int, str]] = {
    "overlapping": ({"a": A, "b": entry([2], 8, 24)}, ["a", "b"], 24, "got 'a' and 'b', which share bytes"),
    "one within another": ({"a": entry([4], 0, 32), "b": entry([1], 8, 16)}, ["a", "b"], 32, "'b', which share bytes"),
    "one range twice": ({"a": A, "b": A}, ["a", "b"], 16, "in which each array has bytes of its own; got 'a' and 'b'"),
    "bytes before": ({"a": entry([2], 8, 24)}, ["a"], 24, "got 8 bytes that belong to none, before 'a'"),
    "bytes between": ({"a": A, "b": entry([1], 24, 32)}, ["a", "b"], 32, "8 bytes that belong to none, before 'b'"),
    "bytes behind": (
        {"a": A},
        ["a"],
        20,
        "got 4 bytes that belong to none, at the end",
    ),
    "bytes of no array": ({}, [], 5, "got 5 bytes that belong to none, at the end"),
    "beyond the file": ({"a": entry([4], 0, 32)}, ["a"], 16, "lie within it; got 'a' at the bytes 0 to 32 of 16"),
    "enormous": (
        {"a": entry([2**59], 0, 2**62)},
        ["a"],
        16,
        "got 'a' at the bytes 0 to 4611686018427387904",
    ),
    "a product that overflows": ({"a": entry([2**32, 2**32], 0, 0)}, ["a"], 0, "shapes that a computer can hold; got"),
    "a shape that wraps to 16": ({"a": entry([2**61, 8], 0, 16)}, ["a"], 16, "'a' of 2305843009213693952x8"),
    "empty and enormous": ({"a": entry([0, 2**62], 0, 0)}, ["a"], 0, "got 'a' of 0x4611686018427"),
    "a digit too many": ({"a": entry([10**4000], 0, 16)}, ["a"], 16, "can hold; got 'a' of more than 2**64"),
    "shape and range": (
        {"a": entry([3], 0, 16)},
        ["a"],
        16,
        "got 'a' of 3, 24 bytes, at 0 to 16",
    ),
    "turned round": ({"a": entry([2], 16, 0)}, ["a"], 16, "as large as their shapes; got 'a'"),
    "negative": ({"a": entry([-2], 16, 0)}, ["a"], 16, "must say type, shape and bytes of each array; got this of 'a'"),
    "fractions": ({"a": entry([2], 0, 16.0)}, ["a"], 16, "must say type, shape and bytes of each array"),
    "truth": ({"a": entry([True], 0, 8)}, ["a"], 8, "must say type, shape and bytes of each array"),
    "shape of text": ({"a": entry("2", 0, 16)}, ["a"], 16, "must say type, shape and bytes of each array"),  # type: ignore[arg-type]
    "axes": ({"a": entry([1] * 64 + [2], 0, 16)}, ["a"], 16, "must say type, shape and bytes of each array"),
    "type of none": ({"a": entry([2], 0, 16, None)}, ["a"], 16, "must say type, shape and bytes of each array"),
    "no entry": ({"a": [1]}, ["a"], 16, "must say type, shape and bytes of each array; got this of 'a': [1]"),
    "a part more": ({"a": {**A, "more": 1}}, ["a"], 16, "must say type, shape and bytes of each array"),
    "type": ({"a": entry([8], 0, 16, "BF16")}, ["a"], 16, "bool, integer or float types; got 'a' of 'BF16'"),
    "unused": ({"a": A, "b": entry([1], 16, 24)}, ["a"], 24, "hold only arrays that its value names; got also 'b'"),
    "unused and empty": ({"a": A, "b": entry([0], 16, 16)}, ["a"], 16, "that its value names; got also 'b'"),
    "named twice": ({"a": A}, ["a", "a"], 16, "an array for each place in its value; got 'a' in two places"),
    "not there": ({"a": A}, ["a", "b"], 16, "hold every array that its header names; got none of the name 'b'"),
}


@pytest.mark.parametrize(("arrays", "named", "size", "words"), RANGES.values(), ids=RANGES.keys())
def test_ranges_that_do_not_fill_the_file_are_refused(
    arrays: dict[str, Any], named: list[str], size: int, words: str
) -> None:
    with pytest.raises(InvalidInput, match=r"^the data must ") as caught:
        storage.loads(headed(arrays, named) + bytes(size), Pair)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_written_fills_its_file(tmp_path: Path) -> None:
    for shape in ((2, 3), (), (0, 4)):
        for kind in ("?", "i1", "u1", "i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8"):
            value = Pair(np.ones(shape, kind), np.zeros(3, np.float32))
            storage.save(value, tmp_path / "value")
            assert storage.load(tmp_path / "value", Pair).a.tobytes() == value.a.tobytes()


@pytest.mark.parametrize(
    "beginning",
    [
        headed({"a": A}, ["a"]),
        headed({"a": A, "b": A}, ["a", "b"]),
        headed({"a": entry([SPARSE // 8], 0, SPARSE)}, ["a"]),
        (SPARSE - 8).to_bytes(8, "little") + b"{",
        (LONGEST_HEADER + 1).to_bytes(8, "little") + b"{",
        (2**64 - 1).to_bytes(8, "little") + b"{",
    ],
    ids=["unused", "shared", "too large", "header", "header a byte too long", "header of 2**64 bytes"],
)
def test_a_file_of_gigabytes_is_refused_unread(tmp_path: Path, beginning: bytes) -> None:
    path = tmp_path / "forged"
    path.write_bytes(beginning)
    os.truncate(path, SPARSE)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="forged must "):
            storage.load(path, Pair)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_forged_array_of_every_kind_still_has_a_digest() -> None:
    body, tensors = forging.opened(storage.dumps(Pair(np.ones(2), np.zeros(1))))
    storage.loads(forging.closed(body, tensors), Pair)
    with pytest.raises(InvalidInput, match="got also 'c'"):
        storage.loads(forging.closed(body, {**tensors, "c": np.ones(1)}), Pair)
