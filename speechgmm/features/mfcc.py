"""The front end: mel-frequency cepstra, or mel bands, as librosa makes them, as one frozen, callable value.

Seconds and hertz outside; axes are swapped to (frames, dimensions) here and nowhere else. Symbols: N frames,
D dimensions.
"""

import dataclasses
import functools
import typing
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import checks
from speechgmm.checks import Array, refuse
from speechgmm.errors import TooLittleSpeech
from speechgmm.features import audio, normalize, speech_detection
from speechgmm.features.acoustics import Acoustics, Listener
from speechgmm.features.conventions import CONVENTIONS, Convention
from speechgmm.features.dynamics import deltas_in_blocks, rasta_in_blocks
from speechgmm.features.filterbanks import KINDS, cosine_transform, toolkit_bands
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.levels import FLOOR, Levels
from speechgmm.features.source import regrouped
from speechgmm.features.spectrum import powers
from speechgmm.features.spool import Spool, in_blocks
from speechgmm.parallel import one_thread

_SAMPLES = 1 << 20
"""Samples handled at once, of transforms up to 4 hops long: 66 s at 16 kHz, some 50 MB."""
_ROWS = 1 << 15
"""Frames whose deltas are taken at once."""
_FRAMES = 1 << 10
"""Frames that are held by themselves at once, where a convention takes them so: some 20 MB at 16 kHz."""
_FASTEST, _MOST_BANDS = 1_000_000, 1000
"""A rate in Hz, and mel bands, beyond any use: what they would need of memory is refused before it is asked for."""


def _by_rate(sample_rate: int) -> dict[str, typing.Any]:
    """Return the defaults that depend on the rate, in Hz."""
    wide = sample_rate >= 12000
    return {"n_mels": 30 if wide else 24, "fmin": 50.0 if wide else 100.0, "fmax": 0.475 * sample_rate}


