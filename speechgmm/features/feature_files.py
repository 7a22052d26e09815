"""Features of many recordings -> a file or folder, for other programs and for models of features.

A `.npz`, a Kaldi archive with its list, or a folder of `.npy` files. Symbols: N frames, D dimensions.
"""

import contextlib
import json
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array, escaped, refuse
from speechgmm.features import archives
from speechgmm.features.corpus import Recording
from speechgmm.features.extraction import extract_all
from speechgmm.features.feature_lists import frame_shift_file, listed_hop_length
from speechgmm.features.frontend import FrontEnd
from speechgmm.files import Kind, Whole, check_writable, has_member, replacing, starts_with
from speechgmm.parallel import Progress

_SETTINGS = "frontend"
FEATURES = Kind("a file of features", has_member(f"{_SETTINGS}.npy"))
"""What a `.npz` of features is."""
_ARRAY = Kind("an array", starts_with(b"\x93NUMPY"))
_SHIFT = Kind("a frame shift", lambda path: listed_hop_length(path.parent) > 0)


@dataclass(frozen=True)
class Written:
    """What became of one recording: how many `frames` of speech were written, or the `error` that it met."""

    name: str
    frames: int
    speech_seconds: float
    error: str | None = None


def write_features(
    frontend: FrontEnd,
    recordings: Iterable[Recording],
    path: str | os.PathLike[str],
    *,
    max_failures: int | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Written, ...]:
    """Write the features of recordings, each under its name; a bad recording is left out and reported.

    They are float32 and what the mixtures of a model see: frames of speech alone, normalized. A model that is trained
    on them takes them as they are.

    Parameters
    ----------
    frontend : FrontEnd
    recordings : iterable of Recording
        Of different names.
    path : path
        Its ending says what is written:

        - ``.scp``: a Kaldi archive of the same name that ends in ``.ark``, and this list of the places in it;
          ``.ark``: the archive alone. Names must be without spaces.
        - ``/``: a folder, which is made where there is none; ``name.npy`` for each name, which is a path inside.
        - Anything else, such as ``.npz``: one file that `numpy.load` reads, with an array under each name, with escapes
          for what cannot be seen in it, and under "frontend" the settings as JSON text.

        Beside archives and inside folders, ``frame_shift`` says the seconds from one frame to the next. The same
        recordings and settings give the same bytes; each file appears whole or not at all.
    max_failures, n_threads, on_progress
        See `extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be used, a name comes twice or cannot be held, or the file cannot be written.
    BadCorpus
        If more than `max_failures` could not.
    MissingExtra
        If an archive is asked for and kaldiio is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.features import MFCC, Corpus, read_features
    >>> folder = tempfile.TemporaryDirectory()
    >>> corpus = Corpus.from_files(["data/slt/s1_1.flac"])
    >>> (written,) = write_features(MFCC(sample_rate=16000), corpus, f"{folder.name}/")
    >>> written.name, written.frames == len(read_features(f"{folder.name}/data/slt/s1_1.flac.npy"))
    ('data/slt/s1_1.flac', True)
    >>> folder.cleanup()
    """
    every = tuple(recordings)
    form = _form(path, frontend)
    form.check()
    form.check_names([r.name for r in every])
    done = []
    with form.opened() as writer:
        how: dict[str, Any] = {"max_failures": max_failures, "n_threads": n_threads, "on_progress": on_progress}
        for e in extract_all(frontend, every, **how):
            if e.features is None:
                done.append(Written(e.name, 0, 0.0, str(e.error)))
                continue
            writer.put(e.name, e.features)
            done.append(Written(e.name, len(e.features), e.speech_seconds))
        if not any(w.frames for w in done):
            found = f"none of {len(done)}" + (f"; the first: {done[0].error}" if done else "")
            refuse("recordings", "be at least one that can be used", found)
    return tuple(done)


def check_features_place(frontend: FrontEnd, path: str | os.PathLike[str]) -> None:
    """Refuse a place that features cannot be written to, before the work.

    Raises
    ------
    InvalidInput

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.features import MFCC
    >>> folder = tempfile.TemporaryDirectory()
    >>> check_features_place(MFCC(sample_rate=16000), f"{folder.name}/features.npz")  # refuses nothing
    >>> folder.cleanup()
    """
    _form(path, frontend).check()


def _form(path: str | os.PathLike[str], frontend: FrontEnd) -> "_Form":
    """Return how features are written to a path."""
    place = os.fspath(path)
    kind: type[_Form] = _Archive if place.lower().endswith(archives.ENDINGS) else _Npz
    kind = _Folder if place.endswith("/") else kind
    return kind(place, frontend)


