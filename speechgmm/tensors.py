"""Which bytes of a safetensors file are whose: checked from its header, before any array is made.

A file is 8 bytes with the length of its header, little-endian, the header as JSON, and the bytes of the arrays. The
header says of each array its type, its shape and from which byte to which it lies, counted from the end of the header
(https://github.com/huggingface/safetensors, "Format"). A header is data of strangers and may say anything: here ranges
must follow each other from the first byte to the last, so that nothing is read twice, left over or beyond the file.
"""

import math
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from speechgmm.checks import refuse

LONGEST_HEADER = 100_000_000
"""Bytes of a header at most, as the safetensors library has it too."""
_MOST_AXES = 64
"""Axes that NumPy gives an array at most."""
_SIZES = MappingProxyType(
    {
        name: int(name.lstrip("BFIU")) // 8
        for name in ("U8", "U16", "U32", "U64", "I8", "I16", "I32", "I64", "F16", "F32", "F64")
    }
    | {"BOOL": 1}
)
"""Bytes of a number of each type that is stored."""
_AGAIN = "Copy or train it again."


def header_length(beginning: bytes, size: int) -> int:
    """Return the length of the header of a file of `size` bytes that begins so; 0 where it cannot have one."""
    length = int.from_bytes(beginning[:8], "little")
    return length if len(beginning) >= 8 and 0 < length <= min(size - 8, LONGEST_HEADER) else 0


def check_ranges(arrays: Mapping[str, Any], size: int, source: str) -> None:
    """Refuse arrays that do not fill the `size` bytes behind the header, one after the other.

    Parameters
    ----------
    arrays : mapping
        The entries of the header by the names of the arrays, without ``__metadata__``.
    size : int
        Bytes of the file behind its header.
    source : str
        What messages call the file.

    Raises
    ------
    InvalidInput
        If an entry is none or of a type that is not stored, a shape is not as large as its range, or ranges overlap,
        are shared, leave bytes to nobody or lie beyond the file.
    """
    ranges = sorted((*_range(name, entry, source), name) for name, entry in arrays.items())
    if ranges and ranges[-1][1] > size:
        begin, end, name = ranges[-1]
        found = f"{name!r:.80} at the bytes {_shown([begin, end], ' to ')} of {size}"
        refuse(source, "be a whole model file, whose arrays lie within it", found, _AGAIN)
    reached, before = 0, ""
    for begin, end, name in ranges:
        if begin < reached:
            found = f"{before!r:.80} and {name!r:.80}, which share bytes"
            refuse(source, "be a whole model file, in which each array has bytes of its own", found, _AGAIN)
        if begin > reached:
            _refuse_unused(source, begin - reached, f"before {name!r:.80}")
        reached, before = end, name
    if reached < size:
        _refuse_unused(source, size - reached, "at the end")


def _range(name: str, entry: Any, source: str) -> tuple[int, int]:
    """Return from which byte to which an array lies, which is as large as its shape says."""
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = len(entry) == 3 and len(shape) <= _MOST_AXES
        numbers = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        whole = numbers = False
    if not (whole and numbers and isinstance(kind, str)):
        found = f"this of {name!r:.80}: {entry!r}"[:200]
        refuse(source, "say type, shape and bytes of each array", found, _AGAIN)
    if kind not in _SIZES:
        refuse(source, "hold arrays of bool, integer or float types", f"{name!r:.80} of {kind!r:.80}")
    # axes of an empty array count too: NumPy multiplies them before it looks for a 0
    if math.prod(max(n, 1) for n in shape) * _SIZES[kind] > sys.maxsize:
        refuse(source, "hold arrays of shapes that a computer can hold", f"{name!r:.80} of {_shown(shape)}", _AGAIN)
    if (taken := math.prod(shape) * _SIZES[kind]) != end - begin:
        rule = "be a whole model file, whose arrays are as large as their shapes"
        found = f"{name!r:.80} of {_shown(shape)}, {taken} bytes, at {_shown([begin, end], ' to ')}"
        refuse(source, rule, found, _AGAIN)
    return begin, end


def _shown(numbers: list[int], between: str = "x") -> str:
    """Return numbers of any size, short."""
    return between.join(str(n) if n < 1 << 64 else "more than 2**64" for n in numbers[:8]) + (
        "..." if numbers[8:] else ""
    )


def _refuse_unused(source: str, count: int, where: str) -> None:
    rule = "be a whole model file, in which every byte belongs to an array"
    refuse(source, rule, f"{count} bytes that belong to none, {where}", _AGAIN)
