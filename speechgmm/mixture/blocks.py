"""Blocks of frames, with weights or without, and samples from blocks: the partition is fixed by the data alone.

A block is a matrix of frames, or a `WeightedBlock`. Symbols: N frames, D dimensions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, integer, matrix, refuse, sample_weights
from speechgmm.looks import Shown


@dataclass(frozen=True, eq=False)
class WeightedBlock(Shown):
    """Frames (N, D), and how often each counts: weights (N,), at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import WeightedBlock, fit_gmm
    >>> block = WeightedBlock(np.array([[0.0], [4.0]]), np.array([3.0, 1.0]))
    >>> fit_gmm([block], 1).model.means.tolist()  # the first frame counts three times
    [[1.0]]
    """

    frames: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class ArrayBlocks(Shown):
    """The rows of one array (or memory map) in blocks.

    Parameters
    ----------
    frames : ndarray, shape (N, D)
    size : int, optional
        Frames in each block. Left out, it makes 16 equal blocks, or a multiple of 16 where these would hold more than
        16 384 frames: equal shares for 2, 4, 8 or 16 threads. Of fewer than 65 536 frames, blocks have 4096.
    weights : ndarray, shape (N,), optional
        How often each frame counts. Blocks are then a `WeightedBlock` each.

    Examples
    --------
    >>> import numpy as np
    >>> [len(b) for b in ArrayBlocks(np.zeros((10, 2)), size=4)]
    [4, 4, 2]
    """

    frames: Array
    size: int = None  # type: ignore[assignment]
    weights: Array | None = None

    def __post_init__(self) -> None:
        """Check the weights and the block size, or choose the size."""
        n = len(self.frames)
        equal = -(-n // (16 * -(-n // (16 * 16_384)))) if n else 1
        size = max(4096, equal) if self.size is None else integer(self.size, "the size of blocks", minimum=1)
        object.__setattr__(self, "size", size)
        if self.weights is not None:
            object.__setattr__(self, "weights", sample_weights(self.weights, n))

    def __iter__(self) -> Iterator[Any]:
        """Yield the blocks in order."""
        for i in range(len(self)):
            yield self[i]

    def __len__(self) -> int:
        """How many blocks there are."""
        return -(-len(self.frames) // self.size)

    def __getitem__(self, i: int) -> Any:
        """Return one of the blocks."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        here = slice(i * self.size, (i + 1) * self.size)
        block = self.frames[here]
        return block if self.weights is None else WeightedBlock(block, self.weights[here])


def weighted(block: Any) -> WeightedBlock:
    """Return a block with its weights: ones where it carries none."""
    return block if isinstance(block, WeightedBlock) else WeightedBlock(block, np.ones(len(block)))


def as_blocks(x: ArrayLike | Iterable[Any], *, missing: bool = False) -> Iterable[Any]:
    """Return `x` as re-iterable blocks: an array is cut, a list of matrices or other blocks are used as they are.

    With `missing`, an array may hold NaN.
    """
    first = x[0] if isinstance(x, (list, tuple)) and x else None
    if hasattr(x, "__array__") or (first is not None and not isinstance(first, WeightedBlock) and np.ndim(first) < 2):
        return ArrayBlocks(matrix(x, missing=missing))  # type: ignore[arg-type]
    return reiterable(x)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class BlockList(Shown):
    """Blocks of a list as a value of its own, which a cluster can place once for many passes."""

    blocks: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        """Yield the blocks in order."""
        return iter(self.blocks)

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self.blocks)

    def __getitem__(self, i: int) -> Any:
        """Return one of the blocks."""
        return self.blocks[i]


def reiterable(blocks: Iterable[Any]) -> Iterable[Any]:
    """Return blocks as they are, and a list as `BlockList`; refuse what can be iterated once, for EM passes again."""
    if iter(blocks) is blocks:
        advice = "Pass a list of arrays, or an object whose __iter__ starts anew (speechgmm.mixture.ArrayBlocks)."
        refuse("blocks", "be iterable again and again", f"a one-shot {type(blocks).__name__}", advice)
    return BlockList(tuple(blocks)) if isinstance(blocks, (list, tuple)) else blocks


def sample_frames(blocks: Iterable[Any], size: int, rng: np.random.Generator, *, missing: bool = False) -> Array:
    """Return `size` frames drawn without replacement, in their own order; all of them where there are fewer.

    Frames of weight 0 are left out; other weights do not matter here. Passes over the blocks twice: once to count,
    once to collect.

    Examples
    --------
    >>> import numpy as np
    >>> blocks = [np.zeros((30, 2)), np.ones((50, 2))]
    >>> sample_frames(blocks, 16, np.random.default_rng(0)).shape
    (16, 2)
    """
    shapes = [matrix(_counted(block), minimum=0, missing=missing).shape for block in blocks]
    dimensions = {d for _, d in shapes}
    if len(dimensions) > 1:
        refuse("all blocks", "have the same number of features", sorted(dimensions))
    ends = np.cumsum([n for n, _ in shapes])
    n = int(ends[-1]) if shapes else 0
    if not n:
        refuse("blocks", "hold at least one frame", "none")
    chosen = np.arange(n) if n <= size else np.sort(rng.choice(n, size=size, replace=False))
    inside = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    parts = zip(blocks, inside, [0, *ends[:-1]], strict=True)
    return np.concatenate([np.asarray(_counted(block))[rows - start] for block, rows, start in parts])


def _counted(block: Any) -> Any:
    """Return the frames of a block whose weight is not 0."""
    return block.frames[block.weights > 0] if isinstance(block, WeightedBlock) else block
