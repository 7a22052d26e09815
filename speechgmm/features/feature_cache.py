"""Features that are kept from one run to the next, so that a second training, calibration or sweep reads no audio.

The environment variable ``SPEECHGMM_CACHE`` names the folder; without it nothing is kept, for features tell who speaks
and belong to the people who spoke. ``SPEECHGMM_CACHE_LIMIT`` is how much it may hold, such as ``50 GB``: what was not
used for longest goes. ``SPEECHGMM_CACHE_TYPE=float16`` keeps half of the bytes, and features to three digits: with 64
components trained, enrolled and tested with these, the equal error rate on telephone speech is 10.87 for 10.92 %.

An entry is one file: a NumPy array, which is mapped into memory where it is used, and behind it what else is known of
the recording. It is written beside its place and then renamed, so that no half of one is ever seen, whoever writes or
is killed. Its name is made of the front end's settings and of the recording: path, size, time of the last change,
channel and part. A file that changes while it is read is not kept. One that is changed without a change of its size
and its time is taken for the same. Symbols: N frames, D dimensions.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from speechgmm import __version__
from speechgmm.checks import Array, choice, refuse
from speechgmm.features.acoustics import Acoustics
from speechgmm.features.corpus import Recording
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.own_features import OwnFeatures
from speechgmm.features.sounds import is_features
from speechgmm.files import Whole
from speechgmm.storage import versions

__all__ = ["LIMIT", "CacheInfo", "FeatureCache", "KeptFeatures", "feature_cache"]

VARIABLE, LIMIT_VARIABLE, TYPE_VARIABLE = "SPEECHGMM_CACHE", "SPEECHGMM_CACHE_LIMIT", "SPEECHGMM_CACHE_TYPE"
LIMIT = 20 * 10**9
"""Bytes that a cache holds at most, where nothing else is said: 115 hours of speech by the default front end."""
TYPES = {"float32": "<f4", "float16": "<f2"}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_FORMAT = 1
_ENDING, _UNFINISHED = ".features", ".unfinished"
_STALE = 86400.0
"""Seconds after which a file that was never finished is what a killed process left."""
_MARK = b"speechgmm features\n"
_SLACK = 0.9
"""A cache that is full is emptied to this share, so that not every entry needs another look at all of them."""


@dataclass(frozen=True, eq=False)
class KeptFeatures:
    """What is kept of a recording: features (N, D) before normalization, its digest, and how it sounds."""

    features: Array
    digest: str
    acoustics: Acoustics | None


@dataclass(frozen=True)
class CacheInfo:
    """How many recordings a cache holds, how many bytes they take, and how many they may take."""

    folder: str
    recordings: int
    bytes: int
    limit: int


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """A folder of features.

    Parameters
    ----------
    folder : Path
        Made when the first entry comes, for this user alone.
    limit : int
        Bytes.
    kind : str
        "float32", which gives the same bits as no cache, or "float16".
    """

    folder: Path
    limit: int = LIMIT
    kind: str = "float32"
    _held: "_Held" = dataclasses.field(default_factory=lambda: _Held())

    def __post_init__(self) -> None:
        """Check the kind."""
        choice(self.kind, TYPE_VARIABLE, tuple(TYPES))

    def entry(self, frontend: FrontEnd, recording: Recording) -> "CacheEntry | None":
        """Return where the features of a recording are kept; None for what lies in no file, or is features already."""
        if not recording.path or is_features(recording.path) or isinstance(frontend, OwnFeatures):
            return None
        try:
            state = _state(recording.path)
        except OSError:
            return None
        r = recording
        settings = [_FORMAT, __version__, _made_by(), frontend.unnormalized.fingerprint, self.kind]
        told = json.dumps([*settings, os.path.abspath(r.path), *state, r.channel, r.start, r.end])
        key = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return CacheEntry(self, recording.path, state, self.folder / key[:2] / (key + _ENDING))

    def info(self) -> CacheInfo:
        """Return how much is kept."""
        sizes = [size for _, size, _ in self._entries()]
        return CacheInfo(str(self.folder), len(sizes), sum(sizes), self.limit)

    def clear(self) -> CacheInfo:
        """Remove everything that is kept, and return how much it was."""
        found = self.info()
        for path in [*(p for p, *_ in self._entries()), *self._unfinished(0.0)]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for inner in self.folder.iterdir():
                inner.rmdir()
        self._held.bytes = None
        return found

    def added(self, size: int) -> None:
        """Count what was written, and make room where it is more than the limit."""
        with self._held.lock:
            if self._held.bytes is None:
                self._held.bytes = sum(size for _, size, _ in self._entries())
            else:
                self._held.bytes += size
            if self._held.bytes > self.limit:
                self._held.bytes = self._make_room()

    def _make_room(self) -> int:
        """Remove what was not used for longest, and return how many bytes are left."""
        for path in self._unfinished(_STALE):
            path.unlink(missing_ok=True)
        entries = sorted(self._entries(), key=lambda e: e[2])
        left = sum(size for _, size, _ in entries)
        for path, size, _ in entries:
            if left <= _SLACK * self.limit:
                break
            with contextlib.suppress(OSError):  # some systems do not let go of what is mapped
                path.unlink(missing_ok=True)
                left -= size
        return left

    def _entries(self) -> Iterator[tuple[Path, int, int]]:
        """Yield the path of each entry, its bytes, and when it was last used."""
        for path in self.folder.glob(f"??/*{_ENDING}"):
            with contextlib.suppress(OSError):
                found = path.stat()
                yield path, found.st_size, found.st_mtime_ns

    def _unfinished(self, older: float) -> list[Path]:
        """Return the files that were never finished and are older than so many seconds."""
        found = []
        for path in self.folder.glob(f"??/*{_UNFINISHED}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime >= older:
                    found.append(path)
        return found


@dataclass(frozen=True, eq=False)
class CacheEntry:
    """Where the features of a recording are kept, and its `state` (size, time) before it was read."""

    cache: FeatureCache
    recording: str
    state: tuple[int, int]
    path: Path

    def read(self) -> KeptFeatures | None:
        """Return what is kept, mapped into memory; None where nothing is, or what is there is no whole entry."""
        try:
            found = _read(self.path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self.path)
        return found

    def write(self, made: KeptFeatures) -> KeptFeatures:
        """Keep features, unless the recording has changed since; return them as they will be read.

        Raises
        ------
        InvalidInput
            Where the folder of the cache cannot be made or written.
        """
        dtype = np.dtype(TYPES[self.cache.kind])
        largest = float(np.finfo(dtype).max)
        rows = np.ascontiguousarray(np.clip(made.features, -largest, largest), dtype=dtype)
        kept = dataclasses.replace(made, features=rows)
        as_read = made if rows.dtype == made.features.dtype else dataclasses.replace(made, features=rows.astype("<f4"))
        try:
            if _state(self.recording) != self.state:
                return as_read
        except OSError:
            return as_read
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(kept)
        except OSError as error:
            advice = f"Free some space, or let {VARIABLE} name another folder, or none."
            refuse(f"{VARIABLE}, {self.cache.folder},", "be a folder that can be written", error.strerror, advice)
        self.cache.added(self.path.stat().st_size)
        return as_read

    def _write(self, kept: KeptFeatures) -> None:
        """Write beside the place, and rename."""
        acoustics = None if kept.acoustics is None else dataclasses.asdict(kept.acoustics)
        told = json.dumps({"digest": kept.digest, "acoustics": acoustics}).encode()
        handle, beside = tempfile.mkstemp(prefix=self.path.stem, suffix=_UNFINISHED, dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.lib.format.write_array(Whole(file), kept.features, allow_pickle=False)
                file.write(told + len(told).to_bytes(8, "little") + _MARK)
            os.replace(beside, self.path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise


def feature_cache() -> FeatureCache | None:
    """Return the cache that the environment names, None where it names none.

    Raises
    ------
    InvalidInput
        If a variable does not say what it must.
    """
    folder = os.environ.get(VARIABLE, "")
    return _cache(folder, os.environ.get(LIMIT_VARIABLE, ""), os.environ.get(TYPE_VARIABLE, "")) if folder else None


@lru_cache(maxsize=4)
def _cache(folder: str, limit: str, kind: str) -> FeatureCache:
    """Return one cache for each folder, which counts what it holds."""
    return FeatureCache(Path(folder).expanduser().absolute(), _bytes(limit) if limit else LIMIT, kind or "float32")


def _bytes(text: str) -> int:
    """Return how many bytes a text such as "50 GB" names."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kMGT]?)B?", text.strip(), re.IGNORECASE)
    if not found or not float(found[1]):
        refuse(LIMIT_VARIABLE, "be a number of bytes above 0", repr(text), "Give it as 50 GB.")
    return round(float(found[1]) * _UNITS[found[2].lower()])


