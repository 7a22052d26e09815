"""Made background speakers without sound: frames about a mean of their own, in recordings with a shift of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.features import MFCC, Part, Recording, TrainingFrames
from speechgmm.mixture import ArrayBlocks, fit_gmm
from speechgmm.speakers import System
from speechgmm.speakers.train_calibration import calibrate

FRONTEND = MFCC(sample_rate=8000, n_mfcc=4, deltas=0, normalization="none")
SPREAD, DRIFT = 0.9, 0.15
"""Deviation of the speakers' means, and of their recordings' shifts, in deviations of a frame."""


def speaker_frames(rng: np.random.Generator, recordings: int, frames: int) -> list[NDArray[Any]]:
    """Recordings (frames, 4) of one new speaker: some of the frames are of a sound that all share."""
    voice = rng.normal(0, SPREAD, (2, 4)) + np.array([[0.0], [4.0]])
    found = []
    for _ in range(recordings):
        center = voice + rng.normal(0, DRIFT, (2, 4))
        x = center[rng.integers(0, 2, frames)] + rng.normal(size=(frames, 4))
        found.append(x.astype(np.float32))
    return found


def background(speakers: int, *, recordings: int = 6, frames: int = 120, session: bool = False) -> TrainingFrames:
    """Frames of made speakers; with `session`, two recordings make one."""
    rng, x, parts = np.random.default_rng(0), [], []
    for s in range(speakers):
        for i, part in enumerate(speaker_frames(rng, recordings, frames)):
            start = sum(len(p) for p in x)
            name = f"s{s:03}_{i}"
            made = Recording(name, f"s{s:03}", name, f"s{s:03}/{i // 2}" if session else None)
            x.append(part)
            parts.append(Part(made, start, start + len(part)))
    every = np.concatenate(x)
    return TrainingFrames(ArrayBlocks(every), tuple(parts), len(every) * FRONTEND.hop_length, ())


def uncalibrated(frames: TrainingFrames) -> System:
    """A system whose UBM is trained on these frames."""
    return System(FRONTEND, fit_gmm(frames.blocks, 4, n_threads=1).model)


def calibration_of(system: System, frames: TrainingFrames, **how: Any) -> Any:
    """What `calibrate` makes of them."""
    return calibrate(system, frames, lambda blocks, stage: fit_gmm(blocks, 4, n_threads=1).model, n_threads=1, **how)
