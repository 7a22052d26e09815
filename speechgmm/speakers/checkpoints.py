"""What a training has done so far, in a folder: where its process is ended, another one goes on to the same bits.

The folder holds the plan of the training, which is all that its end depends on, and one file for each mixture that was
begun and each fold whose stores were scored. Files are written beside their places and renamed, so that each is whole
or not there. What was damaged since is refused by its digest, and made again.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import numpy as np

from speechgmm import storage
from speechgmm.checks import enumerated, instance, refuse
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import FrontEnd, TrainingFrames
from speechgmm.features.extraction import FramesKept
from speechgmm.features.spool import in_blocks

T = TypeVar("T")

_WHAT = "the folder of checkpoints"
_PLAN = "plan-of-training.safetensors"
_UNKEPT = "not all of the training could be kept, so that less could be gone on with"
_OURS = re.compile(r"plan-of-training\.safetensors|[\w-]+\.[0-9a-f]{16}\.safetensors|\.[0-9a-f]{32}\.tmp")
"""Names of what a folder of checkpoints holds: nothing else is ever removed."""


@dataclass(frozen=True)
class Plan:
    """What the end of a training depends on: `settings` by name, versions among them, and a digest of the `data`."""

    KIND: ClassVar = "the plan of a training"

    settings: Mapping[str, str]
    data: str

    def __post_init__(self) -> None:
        """Check the types: files hold plans."""
        instance(self.settings, "the settings of a training", Mapping)
        for value in (*self.settings.values(), self.data):
            instance(value, "what a training depends on", str)

    @classmethod
    def of(cls, frames: TrainingFrames, frontend: FrontEnd, **settings: Any) -> "Plan":
        """Return the plan of a training with these settings, by the versions that are here.

        The front end is the one that was given: what it learns follows from the frames.
        """
        named = {name.replace("_", " "): str(value) for name, value in settings.items()}
        named["front end"] = f"{frontend} ({storage.fingerprint(frontend)})"
        made_by = storage.versions("numba", "numpy", "scikit-learn", "scipy")
        return cls(named | made_by, _digest(frames))

    @property
    def digest(self) -> str:
        """Names the plan."""
        return storage.fingerprint(self)

    def unlike(self, other: "Plan") -> list[str]:
        """Return in words what another plan has that this one has not; nothing where they are the same."""
        names = sorted(self.settings.keys() | other.settings.keys())
        pairs = [(n, other.settings.get(n, "none"), self.settings.get(n, "none")) for n in names]
        found = [f"{name} {theirs} for {mine}" for name, theirs, mine in pairs if theirs != mine]
        return found + (["other recordings or features"] if self.data != other.data else [])


class Checkpoints:
    """What a training has done so far, in a folder that is made when there is something to keep.

    Parameters
    ----------
    folder : path or None
        None: nothing is kept, and nothing is there.

    Raises
    ------
    InvalidInput
        If there is something else, or no folder that it could be made in.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        """Look at the folder, and change nothing."""
        self.folder = None if folder is None else Path(folder)
        self.warnings: list[str] = []
        self._plan: Plan | None = None
        if self.folder is not None:
            _check(self.folder)

    def begin(self, plan: Plan, *, resume: bool) -> None:
        """Begin anew, which removes what is there, or go on with what is there of the same training.

        Raises
        ------
        IncompatibleModel
            If that is of another training, or of a later version.
        """
        self._plan = plan
        if not resume:
            self.remove()
        elif self.folder is not None and (self.folder / _PLAN).exists():
            theirs = self._read(self.folder / _PLAN, Plan)
            if theirs is not None and (other := plan.unlike(theirs)):
                found = f"that of another one, with {enumerated(other)}"
                advice = "Train as then, or without resume: then it is replaced."
                refuse(f"{_WHAT} {self.folder}", "be of this training", found, advice, error=IncompatibleModel)

    def once(self, what: str, make: Callable[[], T], *types: type, blocks: Any = None) -> T:
        """Return what is kept under a name, or make it and keep it.

        Parameters
        ----------
        what : str
            A stage of the training and what of it.
        make : callable
        types : type
            What is kept, and what it may be made of: see `storage.load`.
        blocks : optional
            The frames that it is of: those of other speakers make another thing of the same name.
        """
        path = self._path(what, blocks)
        found = None if path is None or not path.exists() else self._read(path, *types)
        if found is not None:
            return cast(T, found)
        made = make()
        self.keep(what, made, blocks=blocks)
        return made

    def keep(self, what: str, value: Any, *, blocks: Any = None) -> None:
        """Keep a value in the place of what was kept under this name; a disk that is full ends no training."""
        if (path := self._path(what, blocks)) is None:
            return
        try:
            if not path.with_name(_PLAN).exists():
                path.parent.mkdir(exist_ok=True)
                storage.save(self._plan, path.with_name(_PLAN))
            storage.save(value, path)
        except (OSError, InvalidInput) as error:
            if not any(_UNKEPT in told for told in self.warnings):
                self.warnings.append(f"{_UNKEPT}: {error}")

    def remove(self) -> None:
        """Remove the folder with what is kept in it, the plan last; what is not of this package stays."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in sorted(self.folder.iterdir(), key=lambda p: p.name == _PLAN):
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            self.folder.rmdir()

    def _path(self, what: str, blocks: Any) -> Path | None:
        """Return where something is kept, None where nothing is."""
        if self.folder is None or self._plan is None:
            return None
        kept = blocks.keep.tobytes() if isinstance(blocks, FramesKept) else b""
        digest = hashlib.sha256(self._plan.digest.encode() + kept).hexdigest()[:16]
        return self.folder / f"{re.sub('[^0-9A-Za-z]+', '-', what)}.{digest}.safetensors"

    def _read(self, path: Path, *types: type) -> Any:
        """Return what a file holds, None where it is damaged, which is told."""
        try:
            return storage.load(path, *types)
        except InvalidInput as error:
            if Plan in types and isinstance(error, IncompatibleModel):
                raise
            self.warnings.append(f"damaged, so that its part of the training was done again: {error}")
            path.unlink(missing_ok=True)
            return None


NOWHERE = Checkpoints(None)
"""Where nothing is kept."""


def remove_checkpoint(folder: str | os.PathLike[str] | None) -> None:
    """Remove what `train_system` has kept in a folder, if in any, once the system is saved.

    Raises
    ------
    InvalidInput
        If it is no such folder.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> remove_checkpoint(folder.name)  # as it was given to `train_system`
    >>> os.path.exists(folder.name)
    False
    >>> folder.cleanup()
    """
    Checkpoints(folder).remove()


def _check(folder: Path) -> None:
    """Refuse what is no folder of checkpoints, and where none can be made."""
    if "\0" in str(folder):
        refuse(_WHAT, "have a name without NUL", repr(str(folder)))
    try:
        if not folder.exists():
            if not folder.parent.is_dir():
                refuse(_WHAT, "be in a folder that exists", folder, f"Make it first: mkdir -p {folder.parent}")
            return
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        _cannot(folder, str(error.strerror))
    if _PLAN not in names and (other := [n for n in names if not _OURS.fullmatch(n)]):
        found = f"{folder}, which holds {other[0]!r}"
        refuse(_WHAT, "be new, empty or of checkpoints", found, "Give another name, or move that away first.")
    if not os.access(folder, os.W_OK):
        _cannot(folder, "permission denied")


def _cannot(folder: Path, why: str) -> NoReturn:
    refuse(_WHAT, "name a folder that can be written", f"{folder} ({why})")


def _digest(frames: TrainingFrames) -> str:
    """Return what tells these frames, and whose they are, from all others."""
    digest = hashlib.sha256(storage.fingerprint(frames.frontend).encode())
    parts = [(p.recording.speaker, p.recording.session, p.recording.name, p.start, p.stop) for p in frames.parts]
    digest.update(json.dumps(parts).encode())
    for x in (frames.unnormalized, frames.blocks.frames):
        digest.update(f"{x.dtype.str} {x.shape}".encode())
        for block in in_blocks(x):
            digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()
