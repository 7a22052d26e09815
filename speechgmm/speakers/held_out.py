"""Background speakers set aside: enrolled and tested against each other under a UBM that did not know them.

Each speaker's speech is divided into parts: by session where the corpus has sessions, else by recording, else into
pieces of a recording. Models leave out one part each, or hold half of the parts; tests are what a model leaves out.
Symbols: M models, U tests, C cohort.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.features import FrontEnd, Recording, TrainingFrames
from speechgmm.parallel import threads
from speechgmm.speakers.calibration import amount
from speechgmm.speakers.models import SpeakerModels, adapted_models, speaker_models
from speechgmm.speakers.score_norm import cohort_norm
from speechgmm.speakers.sessions import sums_by_key
from speechgmm.speakers.system import System

COHORT = 40
"""Speakers in a cohort: enough for a mean and a deviation of their scores, and few enough to keep the model small."""
PARTS = 4
TESTS = 12
"""A speaker's parts, and the most tests of one speaker."""
PIECES = (1.0, 2.0, 4.0)
"""Seconds of the pieces that a recording is cut into, in turn, where there is one for each speaker."""


@dataclass(frozen=True, eq=False)
class Material:
    """A stretch of a held-out speaker's speech: features (N, D), their seconds, and the part that it belongs to."""

    speaker: str
    part: int
    features: Array
    speech_seconds: float


@dataclass(frozen=True)
class HeldOut:
    """How speakers were divided: `by` "sessions", "recordings" or "pieces", and each speaker's material."""

    by: str
    speakers: Mapping[str, tuple[Material, ...]]


@dataclass(frozen=True, eq=False)
class HeldOutTrials:
    """Normalized scores of one fold.

    Parameters
    ----------
    scores, amounts : ndarray, shape (M, U)
        And the `amount` of speech that each rests on.
    target, impostor : ndarray of bool, shape (M, U)
        Neither where a test is part of a model's enrollment.
    search : ndarray of bool, shape (M, U)
        One model of each speaker for each test: what a search among them sees.
    enrolled, tested : ndarray of str, shape (M,) and (U,)
        Speakers.
    enroll_seconds : ndarray, shape (M,)
        Speech in the models.
    speech_seconds : ndarray, shape (U,)
        In the tests.
    """

    scores: Array
    amounts: Array
    target: Array
    impostor: Array
    search: Array
    enrolled: Array
    tested: Array
    enroll_seconds: Array
    speech_seconds: Array


@dataclass(frozen=True)
class _Enrollment:
    """What one model is made of: its speaker, their number of parts, the one left out, and the places in the material.

    `left_out` is -1 for a model of half of the parts.
    """

    speaker: str
    parts: int
    left_out: int
    rows: frozenset[int]


def divide(frames: TrainingFrames, frontend: FrontEnd, *, least: int, seed: int = 0) -> HeldOut:
    """Divide the speech of background speakers by the first way that works for at least so many of them.

    Pieces are normalized each by itself, as recordings of their own would be. The result holds no speakers where no
    way works.
    """
    by_speaker: dict[str, list[tuple[Recording, Array]]] = {}
    for p in frames.parts:
        by_speaker.setdefault(p.recording.speaker, []).append((p.recording, frames.of(p)))
    ways: dict[str, Callable[[list[tuple[Recording, Array]]], list[tuple[str, Array]]]] = {
        "sessions": lambda rows: [(r.session, x) for r, x in rows if r.session],
        "recordings": lambda rows: [(r.name, x) for r, x in rows],
        "pieces": lambda rows: [(str(i), p) for i, p in enumerate(_cut(rows[0][1], frontend))],
    }
    for by, way in ways.items():
        rng = np.random.default_rng(seed)
        found = {s: _parts(s, way(rows), frontend, rng) for s, rows in sorted(by_speaker.items())}
        usable = {s: m for s, m in found.items() if len({x.part for x in m}) > 1}
        if len(usable) >= least:
            return HeldOut(by, usable)
    return HeldOut(by, {})


