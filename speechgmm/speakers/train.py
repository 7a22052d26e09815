"""A System from a corpus of background speakers. Symbols: N frames, K components."""

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from speechgmm import storage
from speechgmm.checks import Array, choice, integer, number_of, refuse
from speechgmm.errors import InvalidInput, Skipped
from speechgmm.features import (
    PRESETS,
    FrontEnd,
    Recording,
    TrainingFrames,
    common_rate,
    own_frontend,
    training_frames,
)
from speechgmm.looks import Look, Shown, some_rows
from speechgmm.mixture import GMM, UBM, Fit
from speechgmm.parallel import Progress, Threads
from speechgmm.speakers.calibration import SystemCalibration
from speechgmm.speakers.checkpoints import Checkpoints, Plan
from speechgmm.speakers.system import RELEVANCE, System
from speechgmm.speakers.train_calibration import LEAST_SPEAKERS, calibrate
from speechgmm.speakers.train_familiarity import HeldOutMeasures, TrainUBM
from speechgmm.speakers.train_ubm import schedule_for, train_ubm

UNCALIBRATED = (
    f"not calibrated: of the background speakers fewer than {LEAST_SPEAKERS} have speech enough to enroll and to test, "
    "so that scores rank speakers and decide nothing before five people are enrolled; use more speakers"
)


@dataclass(frozen=True)
class Quality:
    """How many components the mixtures of mel and of linear cepstra have, and whether single recordings count."""

    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    by_recording: bool


QUALITIES = {
    "default": Quality(((64, 256), (128,)), by_recording=False),
    "best": Quality(((64, 128, 256), (64, 128, 256)), by_recording=True),
}
ALONE = (64, 128, 256)
"""The same of a front end with one stream of features."""
FEW_FRAMES = 50
FEW_SPEAKERS = 5
"""With fewer frames per component, or fewer people, the training says so."""


@dataclass(frozen=True)
class Training(Shown):
    """A trained `system`, the recordings that were left out with the reason for each, and what to doubt of it."""

    system: System
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]

    def _look(self) -> Look:
        words = f"{len(self.skipped)} left out", number_of(len(self.warnings), "warning")
        rows = [(s.name, s.reason) for s in self.skipped]
        left = (some_rows("left out", ("recording", "why"), rows),) if rows else ()
        doubts = {"to beware of": "\n".join(self.warnings)} if self.warnings else {}
        made = self.system._look()
        return Look((repr(self.system), *words), {**made.facts, **doubts}, left)


