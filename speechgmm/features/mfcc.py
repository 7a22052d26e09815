"""The front end: mel-frequency cepstra, or mel bands, through librosa, as one frozen, callable value.

Seconds and hertz outside; axes are swapped to (frames, dimensions) here and nowhere else. Symbols: N frames,
D dimensions.
"""

import dataclasses
import functools
import math
import typing
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import checks
from speechgmm.checks import Array, refuse
from speechgmm.errors import TooLittleSpeech
from speechgmm.features import audio, normalize, speech_detection
from speechgmm.features.dynamics import add_deltas
from speechgmm.features.frontend import FrontEnd
from speechgmm.parallel import one_thread

_FLOOR = 1e-12
"""The least mel energy: far below one step of 16 bits, so that only digital silence without dither reaches it."""
_FASTEST, _MOST_BANDS = 1_000_000, 1000
"""A rate in Hz, and mel bands, beyond any use: what they would need of memory is refused before it is asked for."""


@dataclass(frozen=True, kw_only=True)
class MFCC(FrontEnd):
    """Mel-frequency cepstral coefficients of speech frames, with deltas, normalized over the recording.

    The order: dither, pre-emphasis, windows, mel bands, logarithm, cosine transform, deltas over all frames, speech
    frames kept, normalization over these. The defaults are what held on telephone and read speech alike.

    Parameters
    ----------
    sample_rate : int
        Hz. Recordings of a higher rate are resampled, of a lower one refused.
    kind : str
        "mfcc": cepstra. "mel": the logarithms of the mel bands as they are; `n_mfcc` then does not matter.
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
        Frames to each side in their regression; 3 was better than 2 on telephone speech and alike at 16 kHz.
    speech : str
        "gaussians" keeps the frames that the louder of two Gaussians over the recording's levels explains; "none"
        keeps all above `silence`.
    silence : float
        Frames below this level are never speech, in dB relative to full scale.
    min_speech : float
        The least speech that is accepted, in seconds.
    normalization : str
        "mean_variance", "mean" or "none", over the speech frames of the recording.

    Raises
    ------
    InvalidInput
        If a setting is out of its range.

    Examples
    --------
    >>> MFCC(sample_rate=8000).n_dimensions
    60
    """

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
    min_speech: float = 0.1
    normalization: str = "mean_variance"

    def __post_init__(self) -> None:
        """Fill in the defaults that depend on the rate, and check everything."""
        rate = checks.integer(self.sample_rate, "sample_rate", minimum=1000, maximum=_FASTEST, advice="It is in Hz.")
        wide = rate >= 12000
        filled = {"n_mels": 30 if wide else 24, "fmin": 50.0 if wide else 100.0, "fmax": 0.475 * rate}
        for name, default in filled.items():
            if getattr(self, name) is None:
                checks.hold(self, **{name: default})
        checks.choice(self.kind, "kind", ("mfcc", "mel"))
        checks.integer(self.n_mels, "n_mels", minimum=2, maximum=_MOST_BANDS)
        checks.integer(self.n_mfcc, "n_mfcc", minimum=1, maximum=self.n_mels, advice="It is at most n_mels.")
        checks.number(self.fmin, "fmin", minimum=0.0, unit=" Hz")
        checks.number(self.fmax, "fmax", minimum=float(self.fmin or 0), maximum=rate / 2, above=True, unit=" Hz")
        checks.number(self.win_length, "win_length", minimum=0.002, maximum=1.0, unit=" s", advice="It is in seconds.")
        checks.number(self.hop_length, "hop_length", minimum=0.001, maximum=self.win_length, unit=" s")
        checks.number(self.preemphasis, "preemphasis", minimum=0.0, maximum=1.0)
        checks.number(self.dither, "dither", minimum=0.0, maximum=1000.0)
        checks.integer(self.deltas, "deltas", minimum=0, maximum=2)
        checks.integer(self.delta_width, "delta_width", minimum=1, maximum=20)
        checks.choice(self.speech, "speech", speech_detection.METHODS)
        checks.number(self.silence, "silence", minimum=-200.0, maximum=0.0, unit=" dB")
        checks.number(self.min_speech, "min_speech", minimum=0.0, maximum=60.0, unit=" s")
        checks.choice(self.normalization, "normalization", normalize.METHODS)
        for f in dataclasses.fields(self):  # 50, 50.0 and numpy's 50 are one setting, with one fingerprint
            kind, *_ = typing.get_args(f.type) or (f.type,)
            checks.hold(self, **{f.name: kind(getattr(self, f.name))})

    @property
    def n_dimensions(self) -> int:
        """D: cepstra (or mel bands) and their deltas."""
        return (self.n_mfcc if self.kind == "mfcc" else int(self.n_mels or 0)) * (self.deltas + 1)

    def __str__(self) -> str:
        """Return the settings that make the dimensions."""
        return f"MFCC(sample_rate={self.sample_rate}, n_mfcc={self.n_mfcc}, deltas={self.deltas})"

    def normalized(self, x: Array) -> Array:
        """Return the features (N, D) of a part of a recording, normalized over this part alone."""
        return normalize.normalize(np.asarray(x), self.normalization)

    @one_thread
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
        samples = audio.check_signal(np.asarray(signal), what)
        self._enough(len(samples) / self.sample_rate, max(self.win_length, self.min_speech), what, "of sound")
        static, level = self._static(samples)
        speech = speech_detection.speech_frames(level, self.speech, silence=self.silence)
        found = f"of speech in {len(samples) / self.sample_rate:.2f} s of sound, its loudest frame at"
        least = max(self.hop_length, self.min_speech)  # one frame, whatever is asked for
        self._enough(speech.sum() * self.hop_length, least, what, f"{found} {level.max():.0f} dB")
        return self.normalized(add_deltas(static, self.deltas, self.delta_width)[speech])

    def _enough(self, seconds: float, least: float, what: str, found: str) -> None:
        if seconds < least:
            rule, advice = f"hold at least {least:g} s of speech", "Record more, or louder."
            refuse(what, rule, f"{seconds:.3f} s {found}", advice, error=TooLittleSpeech)

    def _static(self, samples: Array) -> tuple[Array, Array]:
        """Return cepstra or mel bands (N, .) and the level of each frame (N,) in dB relative to full scale."""
        import librosa

        window, hop = round(self.win_length * self.sample_rate), max(1, round(self.hop_length * self.sample_rate))
        size = 1 << (window - 1).bit_length()
        y = self._dithered(samples)
        # frames start every hop; the window lies in the middle of size samples, so half the rest goes on each side
        rest = size - window
        padded = np.pad(y, (rest // 2, rest - rest // 2))
        padded[rest // 2 + 1 :][: len(y) - 1] -= np.float32(self.preemphasis) * y[:-1]
        spectrum = librosa.stft(padded, n_fft=size, hop_length=hop, win_length=window, window="hamming", center=False)
        power = spectrum.real**2 + spectrum.imag**2
        filters = _mel_bands(self.sample_rate, size, self.n_mels, self.fmin, self.fmax)
        bands = np.log(np.maximum(filters @ power, _FLOOR))
        static = bands if self.kind == "mel" else librosa.feature.mfcc(S=bands, n_mfcc=self.n_mfcc)
        return np.ascontiguousarray(static.T, dtype=np.float32), _levels(y, window, hop)

    def _dithered(self, samples: Array) -> Array:
        if not self.dither:
            return samples.copy()
        rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(samples).data))
        noise = rng.standard_normal(len(samples), dtype=np.float32)
        return samples + noise * np.float32(self.dither / 32768)


def _levels(y: Array, window: int, hop: int) -> Array:
    """Return the level of each window of a signal without its offset, in dB relative to full scale, shape (N,)."""
    piece = math.gcd(window, hop)
    pieces = (y - y.mean(dtype=np.float64))[: len(y) // piece * piece].reshape(-1, piece)
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", pieces, pieces))])
    starts = np.arange(0, len(y) - window + 1, hop) // piece
    return 10 * np.log10(np.maximum((energy[starts + window // piece] - energy[starts]) / window, _FLOOR))


@functools.lru_cache(maxsize=16)
def _mel_bands(rate: int, size: int, n_mels: int, fmin: float, fmax: float) -> Array:
    """Return the matrix (n_mels, bins) of triangular bands; it costs as much as a second of speech to make."""
    import librosa

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters", category=UserWarning)  # refused below
        bands = librosa.filters.mel(sr=rate, n_fft=size, n_mels=n_mels, fmin=fmin, fmax=fmax)
    if empty := int((bands.max(axis=1) == 0).sum()):
        advice = "Use fewer bands (n_mels), a wider range (fmin, fmax) or longer windows (win_length)."
        refuse("mel bands", f"each hold a frequency of a {size}-point transform", f"{empty} of {n_mels} empty", advice)
    return bands
