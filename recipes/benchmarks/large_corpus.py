"""A corpus of many hours on one machine: speed and memory of a training, and what passes over the frames are worth.

    python recipes/benchmarks/large_corpus.py train  --data CORPORA --folder SCRATCH [--hours 20] [--components 512]
    python recipes/benchmarks/large_corpus.py passes --data CORPORA --folder SCRATCH [--hours 20] [--components 512]
    python recipes/benchmarks/large_corpus.py pages  --data CORPORA --folder SCRATCH [--million 36] --components 1024

`train`: from audio to a calibrated model. `passes`: the likelihood that plain EM reaches, and EM
after stepwise passes. `pages`: one iteration on frames that are mapped into memory, of two sizes.

The corpus is made once in SCRATCH from prepared copies of wuw2, malayalam_msc and librispeech_mini: all recordings at
16 kHz, and copies of them at other speeds and in noise, each speed of a voice a speaker of its own. The same data and
hours give the same samples. Memory is what the process holds beside pages of files, which the system may drop.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from speechgmm.features import Recording, preset, read, read_corpus, training_frames
from speechgmm.mixture import ArrayBlocks, Stop, fit, initialize, maximize, stepwise_passes
from speechgmm.mixture.em import expectation
from speechgmm.parallel import threads
from speechgmm.speakers import train_system
from speechgmm.speakers.train_ubm import FLOOR

RATE = 16_000
CORPORA = ("wuw2", "malayalam_msc", "librispeech_mini")
SPEEDS = (1.0, 0.92, 1.08, 0.85, 1.17, 0.97, 1.04, 0.89, 1.13)
DECIBELS = (25.0, 15.0)
"""By how much speech is louder than noise: drawn for each copy between these."""


def made(data: Path, folder: Path, hours: float) -> Path:
    """Return the manifest of so many hours of sound, made where it is not there."""
    manifest = folder / f"{hours:g} hours.csv"
    if manifest.is_file():
        return manifest
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    every = [(name, r) for name in CORPORA for r in read_corpus(data / name)]
    rows, seconds = [], 0.0
    for path, speaker, session, length in threads()(lambda job: _copy(job, folder), itertools.product(SPEEDS, every)):
        rows.append((path, speaker, session))
        seconds += length
        if seconds >= 3600 * hours:
            break
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "session"), *rows])
    return manifest


def _copy(job: tuple[float, tuple[str, Recording]], folder: Path) -> tuple[str, str, str, float]:
    """Write a recording at another speed and in noise; return its path, speaker, session and seconds."""
    speed, (corpus, r) = job
    name = f"audio/{hashlib.sha256(f'{corpus}/{r.name}@{speed}'.encode()).hexdigest()[:16]}.flac"
    if not (folder / name).is_file():
        sound = read(r.path)
        x = soxr.resample(sound.samples, round(sound.sample_rate * speed), RATE)
        if speed != 1:
            rng = np.random.default_rng(list(name.encode()))
            noise = rng.normal(size=len(x)).cumsum() if rng.random() < 0.5 else rng.normal(size=len(x))
            noise -= np.convolve(noise, np.full(200, 1 / 200), "same")  # nothing below 80 Hz
            x = x + noise * (x.std() / noise.std() * 10 ** (-rng.uniform(*DECIBELS[::-1]) / 20))
        x *= min(1.0, 0.99 / max(np.abs(x).max(), 1e-9))
        sf.write(folder / name, x, RATE, subtype="PCM_16")
    return name, f"{corpus}/{r.speaker}@{speed}", r.session_name, sf.info(folder / name).duration


class Watch:
    """The seconds of each stage of a training, and the most memory that was held beside pages of files."""

    def __init__(self) -> None:
        """Begin to look."""
        self.stages: dict[str, float] = {}
        self.megabytes = held()
        self._last, self._done = time.perf_counter(), threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)
        self._looker.start()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Count the time since the last report for this stage."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._last
        self._last = now

    def _look(self) -> None:
        while not self._done.wait(0.05):
            self.megabytes = max(self.megabytes, held())

    def end(self) -> None:
        """Stop looking."""
        self._done.set()
        self._looker.join()


def held() -> float:
    """Return the megabytes that this process holds beside pages of files (Linux)."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1000


