"""What a front end is: a frozen value that turns sound into a matrix of features (N frames, D dimensions).

`MFCC` is one. A front end of your own is a frozen dataclass of its settings that derives from `FrontEnd` and says its
rate, its step, its dimensions and what it makes of a signal; everything else works with it as it is. `register_preset`
gives it a name, and lets models that were trained with it be read.
"""

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, matrix, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.features import audio
from speechgmm.features.acoustics import Acoustics
from speechgmm.features.corpus import Recording
from speechgmm.features.sounds import Sound, is_features, stream_sound
from speechgmm.features.source import concatenated
from speechgmm.features.spool import Spool
from speechgmm.looks import Shown
from speechgmm.storage import fingerprint


class FrontEnd(Shown, ABC):
    """Sound to features. A subclass is a frozen dataclass with at least these settings.

    Attributes
    ----------
    sample_rate : int
        Hz. Recordings of a higher rate are resampled, those of a lower one refused.
    hop_length : float
        Seconds from one frame to the next.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.features import FrontEnd, preset
    >>> frontend = preset("sound", 16000)  # `register_preset` shows a front end of your own
    >>> isinstance(frontend, FrontEnd), frontend(np.zeros(16000)).shape[1] == frontend.n_dimensions
    (True, True)
    """

    sample_rate: int
    hop_length: float

    @property
    @abstractmethod
    def n_dimensions(self) -> int:
        """D."""

    @abstractmethod
    def __call__(self, signal: ArrayLike, *, what: str = "the signal") -> Array:
        """Return the features (N, D) of a signal at this front end's rate; `what` names it in messages."""

    @property
    def n_streams(self) -> int:
        """How many streams of as many features a frame holds one after the other: each gets mixtures of its own."""
        return 1

    @property
    def unnormalized(self) -> "FrontEnd":
        """The front end whose features become those of this one by `normalized`; one that knows none is its own."""
        return self

    def normalized(self, x: Array) -> Array:
        """Return the features (N, D) of a recording, or of a part as if it were one, from those of `unnormalized`."""
        return x

    def learned(self, recordings: Iterable[Array]) -> "FrontEnd":
        """Return what training makes of this front end, from features (n, D) of `unnormalized`; here it stays."""
        return self

    @property
    def fingerprint(self) -> str:
        """Names the settings: features of two front ends with the same one can be compared."""
        return fingerprint(self)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name, in types that JSON holds."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    _FIRST = ("sample_rate",)

    def __str__(self) -> str:
        """Return the kind and the rate."""
        return f"{type(self).__name__}(sample_rate={self.sample_rate})"

    def seconds(self, x: Array) -> float:
        """Return how much speech so many frames (N, D) are, in seconds."""
        return len(x) * self.hop_length

    def hear(self, sound: Sound, recording: Recording) -> tuple[Iterable[Array], str]:
        """Return the samples of a sound as `from_blocks` takes them, and their digest, which names the recording.

        Raises
        ------
        SpeechGMMError
            If it cannot be read, is no sound, or is a file of features.
        """
        what = recording.path or recording.name
        if is_features(recording.path):
            advice = "Train a model on features, or give the recording itself."
            refuse(what, f"be sound, as {self} takes it", "a file of features", advice, error=IncompatibleModel)
        heard = audio.Digest()
        with stream_sound(sound, recording, self.sample_rate) as stream:
            tapped = audio.Stream(stream.sample_rate, heard.of(stream.blocks))
            samples = Spool(audio.resampled(tapped, self.sample_rate, what=what))
        return samples, str(heard)

    def from_blocks(self, blocks: Iterable[Array], *, what: str = "the signal") -> Array:
        """Return the features (N, D) of a signal that comes in blocks of samples (n,), which can be iterated again.

        A front end that can take them one after the other overrides this; here they are joined for a call.
        """
        return self(concatenated(list(blocks)), what=what)

    def listened(self, blocks: Iterable[Array], *, what: str = "the signal") -> tuple[Array, Acoustics | None]:
        """Return the features of a signal in blocks, as `from_blocks` does, and how it sounds, if this front end says.

        One that can tell from the same pass overrides this.
        """
        return self.from_blocks(blocks, what=what), None

    def from_stream(self, stream: audio.Stream, *, what: str = "the signal") -> Array:
        """Return the features (N, D) of a stream of this rate or a higher one."""
        return self.from_blocks(Spool(audio.resampled(stream, self.sample_rate, what=what)), what=what)

    def from_signal(self, signal: audio.Signal, *, what: str = "the signal") -> Array:
        """Return the features (N, D) of a signal of this rate or a higher one."""
        return self(audio.resample(signal, self.sample_rate, what=what).samples, what=what)

    def from_file(self, path: str | os.PathLike[str], *, channel: int | str = "mix") -> Array:
        """Return the features (N, D) of a recording; see `audio.read` for formats and errors."""
        with audio.stream(path, channel=channel) as stream:
            return self.from_stream(stream, what=str(path))

    def check_features(self, features: ArrayLike, model: str) -> Array:
        """Return features as a finite matrix (N, D), or say how to extract those that a model needs.

        Raises
        ------
        InvalidInput
            If they are not finite numbers.
        IncompatibleModel
            If they are of another number of dimensions.
        """
        x = np.asarray(features)
        if x.ndim != 2 or x.shape[1] != self.n_dimensions:
            rule = f"have {self.n_dimensions} features, as {model} was trained with {self}"
            advice = "Extract them with its front end."
            refuse("frames", rule, f"shape {x.shape}", advice, error=IncompatibleModel)
        return matrix(x)

    def check_same(self, other: Self, what: str) -> None:
        """Refuse another front end, and say which settings differ; what training has learned is none that was chosen.

        Raises
        ------
        IncompatibleModel
        """
        mine, others = self.settings, other.settings
        differ = [n for n in mine if mine[n] != others.get(n) and not isinstance(mine[n] or others.get(n), dict)]
        if differ:
            rule = "be of the same front end: " + ", ".join(f"{n}={mine[n]!r}" for n in differ)
            found = ", ".join(f"{n}={others.get(n)!r}" for n in differ)
            advice = "Use the model that it was made with, or make it again with this one."
            refuse(what, rule, found, advice, error=IncompatibleModel)
