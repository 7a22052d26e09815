"""What an open sound file is to the rest of this room, whatever decodes it. Symbols: n samples, C channels."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NoReturn, Self

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import AudioError


class Source(ABC):
    """An open sound file, to be used in a `with` statement and read once.

    Parameters
    ----------
    sample_rate : int
        Hz.
    channels : int
        C.
    frames : int or None
        Samples of each channel as the header says; None where only the end of the file tells, until it has come.
    """

    sample_rate: int
    channels: int
    frames: int | None

    @abstractmethod
    def blocks(self, first: int, last: int | None, size: int) -> Iterator[Array]:
        """Yield the samples from `first` on and before `last` (or the end) as float32 (n, C), `size` numbers each."""

    @abstractmethod
    def check_whole(self, found: int) -> None:
        """Refuse a file that has given `found` samples of each channel and should have more."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()


def regrouped(blocks: Iterable[Array], size: int) -> Iterator[Array]:
    """Yield the rows of blocks of any sizes in blocks of `size` rows, the last one shorter.

    Examples
    --------
    >>> [len(block) for block in regrouped([np.zeros(3), np.zeros(4)], 2)]
    [2, 2, 2, 1]
    """
    waiting: list[Array] = []
    missing = size
    for block in blocks:
        rest = block
        while len(rest):
            waiting.append(rest[:missing])
            rest = rest[len(waiting[-1]) :]
            missing -= len(waiting[-1])
            if not missing:
                yield concatenated(waiting)
                waiting, missing = [], size
    if waiting:
        yield concatenated(waiting)


def concatenated(parts: list[Array]) -> Array:
    """Return the rows of all parts; of one part alone no copy."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def unusable(what: str, rule: str, found: str, advice: str = "") -> NoReturn:
    """Refuse sound that cannot be used as it is."""
    refuse(what, rule, found, advice, error=AudioError)


def truncated(name: str, found: str) -> NoReturn:
    """Refuse a file without its end, or with a damaged part."""
    unusable(name, "be whole", f"a truncated file ({found})", "Copy or record it again.")
