"""Blocks of frames from one array, and samples from blocks: the partition is fixed by the data alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import integer, matrix, refuse
from speechgmm.mixture.em import reiterable

Array = NDArray[Any]

__all__ = ["ArrayBlocks", "as_blocks", "sample_frames"]


@dataclass(frozen=True, eq=False)
class ArrayBlocks:
    """The rows of one array (or memory map) of shape (N, D), in blocks of `size` frames.

    Left out, the size makes 16 equal blocks, or a multiple of 16 where these would hold more than 16 384 frames: equal
    shares for 2, 4, 8 or 16 threads. Of fewer than 65 536 frames, blocks have 4096.

    Examples
    --------
    >>> import numpy as np
    >>> [len(b) for b in ArrayBlocks(np.zeros((10, 2)), size=4)]
    [4, 4, 2]
    """

    frames: Array
    size: int | None = None

    def __post_init__(self) -> None:
        """Check the block size, or choose it."""
        n = len(self.frames)
        equal = -(-n // (16 * -(-n // (16 * 16_384)))) if n else 1
        size = max(4096, equal) if self.size is None else integer(self.size, "the size of blocks", minimum=1)
        object.__setattr__(self, "size", size)

    def __iter__(self) -> Iterator[Array]:
        """Yield the blocks in order."""
        assert self.size is not None
        for start in range(0, len(self.frames), self.size):
            yield self.frames[start : start + self.size]

    def __len__(self) -> int:
        """How many blocks there are."""
        assert self.size is not None
        return -(-len(self.frames) // self.size)


def as_blocks(x: ArrayLike | Iterable[ArrayLike], *, missing: bool = False) -> Iterable[Any]:
    """Return `x` as re-iterable blocks: an array is cut, a list of matrices or other blocks are used as they are.

    With `missing`, an array may hold NaN.
    """
    if isinstance(x, np.ndarray) or (isinstance(x, (list, tuple)) and x and np.ndim(x[0]) < 2):
        return ArrayBlocks(matrix(x, missing=missing))
    reiterable(x)  # type: ignore[arg-type]
    return x  # type: ignore[return-value]


def sample_frames(blocks: Iterable[ArrayLike], size: int, rng: np.random.Generator, *, missing: bool = False) -> Array:
    """Return `size` frames drawn without replacement, in their own order; all of them where there are fewer.

    Passes over the blocks twice: once to count, once to collect.
    """
    lengths, dimensions = [], set()
    for block in blocks:
        b = matrix(block, minimum=0, missing=missing)
        lengths.append(len(b))
        dimensions.add(b.shape[1])
    if len(dimensions) > 1:
        refuse("all blocks", "have the same number of features", f"{sorted(dimensions)}")
    total = sum(lengths)
    if not total:
        refuse("blocks", "hold at least one frame", "none")
    chosen = np.arange(total) if total <= size else np.sort(rng.choice(total, size=size, replace=False))
    starts = np.cumsum([0, *lengths])
    parts = []
    for i, block in enumerate(blocks):
        inside = chosen[(chosen >= starts[i]) & (chosen < starts[i + 1])] - starts[i]
        parts.append(np.asarray(block)[inside])
    return np.concatenate(parts)
