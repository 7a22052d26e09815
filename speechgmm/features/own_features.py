"""Features of your own instead of sound: matrices (N, D) in files or as arrays, and the front end that says so.

Files are `.npy` ones and Kaldi archives (`archives.py`).

Symbols: N frames, D dimensions.
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import checks
from speechgmm.checks import Array, matrix, refuse
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import archives
from speechgmm.features.audio import Signal
from speechgmm.features.corpus import Recording
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.sounds import Sound, is_features, recording_of
from speechgmm.storage import fingerprint


@dataclass(frozen=True, kw_only=True)
class OwnFeatures(FrontEnd):
    """The front end of a model of your own features: it takes them as they are, as float32, and no sound.

    Where a recording may be given, the path of a `.npy` file that holds a matrix (N, D) is one, and so are a place in a
    Kaldi archive (``feats.ark:17``) and an array. Every frame counts as speech: those without are left out beforehand.

    Parameters
    ----------
    dimensions : int
        D.
    hop_length : float
        Seconds from one frame to the next; amounts of speech, and parts of recordings, are counted by it.

    Raises
    ------
    InvalidInput
        If a setting is out of its range.

    Examples
    --------
    >>> frontend = OwnFeatures(dimensions=2)
    >>> frontend.check([[1.0, 2.0], [3.0, 4.0]]).dtype
    dtype('float32')
    """

    dimensions: int
    hop_length: float = 0.010

    def __post_init__(self) -> None:
        """Check the settings."""
        dimensions = checks.integer(self.dimensions, "dimensions", minimum=1)
        hop = checks.number(self.hop_length, "hop_length", minimum=0.0001, maximum=10.0, unit=" s")
        checks.hold(self, dimensions=dimensions, hop_length=hop)

    @property
    def n_dimensions(self) -> int:
        """D."""
        return self.dimensions

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name, and that it is of features."""
        return {"kind": "features", **super().settings}

    def __str__(self) -> str:
        """Return how many features there are."""
        return f"OwnFeatures(dimensions={self.dimensions})"

    def check(self, features: ArrayLike, what: str = "the features") -> Array:
        """Return features as a finite matrix (N, D) of float32; `what` names them in messages.

        Raises
        ------
        InvalidInput
            If they are no matrix of finite real numbers.
        IncompatibleModel
            If they are of another number of dimensions.
        """
        x = matrix(features, what)
        if x.shape[1] != self.dimensions:
            rule = f"have {self.dimensions} features per frame, as the model has"
            refuse(what, rule, f"{x.shape[1]}", error=IncompatibleModel)
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            return matrix(np.ascontiguousarray(x, dtype=np.float32), what)

    def check_features(self, features: ArrayLike, model: str) -> Array:
        """Return features as a finite matrix (N, D) of float32, as those of files are."""
        return self.check(super().check_features(features, model))

    def __call__(self, signal: ArrayLike, *, what: str = "the signal") -> Array:
        """Return features (N, D) as they are; a signal is refused."""
        return _refuse_sound(what) if np.ndim(signal) == 1 else self.check(signal, what)

    def from_signal(self, signal: Signal, *, what: str = "the signal") -> Array:
        """Refuse sound."""
        _refuse_sound(what)

    def from_file(self, path: str | os.PathLike[str], *, channel: int | str = "mix") -> Array:
        """Return the features (N, D) that a `.npy` file, or a place in an archive, holds."""
        return self._part(Recording(os.fspath(path), "", os.fspath(path), channel=channel))

    def hear(self, sound: Sound, recording: Recording) -> tuple[list[Array], str]:
        """Return the features that stand for a sound, in one block, and their digest.

        Raises
        ------
        InvalidInput
            If it is sound, or the features are not those that the model takes.
        """
        if isinstance(sound, Signal):
            _refuse_sound(recording.name)
        x = self._part(recording) if recording.path else self(np.asarray(sound), what=recording.name)
        return [x], fingerprint(x)

    def _part(self, recording: Recording) -> Array:
        """Return the frames of a file from its start to its end."""
        if not is_features(recording.path):
            _refuse_sound(recording.path)
        if recording.channel != "mix":
            refuse(f"the channel of {recording.path}", "be left out, as features have none", repr(recording.channel))
        x = self.check(read_features(recording.path), recording.path)
        last = self.seconds(x) if recording.end is None else recording.end
        known = math.isfinite(recording.start) and math.isfinite(last)
        first, end = (round(t / self.hop_length) if known else -1 for t in (recording.start, last))
        if not 0 <= first < end <= len(x):
            found = f"{recording.start:g} to {last:g} s"
            refuse(f"the part of {recording.path}", f"lie within its {self.seconds(x):.2f} s", found)
        return x[first:end]