def train(given: argparse.Namespace) -> dict[str, Any]:
    """Return the time and memory of a training from audio to a calibrated model."""
    corpus = read_corpus(made(given.data, given.folder, given.hours))
    sound = sum(sf.info(r.path).duration for r in corpus)
    before, watch, began = held(), Watch(), time.perf_counter()
    found = train_system(corpus, n_components=given.components, frontend=preset("speech", RATE), on_progress=watch)
    seconds = time.perf_counter() - began
    watch.end()
    found.system.save(given.folder / f"{given.components}.sgmm")
    info, stages = found.system.info, watch.stages
    frames, passes = info["data"]["frames"], len(info["em"]["objective"])
    return {
        "sound, h": sound / 3600,
        "frames": frames,
        "calibrated": found.system.calibration is not None,
        "seconds": seconds,
        **{f"{stage}, s": s for stage, s in stages.items()},
        "extraction, hours of sound per minute": sound / 60 / stages["features"],
        "EM, iterations": passes,
        "EM, hours of speech per minute": passes * info["data"]["speech_seconds"] / 60 / stages["EM"],
        "memory before, MB": before,
        "most memory, MB": watch.megabytes,
    }


def frames_of(given: argparse.Namespace) -> np.ndarray:
    """Return the features of the corpus, mapped into memory; they are made once."""
    path = given.folder / f"{given.hours:g} hours.npy"
    if not path.is_file():
        corpus = read_corpus(made(given.data, given.folder, given.hours))
        np.save(path, training_frames(preset("speech", RATE), corpus).blocks.frames)
    return np.load(path, mmap_mode="r")


def passes(given: argparse.Namespace) -> dict[str, Any]:
    """Return the likelihoods that plain EM reaches, and EM after one or two stepwise passes, from one start."""
    blocks = ArrayBlocks(frames_of(given))
    m_step = functools.partial(maximize, floor=FLOOR)
    start = initialize(blocks, given.components, floor=FLOOR)
    plain = fit(start, blocks, m_step, stop=Stop(0.0, 21)).objective
    found: dict[str, Any] = {"frames": len(blocks.frames), "plain EM": plain}
    for n in (1, 2):
        passed = stepwise_passes(start, blocks, n, m_step=m_step)
        reached = fit(passed, blocks, m_step, stop=Stop(0.0, 7)).objective
        found[f"EM after {n} stepwise passes"] = reached
        for iterations in (10, 20):
            after = [i for i, value in enumerate(reached) if value >= plain[iterations]]
            found[f"passes to {iterations} iterations of EM, {n} of them stepwise"] = n + after[0] if after else None
    return found


def pages(given: argparse.Namespace) -> dict[str, Any]:
    """Return seconds of one iteration of EM, and memory, on frames repeated up to so many millions, and on half."""
    x, found = frames_of(given), dict[str, Any]()
    start = initialize(ArrayBlocks(x), given.components, floor=FLOOR)
    for million in (given.million / 2, given.million):
        with tempfile.TemporaryFile(dir=given.folder) as file:
            for left in range(round(1e6 * million), 0, -len(x)):
                file.write(np.ascontiguousarray(x[:left]).data)
            file.flush()
            blocks = ArrayBlocks(np.memmap(file, np.float32, "r", shape=(round(1e6 * million), x.shape[1])))
            before, watch, began = held(), Watch(), time.perf_counter()
            expectation(start, blocks)
            found[f"{million:g} million frames, s per iteration"] = time.perf_counter() - began
            watch.end()
            found[f"{million:g} million frames, MB beside pages, more than before"] = watch.megabytes - before
    return found


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "passes", "pages"))
    parser.add_argument("--data", type=Path, required=True, help="a folder of prepared corpora")
    parser.add_argument("--folder", type=Path, required=True, help="for what is made: 2 GB, with pages 9 GB more")
    parser.add_argument("--hours", type=float, default=20.0, help="of sound (default: %(default)s)")
    parser.add_argument("--million", type=float, default=36.0, help="frames of pages (default: %(default)s)")
    parser.add_argument("--components", type=int, default=512, help="default: %(default)s")
    given = parser.parse_args()
    print(json.dumps({"train": train, "passes": passes, "pages": pages}[given.what](given), indent=1))


if __name__ == "__main__":
    main()
