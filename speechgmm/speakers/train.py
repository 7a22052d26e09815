"""A System from a corpus of background speakers. Symbols: N frames, K components."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from speechgmm import storage
from speechgmm.checks import integer, number_of
from speechgmm.errors import InvalidInput, Skipped
from speechgmm.features import MFCC, FrontEnd, Recording, TrainingFrames, common_rate, own_frontend, training_frames
from speechgmm.mixture import GMM, Fit, Floor, Stop, fit_gmm, initialize
from speechgmm.parallel import Progress
from speechgmm.speakers.system import RELEVANCE, System
from speechgmm.speakers.train_calibration import LEAST_SPEAKERS, calibrate
from speechgmm.speakers.train_familiarity import HeldOutMeasures

FLOOR = Floor(relative=0.01, occupancy=5.0)
"""A tenth of the deviation of speech, and five frames per component: neither accidents nor lone frames count."""
STOP = Stop(tolerance=2e-3, max_iterations=20)
"""Where the likelihood has nearly settled; more iterations gave no better error rates."""

FOLD_STOP = Stop(tolerance=2e-3, max_iterations=8)
"""The UBMs of the folds, which score held-out speakers, start anew and take fewer iterations."""
UNCALIBRATED = (
    f"not calibrated: of the background speakers fewer than {LEAST_SPEAKERS} have speech enough to enroll and to test, "
    "so that scores rank speakers and decide nothing before five people are enrolled; use more speakers"
)

FEW_FRAMES = 50
FEW_SPEAKERS = 5
"""With fewer frames per component, or fewer people, the training says so."""


@dataclass(frozen=True)
class Training:
    """A trained `system`, the recordings that were left out with the reason for each, and what to doubt of it."""

    system: System
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]


def train_system(
    corpus: Iterable[Recording],
    *,
    n_components: int = 256,
    relevance: float = RELEVANCE,
    frontend: FrontEnd | None = None,
    calibrated: bool = True,
    seed: int = 0,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Training:
    """Train a universal background model on all recordings of a corpus, and calibrate its scores.

    For the calibration, background speakers are set aside fold by fold, enrolled and tested against each other, by a
    UBM of the other folds (see `speechgmm.speakers.train_calibration`). Too few of them: no calibration, and a warning.

    Parameters
    ----------
    corpus : iterable of Recording
        Background speakers: nobody who will be enrolled or tested.
    n_components : int
        K; more identify better and take longer (`recipes/benchmarks/accuracy.py`). 256 want a quarter of an hour of
        speech. It must not exceed the frames.
    relevance : float
        See `System`.
    frontend : FrontEnd, optional
        Default: ``MFCC(sample_rate=R)`` with R the lowest rate in the corpus, or `OwnFeatures` for `.npy` files. The
        system has it with what it learned from the corpus (`FrontEnd.learned`).
    calibrated : bool
        Whether to calibrate where there are speakers enough, and to learn what is familiar from at least four; it takes
        several times as long as the UBM does.
    seed : int
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    on_progress : callable, optional
        Called with a stage, how much of it is done, and how much there is. The stages are "features", "start" and
        "EM", then "fold 1 of 4" and so on.

    Raises
    ------
    InvalidInput
        If no recording can be used, or there are fewer frames than components.
    """
    recordings = tuple(corpus)
    integer(n_components, "n_components", minimum=1)
    integer(seed, "seed", minimum=0)
    frontend = frontend or own_frontend(recordings) or MFCC(sample_rate=common_rate(recordings))
    frames = training_frames(frontend, recordings, n_threads=n_threads, on_progress=on_progress)
    report = on_progress or (lambda stage, done, total: None)
    train = functools.partial(_train_ubm, n_components=n_components, seed=seed, n_threads=n_threads, report=report)
    result = train(frames.blocks)
    system = System(frames.frontend, result.model, relevance, info=_info(frames, result, seed))
    warnings = _warnings(frames, n_components)
    if calibrated:
        held_out = HeldOutMeasures(frames, n_threads=n_threads)

        def train_fold(blocks: Any, fold: str) -> GMM:
            return train(blocks, fold).model

        try:
            found = calibrate(system, frames, held_out.watching(train_fold), n_threads=n_threads, seed=seed)
            system = replace(system, calibration=found)
            warnings += () if found else (UNCALIBRATED,)
        except InvalidInput as error:
            warnings += (f"not calibrated: {error}",)
        system = replace(system, familiarity=held_out.learn(train_fold))
    return Training(system, frames.skipped, warnings)


def _train_ubm(
    blocks: Iterable[Any],
    fold: str = "",
    *,
    n_components: int,
    seed: int,
    n_threads: int | None,
    report: Progress,
) -> Fit[GMM]:
    """Train one UBM from its own start: the final one, or that of a fold, all of which is one stage of the work."""
    stop, stage = (FOLD_STOP, fold) if fold else (STOP, "EM")
    report(fold or "start", 0, stop.max_iterations if fold else 1)
    start = initialize(blocks, n_components, seed=seed, floor=FLOOR, n_threads=n_threads)
    if not fold:
        report("start", 1, 1)
    return fit_gmm(
        blocks,
        n_components,
        init=start,
        stop=stop,
        floor=FLOOR,
        n_threads=n_threads,
        on_iteration=lambda i, *_: report(stage, i, stop.max_iterations),
    )


def _warnings(frames: TrainingFrames, n_components: int) -> tuple[str, ...]:
    """Return what makes a background model a poor one."""
    n, found = len(frames.blocks.frames), []
    if n < FEW_FRAMES * n_components:
        found.append(
            f"{frames.speech_seconds:.0f} s of speech are little for {n_components} components: "
            f"use more recordings, or at most {max(1, n // FEW_FRAMES)} components"
        )
    if len(frames.speakers) < FEW_SPEAKERS:
        people = number_of(len(frames.speakers), "background speaker")
        found.append(f"too few people: {people}; use many, with little of each")
    return tuple(found)


def _info(frames: TrainingFrames, result: Fit[GMM], seed: int) -> dict[str, Any]:
    """Return what a model file says of its making; nothing in it depends on the time or the machine's paths."""
    return {
        "data": {
            "recordings": len(frames.parts),
            "skipped": len(frames.skipped),
            "speakers": len(frames.speakers),
            "speech_seconds": round(frames.speech_seconds, 2),
            "frames": len(frames.blocks.frames),
        },
        "em": {
            "objective": list(result.objective),
            "notes": [dict(n) for n in result.notes],
            "reason": result.reason,
        },
        "seed": seed,
        "versions": storage.versions("numpy", "librosa", "scikit-learn"),
    }