def read_features(path: str | os.PathLike[str]) -> Array:
    """Return the matrix (N, D) in a `.npy` file or at a place in a Kaldi archive; nothing is ever unpickled.

    It is of whatever type it has there, but for float16 and whole numbers, which become float64.

    Parameters
    ----------
    path : path
        ``a.npy``, or ``feats.ark:17`` as a `.scp` lists it.

    Raises
    ------
    InvalidInput
        If there is no such file, or it holds anything but an array of numbers.
    MissingExtra
        If it is an archive, and kaldiio is not installed.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "a.npy")
    >>> np.save(place, np.zeros((100, 13), dtype=np.float32))
    >>> read_features(place).shape
    (100, 13)
    >>> folder.cleanup()
    """
    name = os.fspath(path)
    if name.lower().endswith(archives.ENDINGS) or archives.is_place(name):
        return matrix(archives.read_matrix(name), name)
    if not os.path.isfile(name):
        refuse("a file of features", "exist", f"{name}, which does not", "Check the path.")
    try:
        # mapped, so that a header that lies costs no memory
        x = np.load(name, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header is Python text, and its parser raises errors of its own
        refuse(name, "be a .npy file of plain numbers", f"this: {error}", "Write it with numpy.save.")
    if not isinstance(x, np.ndarray):
        refuse(name, "be a .npy file of plain numbers", "an archive of several", "Write it with numpy.save.")
    if not x.dtype.itemsize:  # a copy gives each entry a byte
        refuse(name, "be a .npy file of plain numbers", f"entries without a byte, {x.dtype}")
    return matrix(np.array(x), name)


def own_frontend(sounds: Iterable[Sound], *, hop_length: float = OwnFeatures.hop_length) -> OwnFeatures | None:
    """Return the front end of files of features, None for sounds; both together are refused.

    Parameters
    ----------
    sounds : iterable of paths, signals or recordings
    hop_length : float
        Seconds from one frame to the next.

    Raises
    ------
    InvalidInput
        If some are features and some are not, or no file of features can be read: the first one's error.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/a.npy", np.zeros((100, 13)))
    >>> own_frontend([f"{folder.name}/a.npy"]).n_dimensions
    13
    >>> own_frontend(["data/slt/s1_1.flac"]) is None
    True
    >>> folder.cleanup()
    """
    paths = [recording_of(sound, "").path for sound in sounds]
    features = [path for path in paths if is_features(path)]
    if not features:
        return None
    if others := [path for path in paths if not is_features(path)]:
        found = f"{features[0]} and {others[0] or 'a signal'}"
        refuse("a corpus", "be of sound, or of features in files, not of both", found)
    first: InvalidInput | None = None
    for path in features:
        try:
            return OwnFeatures(dimensions=read_features(path).shape[1], hop_length=hop_length)
        except InvalidInput as error:
            first = first or error
    assert first is not None
    raise first


def _refuse_sound(what: str) -> NoReturn:
    rule = "be features, in a .npy file or a Kaldi archive, as this model takes no sound"
    refuse(what, rule, "something else", "Use a model that was trained on sound.", error=IncompatibleModel)