@dataclass(eq=False)
class _Held:
    """How many bytes a cache holds, as far as this process knows; None before it has looked."""

    bytes: int | None = None
    lock: Any = dataclasses.field(default_factory=threading.Lock)


@lru_cache(maxsize=1)
def _made_by() -> str:
    """Return the versions of what makes features."""
    return json.dumps(versions("numpy", "scipy", "soundfile", "soxr"))


def _state(path: str) -> tuple[int, int]:
    """Return the size of a file and when it was changed."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _read(path: Path) -> KeptFeatures:
    """Return the entry of a file, or raise ValueError where it is no whole one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file)
        start, length = file.tell(), int(np.prod(shape)) * dtype.itemsize
        file.seek(max(start, size - len(_MARK) - 8))
        told = int.from_bytes(file.read(8), "little")
        whole = file.read() == _MARK and start + length + told + 8 + len(_MARK) == size
        if not whole or fortran or len(shape) != 2 or dtype.str not in TYPES.values():
            raise ValueError("this is no whole entry")
        file.seek(start + length)
        known = json.loads(file.read(told))
        # a mapping lives as long as the array, and longer than the name of the file
        x = np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape)
    features = x if dtype.str == TYPES["float32"] else x.astype(np.float32)
    acoustics = known["acoustics"]
    return KeptFeatures(features, str(known["digest"]), None if acoustics is None else Acoustics(**acoustics))


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of the array at the head of a file."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("this is an array of another version")
    return np.lib.format.read_array_header_1_0(file)
