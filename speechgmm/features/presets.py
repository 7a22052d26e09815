"""Front ends by name: every setting of them is a field of the `MFCC` that comes back."""

from collections.abc import Callable, Iterable
from types import MappingProxyType

from speechgmm.checks import choice, integer, refuse
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


def preset(name: str, sample_rate: int = 16000) -> MFCC:
    """Return the front end of this name.

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
    return PRESETS[choice(name, "preset", PRESETS)](rate)


def preset_for(sounds: Iterable[Sound], name: str) -> MFCC:
    """Return the preset of this name at the lowest rate of the sounds that is at least 8 kHz, at most 48 kHz.

    Raises
    ------
    InvalidInput
        If all rates are below 8 kHz, no sound has one, there is no such preset, or a file is one of features.
    """
    every = tuple(sounds)
    if own := [path for path in (recording_of(sound, "").path for sound in every) if is_features(path)]:
        refuse(f"the preset {name!r}", "be for sound", f"{own[0]}, a file of features", "Leave the preset out.")
    return preset(name, min(common_rate(every, minimum=_LOWEST), _HIGHEST))