class _Form(ABC):
    """A way to write features to a `path`."""

    def __init__(self, path: str, frontend: FrontEnd) -> None:
        """Write nothing yet."""
        self.path, self.frontend = path, frontend

    @abstractmethod
    def check(self) -> None:
        """Refuse a place that cannot be written to."""

    @abstractmethod
    def check_names(self, names: list[str]) -> None:
        """Refuse names that cannot be held."""

    @abstractmethod
    def opened(self) -> "contextlib.AbstractContextManager[_Form]":
        """Return what can be written to in a `with` statement."""

    @abstractmethod
    def put(self, name: str, x: Array) -> None:
        """Write the features (N, D) of a recording."""

    def _different(self, names: list[str], *taken: str) -> None:
        """Refuse names that come twice, or are taken."""
        if set(taken) & set(names) or len(set(names)) < len(names):
            twice = next((n for i, n in enumerate(names) if n in names[:i] or n in taken), "")
            rule = "differ from each other" + "".join(f" and from {n!r}" for n in taken)
            refuse("the names of recordings", rule, repr(twice))

    def _check_shift(self) -> None:
        """Refuse a folder whose features are of another step."""
        shift = frame_shift_file(self.path)
        check_writable(shift, _SHIFT)
        if shift.is_file() and shift.stat().st_size and listed_hop_length(self.path) != self.frontend.hop_length:
            found = f"one of {listed_hop_length(self.path):g} s in {shift}"
            refuse(f"features of {self.frontend.hop_length:g} s a frame", "lie beside features of one step", found)

    def _write_shift(self) -> None:
        with replacing(frame_shift_file(self.path), _SHIFT) as beside:
            beside.write_text(f"{self.frontend.hop_length!r}\n", encoding="utf-8")


class _Npz(_Form):
    """One `.npz` file."""

    def check(self) -> None:
        """Refuse a place that cannot be written to."""
        check_writable(self.path, FEATURES)

    def check_names(self, names: list[str]) -> None:
        """Refuse names that are the same once they are escaped."""
        self._different([escaped(n) for n in names], _SETTINGS)

    @contextlib.contextmanager
    def opened(self) -> Iterator["_Npz"]:
        """Write the settings first."""
        with replacing(self.path, FEATURES) as beside, zipfile.ZipFile(beside, "w") as self._file:
            self._put(_SETTINGS, np.array(json.dumps(self.frontend.settings, sort_keys=True)))
            yield self

    def put(self, name: str, x: Array) -> None:
        """Write an array."""
        self._put(escaped(name), x)

    def _put(self, name: str, array: NDArray[Any]) -> None:
        """Write one member as `numpy.savez` does, but for the date, so that the same arrays give the same bytes."""
        with self._file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)


class _Archive(_Form):
    """A Kaldi archive, and a list of the places in it where the path is that of a list."""

    def __init__(self, path: str, frontend: FrontEnd) -> None:
        """Name the archive as the list."""
        super().__init__(path, frontend)
        self.listed = path.lower().endswith(".scp")
        self.archive = f"{path[:-4]}.ark" if self.listed else path

    def check(self) -> None:
        """Refuse places that cannot be written to."""
        check_writable(self.archive, archives.ARCHIVE)
        if self.listed:
            check_writable(self.path, archives.LIST)
        self._check_shift()

    def check_names(self, names: list[str]) -> None:
        """Refuse names with spaces."""
        archives.check_names(names)
        self._different(names)

    @contextlib.contextmanager
    def opened(self) -> Iterator["_Archive"]:
        """Write the list when the archive is whole."""
        places = list[str]()
        self._places = places
        with replacing(self.archive, archives.ARCHIVE) as beside, beside.open("wb") as file:
            self._writer = archives.ArchiveWriter(file)
            yield self
        if self.listed:
            with replacing(self.path, archives.LIST) as beside:
                beside.write_text("".join(places), encoding="utf-8")
        self._write_shift()

    def put(self, name: str, x: Array) -> None:
        """Write a matrix, and note its place."""
        self._places.append(f"{name} {os.path.abspath(self.archive)}:{self._writer.put(name, x)}\n")


class _Folder(_Form):
    """A folder of `.npy` files."""

    def check(self) -> None:
        """Refuse a folder that cannot be written to; one that is not there is made, in a folder that is."""
        place = Path(self.path)
        if place.is_dir():
            self._check_shift()
        else:
            check_writable(place, _ARRAY)
            if place.exists():
                refuse("the folder to write", "be a folder", f"{self.path}, which is a file")

    def check_names(self, names: list[str]) -> None:
        """Refuse names that lead out of the folder."""
        for name in names:
            if os.path.isabs(name) or ".." in Path(name).parts:
                rule, advice = "be paths inside the folder that is written", "Write a .npz or an archive instead."
                refuse("the names of recordings", rule, name, advice)
        self._different(list(map(os.path.normpath, names)))

    @contextlib.contextmanager
    def opened(self) -> Iterator["_Folder"]:
        """Make the folder."""
        Path(self.path).mkdir(exist_ok=True)
        yield self
        self._write_shift()

    def put(self, name: str, x: Array) -> None:
        """Write an array."""
        place = Path(self.path, f"{name}.npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place, _ARRAY) as beside, beside.open("wb") as file:
            np.save(Whole(file), np.asarray(x), allow_pickle=False)