def train_system(
    corpus: Iterable[Recording],
    *,
    n_components: int | Sequence[int] | None = None,
    quality: str = "default",
    relevance: float = RELEVANCE,
    frontend: FrontEnd | None = None,
    calibrated: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    max_failures: int | None = None,
    seed: int = 0,
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> Training:
    """Train a universal background model on all recordings of a corpus, and calibrate its scores.

    For the calibration, background speakers are set aside fold by fold, enrolled and tested against each other, by a
    UBM of the other folds (see `speechgmm.speakers.train_calibration`). Too few of them: no calibration, and a warning.

    Parameters
    ----------
    corpus : iterable of Recording
        Background speakers: nobody who will be enrolled or tested (see `speechgmm.features.in_other_splits`).
    n_components : int or sequence of int, optional
        K of one mixture, or of several whose scores are averaged (`Ensemble`); each stream of features gets all of
        them. It must not exceed the frames. Default: as `quality` says, as far as there are 50 frames for each.
    quality : str
        "default": 64 and 256 components for mel cepstra, 128 for linear ones, or 64, 128 and 256 for a front end with
        one stream. Coarse mixtures hold where the background has few speakers or texts, fine ones where it has many
        (`recipes/benchmarks/accuracy.py`). "best": 64, 128 and 256 for each stream, and the best candidates of a
        search are scored by each of their recordings (`System.by_recording`); it takes twice to three times the time.
    relevance : float
        See `System`.
    frontend : FrontEnd, optional
        Default: ``preset("both", R)`` with R the lowest rate in the corpus: mel and linear cepstra, which err
        differently. `OwnFeatures` for `.npy` files. The system has it with what it learned from the corpus
        (`FrontEnd.learned`).
    calibrated : bool
        Whether to calibrate where there are speakers enough, and to learn what is familiar from at least four; it takes
        several times as long as the UBM does.
    checkpoint : path, optional
        A folder that keeps what is done after each iteration of EM and each fold, a few megabytes; it is made where
        there is none. It stays: see `remove_checkpoint`. Default: nothing is kept.
    resume : bool
        Go on with what the folder keeps of this training, if anything: it ends in the same bits as one that was never
        ended, on one kind of processor. Recordings are read again; a feature cache spares that. Without, what the
        folder keeps is removed.
    max_failures : int, optional
        How many recordings may be unusable. Default: any number; they are left out.
    seed : int
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. Workers of a cluster (`parallel.dask`)
        read the recordings, by the same paths, run EM and test the stores of the calibration. What is asked once of
        each recording stays here.
    on_progress : callable, optional
        Called with a stage, how much of it is done, and how much there is. The stages are "features", "start" and
        "EM", then "fold 1 of 4" and so on.

    Raises
    ------
    InvalidInput
        If no recording can be used, there are fewer frames than components, or `checkpoint` names something else.
    BadCorpus
        If more than `max_failures` recordings cannot be used.
    IncompatibleModel
        If the folder keeps another training: of other settings, data or versions.

    Warns
    -----
    SpeechGMMWarning
        If the sampling rates are mixed, where no front end is given.

    Examples
    --------
    A small model of three voices, too few to calibrate its scores:

    >>> import speechgmm
    >>> corpus = speechgmm.read_corpus("data/manifest.csv")
    >>> training = train_system(corpus.where(speaker=("awb", "kal16", "es_f2")), n_components=4)
    >>> training.system.calibration is None, [part.n_components for part in training.system.ubm.parts]
    (True, [4, 4])
    """
    checkpoints = Checkpoints(checkpoint)
    recordings = tuple(corpus)
    integer(seed, "seed", minimum=0)
    frontend = frontend or own_frontend(recordings) or PRESETS["both"](common_rate(recordings, told=True))
    sizes = _sizes(n_components, quality, frontend.n_streams)
    shown: dict[str, Any] = {"n_threads": n_threads, "on_progress": on_progress}
    frames = training_frames(frontend, recordings, max_failures=max_failures, **shown)
    report = on_progress or (lambda stage, done, total: None)
    if n_components is None:
        sizes = _as_frames_allow(sizes, len(frames.blocks.frames))
    by_recording = QUALITIES[quality].by_recording
    if checkpoint is not None:
        settings = {"components": sizes, "by_recording": by_recording, "calibrated": calibrated}
        checkpoints.begin(Plan.of(frames, frontend, **settings, relevance=float(relevance), seed=seed), resume=resume)
    run = functools.partial(train_ubm, sizes=sizes, report=report, checkpoints=checkpoints)
    train = functools.partial(run, schedule=schedule_for(len(frames.blocks.frames)), seed=seed, n_threads=n_threads)
    ubm, fits = train(frames.blocks)
    system = System(frames.frontend, ubm, relevance, info=_info(frames, ubm, fits, seed), by_recording=by_recording)
    warnings = _warnings(frames, max(map(max, sizes)))
    if calibrated:
        score = functools.partial(calibrate, n_threads=n_threads, seed=seed, checkpoints=checkpoints)
        system, doubts = _calibrated(system, frames, train, score, HeldOutMeasures(frames, n_threads=n_threads))
        warnings += doubts
    return Training(system, frames.skipped, (*warnings, *checkpoints.warnings))


def _calibrated(
    system: System,
    frames: TrainingFrames,
    train: Callable[[Any, str], tuple[UBM, Any]],
    score: Callable[[System, TrainingFrames, TrainUBM], SystemCalibration | None],
    held_out: HeldOutMeasures,
) -> tuple[System, tuple[str, ...]]:
    """Return the system with a calibration, if that can be, and what is familiar; and why it is not calibrated."""
    doubts: tuple[str, ...] = ()

    def train_fold(blocks: Any, fold: str) -> UBM:
        return train(blocks, fold)[0]

    try:
        found = score(system, frames, held_out.watching(train_fold))
        system = replace(system, calibration=found)
        doubts = () if found else (UNCALIBRATED,)
    except InvalidInput as error:
        doubts = (f"not calibrated: {error}",)
    return replace(system, familiarity=held_out.learn(train_fold)), doubts


def _sizes(n_components: int | Sequence[int] | None, quality: str, streams: int) -> list[tuple[int, ...]]:
    """Return how many components the mixtures of each stream have."""
    choice(quality, "quality", tuple(QUALITIES))
    if n_components is None:
        sizes = QUALITIES[quality].sizes
        return [ALONE] * streams if streams != len(sizes) else list(sizes)
    given = tuple(n_components) if isinstance(n_components, Sequence) else (n_components,)
    if not given:
        refuse("n_components", "be a number, or several", "none")
    return [tuple(integer(k, "n_components", minimum=1) for k in given)] * streams


def _as_frames_allow(sizes: Iterable[tuple[int, ...]], n_frames: int) -> list[tuple[int, ...]]:
    """Return usual numbers of components, none larger than so many frames are enough for, or the least of them."""
    most = max(min(ALONE), n_frames // FEW_FRAMES)
    return [tuple(dict.fromkeys(min(k, most) for k in own)) for own in sizes]


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


def _info(frames: TrainingFrames, ubm: UBM, fits: Sequence[Fit[GMM]], seed: int) -> dict[str, Any]:
    """Return what a model file says of its making; nothing in it depends on the time or the machine's paths."""
    objective = _objective(fits, ubm.shares)
    return {
        "data": {
            "recordings": len(frames.parts),
            "skipped": len(frames.skipped),
            "speakers": len(frames.speakers),
            "speech_seconds": round(frames.speech_seconds, 2),
            "frames": len(frames.blocks.frames),
        },
        "em": {
            "objective": objective,
            "notes": [_counts(f.notes[i] for f in fits if i < len(f.notes)) for i in range(len(objective))],
            "reason": "; ".join(dict.fromkeys(f.reason for f in fits)),
        },
        "seed": seed,
        "versions": storage.versions("numpy", "scikit-learn", "scipy"),
    }


def _objective(fits: Sequence[Fit[GMM]], shares: Array) -> list[float]:
    """Return the objective of all mixtures together by iteration, weighed as they are; one that has ended stays."""
    longest = max(len(f.objective) for f in fits)
    every = [[*f.objective, *[f.objective[-1]] * (longest - len(f.objective))] for f in fits]
    return [float(v) for v in shares @ every]


def _counts(notes: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of what steps have counted."""
    found: dict[str, float] = {}
    for note in notes:
        for what, count in note.items():
            found[what] = found.get(what, 0) + count
    return found
