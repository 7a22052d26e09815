"""The front end, from an audio file to 60 normalized features, on one core, beside its peers where they are installed.

"librosa alone" is reading, MFCC and two orders of deltas: no dither, no speech detection, no normalization.

    python recipes/benchmarks/frontend.py --manifest CSV [--files 200] [--json]
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import soundfile
from side_by_side import installed, measure, options, report

from speechgmm.errors import TooLittleSpeech
from speechgmm.features import MFCC, common_rate, read_corpus
from speechgmm.parallel import single_threaded

OURS = "ours"


def librosa_alone(path: str, rate: int) -> Any:
    """Return librosa's MFCC with deltas and double deltas."""
    y, _ = soundfile.read(path, dtype="float32")
    size = 1 << (rate // 40 - 1).bit_length()
    mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=20, n_fft=size, win_length=rate // 40, hop_length=rate // 100)
    both = [librosa.feature.delta(mfcc, order=order, mode="nearest") for order in (1, 2)]
    return np.concatenate([mfcc, *both]).T


def kaldi(path: str, rate: int) -> Any:
    """Return the MFCC of kaldi-native-fbank, without deltas, which it does not have."""
    import kaldi_native_fbank

    y, _ = soundfile.read(path, dtype="float32")
    settings = kaldi_native_fbank.MfccOptions()
    settings.frame_opts.samp_freq, settings.num_ceps, settings.mel_opts.num_bins = rate, 20, 24
    online = kaldi_native_fbank.OnlineMfcc(settings)
    online.accept_waveform(rate, (y * 32768).tolist())
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


def python_speech_features(path: str, rate: int) -> Any:
    """Return the MFCC and deltas of python_speech_features."""
    from python_speech_features import delta, mfcc

    y, _ = soundfile.read(path, dtype="int16")
    cepstra = mfcc(y, rate, numcep=20, nfilt=26, nfft=1 << (rate // 40 - 1).bit_length())
    first = delta(cepstra, 2)
    return np.concatenate([cepstra, first, delta(first, 2)], axis=1)


def over(files: list[str], extract: Callable[[str], Any]) -> Callable[[], Any]:
    """Return a job that takes every file; what is refused, such as a file without speech, costs its time too."""

    def job() -> None:
        for path in files:
            with contextlib.suppress(TooLittleSpeech):
                extract(path)

    return job


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=200)
    given = parser.parse_args()
    if given.manifest is None:
        parser.error("--manifest is needed: this reads files")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    corpus = list(read_corpus(given.manifest))
    chosen = corpus[:: max(1, len(corpus) // given.files)][: given.files]
    files, rate = [str(r.path) for r in chosen], common_rate(chosen)
    frontend = MFCC(sample_rate=rate)
    jobs = {
        OURS: over(files, frontend.from_file),
        "librosa alone": over(files, lambda path: librosa_alone(path, rate)),
    }
    if installed("kaldi_native_fbank"):
        jobs["kaldi-native-fbank, without deltas"] = over(files, lambda path: kaldi(path, rate))
    if installed("python_speech_features"):
        jobs["python_speech_features"] = over(files, lambda path: python_speech_features(path, rate))
    sound = sum(soundfile.info(path).duration for path in files)
    with single_threaded():
        seconds = measure(jobs, given.rounds)
    result: dict[str, Any] = {"of": f"{len(files)} files, {sound:.0f} s", "seconds": seconds}
    for name, s in seconds.items():
        result[f"{name}: times real time; milliseconds per file"] = f"{sound / s:.0f}; {1000 * s / len(files):.2f}"
    report([result], OURS, given.json)


if __name__ == "__main__":
    main()