def score_held_out(
    system: System, material: Sequence[Material], cohort: SpeakerModels, *, n_threads: int | None = None
) -> HeldOutTrials:
    """Enroll and test held-out speakers against each other.

    Parameters
    ----------
    system : System
        Whose UBM knows none of them.
    material : sequence of Material
    cohort : SpeakerModels
        Of speakers whom the UBM knows, as the final cohort's will be.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    """
    on_threads = threads(n_threads)
    statistics = list(on_threads(lambda m: system.statistics(m.features), material))
    enrolled = _enrollments(material)
    sums = [functools.reduce(operator.add, [statistics[i] for i in e.rows]) for e in enrolled]
    length = [sum(material[i].speech_seconds for i in e.rows) for e in enrolled]
    models = adapted_models(system, [e.speaker for e in enrolled], sums, length)
    tests = _tests(material)

    def score(i: int) -> Array:
        return np.concatenate([m.ratios(material[i].features, n_threads=1) for m in (models, cohort)])

    raw = np.stack(list(on_threads(score, tests)), axis=1)
    speaker, tested = np.array(models.names), np.array([material[i].speaker for i in tests])
    inside = np.array([[i in e.rows for i in tests] for e in enrolled])
    same = speaker[:, None] == tested
    seconds = np.array([material[i].speech_seconds for i in tests])
    return HeldOutTrials(
        scores=cohort_norm(raw, models.distances, cohort.distances),
        amounts=amount(models.speech_seconds[:, None], seconds[None]),
        target=same & ~inside,
        impostor=~same,
        search=np.array([[material[i].part % e.parts == e.left_out for i in tests] for e in enrolled]),
        enrolled=speaker,
        tested=tested,
        enroll_seconds=models.speech_seconds,
        speech_seconds=seconds,
    )


def adapt_cohort(
    system: System,
    frames: TrainingFrames,
    *,
    leave_out: frozenset[str] = frozenset(),
    n_threads: int | None = None,
    seed: int = 0,
) -> SpeakerModels:
    """Return models of up to `COHORT` background speakers, drawn by seed, each adapted to all of their speech."""
    speakers = sorted(set(frames.speakers) - leave_out)
    chosen = sorted(np.random.default_rng(seed).permutation(speakers)[:COHORT].tolist())
    parts = [p for p in frames.parts if p.recording.speaker in chosen]
    statistics = threads(n_threads)(lambda p: system.statistics(frames.of(p)), parts)
    return speaker_models(system, sums_by_key(zip((p.recording.speaker for p in parts), statistics, strict=True)))


def _cut(x: Array, frontend: FrontEnd) -> list[Array]:
    """Return pieces of a recording's features, normalized each by itself; what is left over goes to the last."""
    ends: list[int] = []
    at = 0.0
    while at + (step := PIECES[len(ends) % len(PIECES)]) <= frontend.seconds(x):
        at += step
        ends.append(round(at / frontend.hop_length))
    return [frontend.normalized(p) for p in np.split(x, ends[:-1])]


def _parts(speaker: str, rows: list[tuple[str, Array]], frontend: FrontEnd, rng: Any) -> tuple[Material, ...]:
    """Deal out what bears one name to one part."""
    names = rng.permutation(sorted({name for name, _ in rows})).tolist()
    part = {name: i % PARTS for i, name in enumerate(names)}
    return tuple(Material(speaker, part[name], x, frontend.seconds(x)) for name, x in rows)


def _enrollments(material: Sequence[Material]) -> list[_Enrollment]:
    """Return what is enrolled of each speaker: halves of four parts, then all parts but one."""
    found = []
    for speaker, rows in _rows(material).items():
        parts = 1 + max(material[i].part for i in rows)
        kept = [(-1, {0, 1}), (-1, {2, 3})] if parts == PARTS else []
        kept += [(p, set(range(parts)) - {p}) for p in range(parts)]
        for left_out, wanted in kept:
            held = frozenset(i for i in rows if material[i].part in wanted)
            found.append(_Enrollment(speaker, parts, left_out, held))
    return found


def _tests(material: Sequence[Material]) -> list[int]:
    """Return the rows that are tests: of each speaker at most so many, spread over all."""
    tests = []
    for rows in _rows(material).values():
        chosen = np.linspace(0, len(rows) - 1, min(TESTS, len(rows))).round().astype(int)
        tests += [rows[i] for i in chosen]
    return tests


def _rows(material: Sequence[Material]) -> dict[str, list[int]]:
    """Return the places of each speaker's material."""
    found: dict[str, list[int]] = {}
    for i, m in enumerate(material):
        found.setdefault(m.speaker, []).append(i)
    return found