@dataclass(frozen=True, kw_only=True)
class MFCC(FrontEnd):
    """Mel-frequency cepstral coefficients of speech frames, with deltas, normalized over the recording.

    The order: dither, pre-emphasis, windows, mel bands, logarithm, cosine transform, RASTA if asked for, deltas over
    all frames, speech frames kept, normalization over these. The defaults are what held on telephone and read speech
    alike.

    Parameters
    ----------
    sample_rate : int
        Hz. Recordings of a higher rate are resampled, of a lower one refused.
    kind : str
        "mfcc": cepstra. "lfcc": cepstra of bands of equal width in Hz, as many and in the same range as mel bands.
        "mfcc+lfcc": both, one after the other, as two streams. "mel": the logarithms of the mel bands as they are;
        `n_mfcc` then does not matter.
    n_mfcc : int
        Cepstra, the zeroth (level) included. Keep it below `n_mels`: variance normalization blows up the noise of
        the last ones.
    n_mels : int, optional
        Mel bands; default 24 below 12 kHz and 30 from there on.
    fmin, fmax : float, optional
        The band, in Hz; default 100 Hz (50 Hz from 12 kHz on) to 0.475 of the sample rate.
    win_length, hop_length : float
        Window and step, in seconds.
    preemphasis : float
        Coefficient of the first-order high-pass; 0 switches it off.
    dither : float
        Deviation of the noise that is added, in steps of 16 bits (1/32768), against digital silence. It is drawn from
        the settings and the samples alone, so that a recording gives the same features whenever it is read.
    deltas : int
        0: none, 1: deltas, 2: double deltas too.
    delta_width : int
        Frames to each side in their regression; a wider one is smoother.
    speech : str
        "gaussians" keeps the frames that the louder of two Gaussians over the recording's levels explains; "none"
        keeps all above `silence`.
    silence : float
        Frames below this level are never speech, in dB relative to full scale.
    prominence : float
        Of "gaussians": frames at most so many dB below the loud ones (the 95th percentile) are speech in any case.
        Where a recording is cut close to the words, the quieter Gaussian is speech too; others who talk 10 dB lower
        are not. With 16 dB speakers were told apart better than with 20 (`recipes/benchmarks/README.md`).
    min_speech : float
        The least speech that is accepted, in seconds: the vowel of a short word.
    normalization : str
        Over the speech frames of the recording: "none", "mean", "mean_variance", or "smoothed", which is mean and
        variance with usual speech beside the recording's own. By short recordings it tells speakers apart better,
        by whole calls no better (`recipes/benchmarks/accuracy.py`). "sliding" (mean and variance) and "warped"
        (feature warping) take 3 s of speech about each frame, for channels that change within a recording.
    averages : Averages, optional
        Usual speech. Training learns it from the background; before, "smoothed" does what "mean_variance" does.
    convention : str, optional
        "kaldi" or "htk": windows, bands and cepstra as this toolkit has them (`conventions`), of the kinds "mfcc" and
        "mel". The settings that go with it are those of ``preset("kaldi")`` and ``preset("htk")``.
    rasta : float, optional
        The pole of a RASTA filter along each cepstrum or band, before deltas and the choice of speech: it lets pass
        what changes as fast as speech does. Usual are 0.94 and 0.98, at 100 frames per second.

    Raises
    ------
    InvalidInput
        If a setting is out of its range.

    Examples
    --------
    >>> MFCC(sample_rate=8000).n_dimensions
    60
    """

    LATER_FIELDS: typing.ClassVar = {"averages": None, "convention": None, "rasta": None, "prominence": 20.0}
    PARTS: typing.ClassVar = (normalize.Averages,)

    sample_rate: int = 16000
    kind: str = "mfcc"
    n_mfcc: int = 20
    n_mels: int | None = None
    fmin: float | None = None
    fmax: float | None = None
    win_length: float = 0.025
    hop_length: float = 0.010
    preemphasis: float = 0.97
    dither: float = 1.0
    deltas: int = 2
    delta_width: int = 3
    speech: str = "gaussians"
    silence: float = -75.0
    prominence: float = 16.0
    min_speech: float = 0.08
    normalization: str = "smoothed"
    averages: normalize.Averages | None = None
    convention: str | None = None
    rasta: float | None = None

    def _usual(self) -> dict[str, typing.Any]:
        """Return the defaults, also those that depend on the rate."""
        return super()._usual() | _by_rate(self.sample_rate)

    def __post_init__(self) -> None:
        """Fill in the defaults that depend on the rate, and check everything."""
        rate = checks.integer(self.sample_rate, "sample_rate", minimum=1000, maximum=_FASTEST, advice="It is in Hz.")
        for name, default in _by_rate(rate).items():
            if getattr(self, name) is None:
                checks.hold(self, **{name: default})
        checks.choice(self.kind, "kind", KINDS)
        if self.convention is not None:
            checks.choice(self.convention, "convention", CONVENTIONS)
            checks.choice(self.kind, f"kind of the convention {self.convention!r}", ("mfcc", "mel"))
        checks.integer(self.n_mels, "n_mels", minimum=2, maximum=_MOST_BANDS)
        checks.integer(self.n_mfcc, "n_mfcc", minimum=1, maximum=self.n_mels, advice="It is at most n_mels.")
        checks.number(self.fmin, "fmin", minimum=0.0, unit=" Hz")
        checks.number(self.fmax, "fmax", minimum=float(self.fmin or 0), maximum=rate / 2, above=True, unit=" Hz")
        checks.number(self.win_length, "win_length", minimum=0.002, maximum=1.0, unit=" s", advice="It is in seconds.")
        checks.number(self.hop_length, "hop_length", minimum=0.001, maximum=self.win_length, unit=" s")
        checks.number(self.preemphasis, "preemphasis", minimum=0.0, maximum=1.0)
        checks.number(self.dither, "dither", minimum=0.0, maximum=1000.0)
        if self.rasta is not None:
            checks.number(self.rasta, "rasta", minimum=0.0, maximum=0.999)
        checks.integer(self.deltas, "deltas", minimum=0, maximum=2)
        checks.integer(self.delta_width, "delta_width", minimum=1, maximum=20)
        checks.choice(self.speech, "speech", speech_detection.METHODS)
        checks.number(self.silence, "silence", minimum=-200.0, maximum=0.0, unit=" dB")
        checks.number(self.prominence, "prominence", minimum=0.0, maximum=200.0, unit=" dB")
        checks.number(self.min_speech, "min_speech", minimum=0.0, maximum=60.0, unit=" s")
        checks.choice(self.normalization, "normalization", normalize.METHODS)
        for f in dataclasses.fields(self):  # 50, 50.0 and numpy's 50 are one setting, with one fingerprint
            kind, *_ = typing.get_args(f.type) or (f.type,)
            if (value := getattr(self, f.name)) is not None and kind is not normalize.Averages:
                checks.hold(self, **{f.name: kind(value)})
        given: object = self.averages
        if isinstance(given, Mapping):  # as `settings` has them
            checks.hold(self, averages=normalize.Averages(**given))
        if self.averages is not None:
            checks.instance(self.averages, "averages", normalize.Averages)
            if self.normalization != "smoothed" or len(self.averages.mean) != self.n_dimensions:
                found = f"those of {len(self.averages.mean)} for normalization={self.normalization!r}"
                refuse("averages", f"be of {self.n_dimensions} features, for normalization='smoothed'", found)

    @property
    def n_dimensions(self) -> int:
        """D: cepstra (or mel bands) and their deltas."""
        return (int(self.n_mels or 0) if self.kind == "mel" else self.n_mfcc) * (self.deltas + 1) * self.n_streams

    @property
    def n_streams(self) -> int:
        """Two of "mfcc+lfcc", each cepstra with their deltas; else one."""
        return 2 if self.kind == "mfcc+lfcc" else 1

    def __str__(self) -> str:
        """Return the settings that make the dimensions."""
        return f"MFCC(sample_rate={self.sample_rate}, n_mfcc={self.n_mfcc}, deltas={self.deltas})"

    @property
    def unnormalized(self) -> "MFCC":
        """The same front end without its normalization."""
        return dataclasses.replace(self, normalization="none", averages=None)

    def normalized(self, x: Array) -> Array:
        """Return the features (N, D) of a recording, or of a part of one, that `unnormalized` gave, normalized.

        They are to the last bit what this front end makes of the recording.
        """
        return self._normalized(Spool([x]))

    def learned(self, recordings: Iterable[Array]) -> "MFCC":
        """Return this front end with the averages of recordings (n, D), if it has a use for them and has none yet."""
        if self.normalization != "smoothed" or self.averages is not None:
            return self
        return dataclasses.replace(self, averages=normalize.Averages.of(recordings))

    def __call__(self, signal: ArrayLike, *, what: str = "the signal") -> Array:
        """Return the features of a signal at this front end's rate.

        Parameters
        ----------
        signal : array_like, shape (samples,)
            Float samples in [-1, 1].
        what : str
            How messages name it.

        Returns
        -------
        ndarray, shape (N, D), float32
            One row for each frame of speech.

        Raises
        ------
        AudioError
            If the signal is empty or not finite.
        TooLittleSpeech
            If it holds less than `min_speech` seconds of speech.
        """
        return self.from_blocks([audio.check_signal(np.asarray(signal), what)], what=what)

    def from_blocks(self, blocks: Iterable[Array], *, what: str = "the signal") -> Array:
        """Return the features of a signal that comes in blocks, in constant memory: see `FrontEnd.from_blocks`.

        Cepstra and levels wait for the detector, features for their normalization. Many lie in a temporary file, into
        which the array that comes back is mapped. Which blocks the signal comes in does not matter.
        """
        return self._extract(blocks, what, None)[0]

    def listened(self, blocks: Iterable[Array], *, what: str = "the signal") -> tuple[Array, Acoustics | None]:
        """Return the features of a signal in blocks, see `from_blocks`, and how it sounds before normalization."""
        listener = Listener(*self._sizes[:2], self.sample_rate)
        features, level, speech = self._extract(blocks, what, listener)
        return features, listener.heard(level, speech, *self._bases)

    @one_thread
    def _extract(self, blocks: Iterable[Array], what: str, listener: Listener | None) -> tuple[Array, Array, Array]:
        """Return the features, the levels (N,) of all frames and which are speech; a listener hears all of it."""
        samples = sum(map(len, blocks))
        self._enough(samples / self.sample_rate, max(self.win_length, self.min_speech), what, "of sound")
        static, levels = Spool(), Levels(*self._sizes[:2])
        for y, before, new in self._windows(blocks):
            levels.add(y[before:], new)
            if listener:
                listener.add(y, before, new)
            if len(y) - before >= self._sizes[0]:
                static.add(self._static(y, before))
        if self.rasta is not None:
            static = Spool(rasta_in_blocks(static, self.rasta, _ROWS))
        level = levels.decibels()
        speech = speech_detection.speech_frames(level, self.speech, silence=self.silence, prominence=self.prominence)
        found = f"of speech in {samples / self.sample_rate:.2f} s of sound, its loudest frame at"
        least = max(self.hop_length, self.min_speech)  # one frame, whatever is asked for
        self._enough(speech.sum() * self.hop_length, least, what, f"{found} {level.max():.0f} dB")
        features, start, d = Spool(), 0, self.n_dimensions // (self.deltas + 1) // self.n_streams
        for x in deltas_in_blocks(static, self.deltas, self.delta_width, _ROWS):
            kept = self._by_stream(x[speech[start : start + len(x)]])
            features.add(kept)
            if listener:  # the first stream says it all
                listener.add_speech(kept[:, :d], kept[:, d : 2 * d][:, : d * min(self.deltas, 1)])
            start += len(x)
        return self._normalized(features), level, speech

    def _normalized(self, features: Spool) -> Array:
        blocks = normalize.normalized_in_blocks(features, self.normalization, self.averages, window=self._window_frames)
        return Spool(blocks).array()

    @property
    def _window_frames(self) -> int:
        """Frames of a window that slides along the speech."""
        return max(1, round(normalize.WINDOW / self.hop_length))

    def _by_stream(self, x: Array) -> Array:
        """Return features (n, D), whose deltas stand behind all static ones, with those of each stream together."""
        if self.n_streams == 1:
            return x
        by_order = x.reshape(len(x), self.deltas + 1, self.n_streams, self.n_mfcc)
        return by_order.swapaxes(1, 2).reshape(x.shape)

    @property
    def _bases(self) -> tuple[Array, Array]:
        """What makes cepstra (., C) and bands (., B) of the static features."""
        cosines = cosine_transform(int(self.n_mels or 0))
        first = np.eye(self.n_mfcc)
        if as_there := self._convention:
            first = np.linalg.inv(as_there.liftered(self.n_mfcc))
        to_powers = 2 / as_there.exponent if as_there else 1
        if self.kind == "mel":
            return to_powers * cosines[:, : self.n_mfcc], to_powers * np.eye(len(cosines))
        return to_powers * first, to_powers * first @ cosines[:, : self.n_mfcc].T

    @property
    def _convention(self) -> Convention | None:
        """How another toolkit does it, if it is to be as there."""
        return CONVENTIONS[self.convention] if self.convention else None

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Samples of a window, from one window to the next, and of a transform."""
        if as_there := self._convention:
            window, hop = (as_there.samples(t, self.sample_rate) for t in (self.win_length, self.hop_length))
        else:
            window, hop = round(self.win_length * self.sample_rate), round(self.hop_length * self.sample_rate)
        return window, max(1, hop), 1 << (window - 1).bit_length()

    def _windows(self, blocks: Iterable[Array]) -> Iterator[tuple[Array, int, int]]:
        """Yield the dithered signal piece by piece, each beginning where the frames of the one before have ended.

        With each come how many samples (0 or 1) stand before its first frame, and how many are new.
        """
        window, hop, size = self._sizes
        noise = self._noise(blocks)
        rest, before = np.zeros(0, np.float32), 0
        for block in regrouped(blocks, max(window, min(_SAMPLES, 4 * _SAMPLES * hop // size))):
            new = noise(block)
            y = np.concatenate([rest, new]) if len(rest) else new
            yield y, before, len(new)
            frames = (len(y) - before - window) // hop + 1
            if frames > 0:
                rest, before = y[before + frames * hop - 1 :], 1
            else:
                rest = y

    def _enough(self, seconds: float, least: float, what: str, found: str) -> None:
        if seconds < least:
            rule, advice = f"hold at least {least:g} s of speech", "Record more, or louder."
            refuse(what, rule, f"{seconds:.3f} s {found}", advice, error=TooLittleSpeech)

    def _static(self, y: Array, before: int) -> Array:
        """Return the cepstra or mel bands (N, .) of a piece, where `before` samples stand before the first frame."""
        if self._convention:
            return self._as_there(self._convention, y[before:])
        from scipy.fft import dct

        window, hop, size = self._sizes
        # frames start every hop; the window lies in the middle of size samples, so half the rest goes on each side
        rest = size - window
        padded = np.zeros(len(y) - before + rest, np.float32)
        padded[rest // 2 :][: len(y) - before] = y[before:]
        padded[rest // 2 + 1 - before :][: len(y) - 1] -= np.float32(self.preemphasis) * y[:-1]
        power, every = powers(padded, window, hop, size), []
        for make in KINDS[self.kind]:
            filters = make(*self._range(size))
            bands = np.log(np.maximum(filters @ power, FLOOR))
            every.append(bands if self.kind == "mel" else dct(bands, axis=0, norm="ortho")[: self.n_mfcc])
        return np.ascontiguousarray(np.concatenate(every).T, dtype=np.float32)

    def _as_there(self, convention: Convention, y: Array) -> Array:
        """Return the cepstra or mel bands (N, .) of a piece as another toolkit makes them."""
        window, hop, size = self._sizes
        filters, every = toolkit_bands(*self._range(size)), []
        for frames in in_blocks(np.lib.stride_tricks.sliding_window_view(y, window)[::hop], _FRAMES):
            bands, energies = convention.bands(frames, self.preemphasis, filters)
            every.append(bands if self.kind == "mel" else convention.cepstra(bands, energies, self.n_mfcc))
        return np.concatenate(every).astype(np.float32)

    def _range(self, size: int) -> tuple[int, int, int, float, float]:
        """What makes the bands of a transform of `size` samples."""
        return self.sample_rate, size, int(self.n_mels or 0), float(self.fmin or 0), float(self.fmax or 0)

    def _noise(self, blocks: Iterable[Array]) -> Callable[[Array], Array]:
        """Return what adds noise to one block of samples after the other."""
        if not self.dither:
            return lambda samples: samples
        seed = functools.reduce(lambda crc, block: zlib.crc32(np.ascontiguousarray(block).data, crc), blocks, 0)
        rng = np.random.default_rng(seed)
        scale = np.float32(self.dither / 32768)
        return lambda samples: samples + rng.standard_normal(len(samples), dtype=np.float32) * scale
