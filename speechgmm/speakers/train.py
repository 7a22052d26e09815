"""A System from a corpus of background speakers. Symbols: N frames, K components."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from speechgmm import __version__
from speechgmm.checks import integer
from speechgmm.features import MFCC, Recording, Skipped, TrainingFrames, common_rate, training_frames
from speechgmm.mixture import GMM, Fit, Floor, Stop, fit_gmm, initialize
from speechgmm.parallel import threads
from speechgmm.speakers.system import System

__all__ = ["Training", "train_system"]

FLOOR = Floor(relative=0.01, occupancy=5.0)
"""A tenth of the deviation of speech, and five frames a component: error rates do not move from .01 to .2."""
STOP = Stop(tolerance=2e-3, max_iterations=20)
"""5, 12 and 30 iterations gave the same error rates within noise."""


FEW_FRAMES = 50
FEW_SPEAKERS = 5
"""With fewer frames a component, or fewer people, the training says so."""


@dataclass(frozen=True)
class Training:
    """A trained `system`, the recordings that were left out with the reason for each, and what to doubt of it."""

    system: System
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]


def train_system(
    corpus: Iterable[Recording],
    *,
    components: int = 256,
    relevance: float = 4.0,
    frontend: MFCC | None = None,
    seed: int = 0,
    n_threads: int | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Training:
    """Train a universal background model on all recordings of a corpus.

    Parameters
    ----------
    corpus : iterable of Recording
        Background speakers: nobody who will be enrolled or tested.
    components : int
        K; 128 to 512 measured alike, 256 best, from a quarter of an hour of speech on. It must not exceed the frames.
    relevance : float
        See `System`.
    frontend : MFCC, optional
        Default: ``MFCC(sample_rate=R)`` with R the lowest rate in the corpus.
    seed : int
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    on_progress : callable, optional
        Called with the stage ("features", "k-means" or "EM"), how much of it is done and how much there is.

    Raises
    ------
    InvalidInput
        If no recording can be used, or there are fewer frames than components.
    """
    recordings = tuple(corpus)
    integer(components, "components", minimum=1)
    integer(seed, "seed", minimum=0)
    report = on_progress or (lambda stage, done, total: None)
    frontend = frontend or MFCC(sample_rate=common_rate(recordings))
    mapper = threads(n_threads)
    frames = training_frames(
        frontend, recordings, mapper=mapper, on_progress=lambda done: report("features", done, len(recordings))
    )
    report("k-means", 0, 1)
    start = initialize(frames.blocks, components, seed=seed, floor=FLOOR)
    report("k-means", 1, 1)
    result = fit_gmm(
        frames.blocks,
        components,
        init=start,
        stop=STOP,
        floor=FLOOR,
        n_threads=n_threads,
        on_iteration=lambda i, *_: report("EM", i, STOP.max_iterations),
    )
    info = _info(frames, result, seed)
    system = System(frontend, result.model, float(relevance), info=info)
    return Training(system, frames.skipped, _doubts(frames, components))


def _doubts(frames: TrainingFrames, components: int) -> tuple[str, ...]:
    """Return what makes a background model a poor one."""
    n, doubts = len(frames.blocks.frames), []
    if n < FEW_FRAMES * components:
        doubts.append(
            f"{frames.seconds:.0f} s of speech are little for {components} components: "
            f"use more recordings, or at most {max(1, n // FEW_FRAMES)} components"
        )
    if frames.speakers < FEW_SPEAKERS:
        doubts.append(f"{frames.speakers} background speaker(s) are few: use many people, with little of each")
    return tuple(doubts)


def _info(frames: TrainingFrames, result: Fit[GMM], seed: int) -> dict[str, Any]:
    """Return what a model file says of its making; nothing in it depends on the time or the machine's paths."""
    return {
        "data": {
            "recordings": frames.recordings,
            "skipped": len(frames.skipped),
            "speakers": frames.speakers,
            "speech_seconds": round(frames.seconds, 2),
            "frames": len(frames.blocks.frames),
        },
        "em": {
            "objective": list(result.objective),
            "notes": [dict(n) for n in result.notes],
            "reason": result.reason,
        },
        "seed": seed,
        "versions": {"speechgmm": __version__, "python": platform.python_version()}
        | {p: version(p) for p in ("numpy", "librosa", "scikit-learn")},
    }
