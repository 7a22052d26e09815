"""Made background speakers without sound: frames about a mean of their own, in recordings with a shift of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation import Calibration, fit_strangers
from speechgmm.features import MFCC, Extracted, Part, Recording, TrainingFrames
from speechgmm.mixture import ArrayBlocks, fit_gmm
from speechgmm.speakers import Session, SpeakerStore, System, SystemCalibration, domain, held_out
from speechgmm.speakers.calibration import AmountNorm, ImpostorLevels, OwnerScores
from speechgmm.speakers.recording_samples import sample_of
from speechgmm.speakers.recording_weights import contribution
from speechgmm.speakers.sessions import summable, summable_seconds, sums_by_key
from speechgmm.speakers.train_calibration import calibrate
from speechgmm.storage import fingerprint

FRONTEND = MFCC(sample_rate=8000, n_mfcc=4, deltas=0, normalization="none")
SPREAD, DRIFT = 0.9, 0.15
"""Deviation of the speakers' means, and of their recordings' shifts, in deviations of a frame."""


FRAMES = 400.0
"""What the background counts for in a domain, beside recordings of 120 frames."""


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
    return TrainingFrames(FRONTEND, ArrayBlocks(every), every, tuple(parts), len(every) * FRONTEND.hop_length, ())


def uncalibrated(frames: TrainingFrames) -> System:
    """A system whose UBM is trained on these frames."""
    return System(FRONTEND, fit_gmm(frames.blocks, 4, n_threads=1).model)


def calibration_of(system: System, frames: TrainingFrames, *, searches: int = 40, n_threads: int = 1) -> Any:
    """What `calibrate` makes of them, from fewer simulated stores and a smaller cohort than of real speech."""
    with (
        mock.patch.object(held_out, "SEARCHES", searches),
        mock.patch.object(held_out, "COHORT", 16),
        mock.patch.object(domain, "FRAMES", FRAMES),
    ):
        return calibrate(
            system,
            frames,
            lambda blocks, stage: fit_gmm(blocks, 4, n_threads=n_threads).model,
            n_threads=n_threads,
        )


def calibration_by_hand(system: System, *, people: int = 6, seed: int = 0) -> SystemCalibration:
    """A calibration whose numbers are made up, with a cohort of some people: for laws that hold of any."""
    rng = np.random.default_rng(seed)
    cohort = rng.normal(0, 0.7, (people, *system.ubm.means.shape)) * system.ubm.covariance.deviations()
    location, scale, proportion = [-0.4, 0.3, -0.1, 0.05], [0.1, -0.2, 0.15, -0.02], [-0.6, 0.2, 0.05, -0.03]
    amounts = AmountNorm(location, scale, [0.1, 0.1], [60.0, 30.0], proportion)
    levels = ImpostorLevels(amounts, np.array([1.0, 3.0, 8.0]), [0.3, 0.1, 0.0], [1.3, 1.1, 0.9])
    strangers = tuple(fit_strangers(rng.normal(size=(300, size))) for size in (1, 3, 8))
    llr = Calibration([1.5], [-3.0], [], [])
    owners = OwnerScores([2.0, 0.8], 1.5, 0.1, 20.0)
    return SystemCalibration(cohort, levels, strangers, llr, owners, 0.1, usual_seconds=3.0)


def with_calibration(system: System, **how: Any) -> System:
    """The system with a calibration by hand."""
    return dataclasses.replace(system, calibration=calibration_by_hand(system, **how))


def enroll_frames(
    system: System, store: SpeakerStore, people: Mapping[str, Sequence[NDArray[Any]]], *, session: str = "a"
) -> None:
    """Enroll the recordings (frames, D) of each of these people as one session, all of them at once."""
    sessions, samples = [], []
    deviations = np.broadcast_to(system.ubm.covariance.deviations(), system.ubm.means.shape).mean(axis=0)
    for name, recordings in people.items():
        for i, x in enumerate(recordings):
            digest, s, seconds = fingerprint(x), system.statistics(x), system.frontend.seconds(x)
            samples.append(sample_of(system.ubm, digest, s, x, seconds))
            exact = summable(contribution(s), deviations)
            sessions.append(Session(name, session, exact, summable_seconds(seconds), {digest: f"{name} {i}"}))
    store.add(sums_by_key((s.speaker, s) for s in sessions).values(), samples=samples)


def extracted(system: System, x: NDArray[Any], name: str = "test") -> Extracted:
    """Features (frames, D) as they come from a recording."""
    return Extracted(Recording(name, "", name), x, fingerprint(x), system.frontend.seconds(x))
