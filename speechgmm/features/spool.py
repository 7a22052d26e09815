"""Rows that come block by block and are read again: few in memory, many in an unnamed temporary file.

Samples (n,), cepstra and features (n, D) of a recording of any length wait here for the pass that needs all of them.
Reading copies a block at a time, so that a long recording costs disk and no memory: 0.25 GB for each hour of samples
at 16 kHz and 0.09 GB for its 60 features, in the folder that TMPDIR names, until the recording is done with.
"""

import contextlib
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.features.source import concatenated
from speechgmm.files import give_back

IN_MEMORY = 1 << 24
"""Bytes up to which rows stay in memory: 4 minutes of samples at 16 kHz, or 11 minutes of 60 features."""
BLOCK = 1 << 21
"""Numbers that a block holds at most."""
FRAMES = 1 << 15
"""Frames of a recording that are handed on at once: 5 minutes of speech."""


class Spool:
    """Float32 rows, of one shape, that are added in blocks of any sizes and iterated again and again.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n,) or (n, D)
        Added at once.
    in_memory : int
        Bytes up to which rows stay in memory.

    Examples
    --------
    >>> rows = Spool([np.zeros((2, 3)), np.ones((1, 3))])
    >>> len(rows), rows.array().sum()
    (3, np.float32(3.0))
    """

    def __init__(self, blocks: Iterable[Array] = (), *, in_memory: int = IN_MEMORY) -> None:
        """Begin with the rows of these blocks."""
        self._parts: list[Array] = []
        self._file: IO[bytes] | None = None
        self._shape: tuple[int, ...] = ()
        self._rows = 0
        self._in_memory = in_memory
        for block in blocks:
            self.add(block)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._rows

    def add(self, block: Array) -> None:
        """Add rows at the end.

        Raises
        ------
        InvalidInput
            If they cannot be written.
        """
        rows = np.ascontiguousarray(block, dtype="<f4")
        self._shape = rows.shape[1:]
        self._rows += len(rows)
        self._parts.append(rows)
        try:
            self._write()
        except OSError as error:
            advice = "Free some space there, or let TMPDIR name another folder."
            refuse(f"a temporary file in {tempfile.gettempdir()}", "be written", error.strerror, advice)

    def _write(self) -> None:
        """Write what waits in memory, if it is too much to stay there."""
        if self._file is None and self._rows * self._row_bytes > self._in_memory:
            self._file = tempfile.TemporaryFile(prefix="speechgmm-")  # noqa: SIM115
            weakref.finalize(self, _close, self._file)  # it is gone with its last user
        if self._file is not None:
            self._file.seek(0, 2)
            for part in self._parts:
                self._file.write(part.data)
            self._file.flush()
            self._parts.clear()

    @property
    def _row_bytes(self) -> int:
        return 4 * int(np.prod(self._shape, dtype=np.int64))

    def rows(self, start: int, stop: int) -> Array:
        """Return the rows from `start` on and before `stop`; they must not be changed."""
        if self._file is None:
            return self.array()[start:stop]
        self._file.seek(start * self._row_bytes)
        found = np.empty((min(stop, self._rows) - start, *self._shape), "<f4")
        self._file.readinto(found.data)  # type: ignore[attr-defined]
        return found

    def __iter__(self) -> Iterator[Array]:
        """Yield the rows in blocks of equal size, the last one shorter."""
        step = max(1, 4 * BLOCK // max(self._row_bytes, 1))
        for start in range(0, self._rows, step):
            yield self.rows(start, start + step)

    def array(self) -> Array:
        """Return all rows as one array, which is mapped into memory where they lie in the file."""
        if self._file is None:
            self._parts = [concatenated(self._parts)] if self._parts else [np.zeros(0, "<f4")]
            return self._parts[0]
        # the map keeps the file alive after its handle and name are gone
        return np.memmap(self._file, dtype="<f4", mode="r", shape=(self._rows, *self._shape))


def _close(file: IO[bytes]) -> None:
    """Close a file, whatever of it could not be written."""
    with contextlib.suppress(OSError):
        file.close()


def in_blocks(rows: Array, size: int = FRAMES) -> Iterator[Array]:
    """Yield rows in blocks of `size`, each in memory; what has been read of a mapped file does not stay there."""
    if not isinstance(rows, np.memmap):
        yield from (rows[start : start + size] for start in range(0, len(rows), size))
        return
    for start in range(0, len(rows), size):
        block = np.array(rows[start : start + size])
        give_back(rows)
        yield block
