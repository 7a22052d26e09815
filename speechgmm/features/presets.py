"""Front ends by name: those of the package, each an `MFCC` with some settings, and those of your own."""

from collections.abc import Callable, Iterable
from types import MappingProxyType

from speechgmm import checks, storage
from speechgmm.checks import choice, integer, refuse
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.mfcc import MFCC
from speechgmm.features.sounds import Sound, common_rate, is_features, recording_of

_LOWEST, _HIGHEST = 8000, 48000
"""The rates of presets, in Hz."""


def _sound(rate: int) -> MFCC:
    return MFCC(
        sample_rate=rate,
        n_mels=40,
        fmin=20.0,
        win_length=0.040,
        hop_length=0.020,
        preemphasis=0.0,
        deltas=1,
        speech="none",
        silence=-200.0,
        normalization="none",
    )


def _word(rate: int) -> MFCC:
    return MFCC(sample_rate=rate, n_mfcc=13, speech="none", silence=-200.0, min_speech=0.0)


def _published(rate: int, convention: str, n_mels: int, fmin: float) -> MFCC:
    return MFCC(
        sample_rate=rate,
        n_mfcc=13,
        n_mels=n_mels,
        fmin=fmin,
        fmax=rate / 2,
        dither=0.0,
        deltas=0,
        delta_width=2,
        speech="none",
        silence=-200.0,
        min_speech=0.0,
        normalization="none",
        convention=convention,
    )


PRESETS = MappingProxyType[str, Callable[[int], MFCC]](
    {
        "speech": lambda rate: MFCC(sample_rate=rate),
        "linear": lambda rate: MFCC(sample_rate=rate, kind="lfcc"),
        "both": lambda rate: MFCC(sample_rate=rate, kind="mfcc+lfcc"),
        "word": _word,
        "sound": _sound,
        "kaldi": lambda rate: _published(rate, "kaldi", 23, 20.0),
        "htk": lambda rate: _published(rate, "htk", 26, 0.0),
    }
)
"""The front ends that come with the package, by name: each is made for a sampling rate in Hz."""


_REGISTERED: dict[str, Callable[[int], FrontEnd]] = {}
"""What this process has registered."""


def register_preset(name: str, make: Callable[[int], FrontEnd]) -> None:
    """Register a front end of your own by name, until this process ends.

    `preset`, `preset_for` and whatever takes a front end by name then know it, and `load_system` and `load_classifier`
    read models that were trained with a front end of its type, so that a program registers before it loads.

    Parameters
    ----------
    name : str
        None of the package's own; one that was registered before is replaced.
    make : callable
        Makes the front end for a rate in Hz, which may be another one's than it has itself: higher ones are resampled.
        It is called once here, for 16000.

    Raises
    ------
    InvalidInput
        If the name is blank, cannot be seen or is one of the package's own, or what is made is no front end.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from speechgmm.features import FrontEnd, preset, register_preset
    >>> @dataclass(frozen=True)
    ... class Loudness(FrontEnd):
    ...     sample_rate: int = 16000
    ...     hop_length: float = 0.010
    ...
    ...     @property
    ...     def n_dimensions(self):
    ...         return 1
    ...
    ...     def __call__(self, signal, *, what="the signal"):
    ...         step = round(self.hop_length * self.sample_rate)
    ...         frames = np.reshape(signal[: len(signal) // step * step], (-1, step))
    ...         return np.log(np.mean(frames**2, axis=1, keepdims=True) + 1e-9)
    >>> register_preset("loudness", lambda rate: Loudness(sample_rate=rate))
    >>> preset("loudness", 8000)(np.ones(240)).shape
    (3, 1)
    """
    name = checks.name(name, "the name of a preset")
    if name in PRESETS:
        refuse("the name of a preset", "be none of " + ", ".join(map(repr, PRESETS)), repr(name), "Give it another.")
    made = make(16000)
    checks.instance(made, f"what makes the preset {name!r} at 16000 Hz", FrontEnd)
    storage.know(type(made))
    _REGISTERED[name] = make


def preset(name: str, sample_rate: int = 16000) -> FrontEnd:
    """Return the front end of this name: an `MFCC`, but for those that were registered.

    Parameters
    ----------
    name : str
        "speech": the defaults of `MFCC`. Frames without speech are left out, and the channel is normalized away.
        "linear": the same with bands of equal width in Hz (LFCC). "both": the cepstra of "speech" and of "linear", each
        with mixtures of their own: they err differently, and together tell speakers apart better than either.
        "word": for words said alone, in recordings that are cut at their edges. Every frame counts, for a stop or a
        soft end is part of the word, and however short; 13 cepstra, the channel normalized away.
        "sound": for sounds of any kind. Every frame counts, silent ones too, for when a sound stops tells what it is;
        levels and spectra are kept as they are; 40 mel bands from 20 Hz to 0.475 of the rate, windows of 40 ms every
        20 ms, 20 cepstra with deltas.
        "kaldi", "htk": what others publish, number for number: Kaldi's compute-mfcc-feats without options, but for its
        dither; HTK's MFCC_0 with the settings of its tutorial (26 channels, 12 cepstra, the zeroth behind them). Every
        frame of 25 ms, each 10 ms, is there and as it is: 13 features without deltas or normalization.
    sample_rate : int
        Hz, from 8000 to 48000. The bands follow from it.

    Raises
    ------
    InvalidInput
        If there is no such preset, or the rate is out of range.

    Examples
    --------
    >>> preset("sound", 44100).fmax
    20947.5

    A variant, with the logarithms of the mel bands instead of cepstra:

    >>> import dataclasses
    >>> dataclasses.replace(preset("sound"), kind="mel").n_dimensions
    80

    HTK's MFCC_0_D_A, with the mean of the recording taken out:

    >>> dataclasses.replace(preset("htk"), deltas=2, normalization="mean").n_dimensions
    39
    """
    rate = integer(sample_rate, "sample_rate", minimum=_LOWEST, maximum=_HIGHEST, advice="It is in Hz.")
    known: dict[str, Callable[[int], FrontEnd]] = {**PRESETS, **_REGISTERED}
    return known[choice(name, "preset", known)](rate)


def preset_for(sounds: Iterable[Sound], name: str) -> FrontEnd:
    """Return the preset of this name at the lowest rate of the sounds that is at least 8 kHz, at most 48 kHz.

    Raises
    ------
    InvalidInput
        If all rates are below 8 kHz, no sound has one, there is no such preset, or a file is one of features.

    Warns
    -----
    SpeechGMMWarning
        If there are several rates: of how many sounds each is, and which.

    Examples
    --------
    >>> preset_for(["data/slt/s1_1.flac", "data/rms/s1_1.flac"], "speech").sample_rate
    16000
    """
    every = tuple(sounds)
    if own := [path for path in (recording_of(sound, "").path for sound in every) if is_features(path)]:
        refuse(f"the preset {name!r}", "be for sound", f"{own[0]}, a file of features", "Leave the preset out.")
    return preset(name, min(common_rate(every, minimum=_LOWEST, told=True), _HIGHEST))
