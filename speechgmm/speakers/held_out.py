"""Background speakers set aside: they fill simulated stores under a UBM that did not know them, and test these.

Each speaker's speech is divided into parts: by session where the corpus has sessions, else by recording, else into
pieces of a recording. Who is in a store has some of it enrolled, and is tested by a part that is left out. Symbols: S
people in a store, T tests, C cohort, K components, D dimensions.
"""

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from speechgmm.checks import Array, floats, instance, refuse, sequence_of
from speechgmm.features import FrontEnd, Part, TrainingFrames
from speechgmm.mixture import Statistics
from speechgmm.parallel import Threads, own_threads, threads
from speechgmm.speakers.domain import People
from speechgmm.speakers.impostors import (
    MOST_EACH,
    Heard,
    ScoredTrials,
    drawn_frames,
    impostor_trials,
    models_among,
    trials,
)
from speechgmm.speakers.models import speaker_models
from speechgmm.speakers.recording_weights import contribution
from speechgmm.speakers.sessions import sums_by_key
from speechgmm.speakers.system import System

COHORT = 40
"""Speakers in a cohort: enough for a mean and a deviation of their scores, and few enough to keep the model small."""
PARTS = 4
"""Into so many a speaker's speech is divided."""
SIZES = (1, 2, 3, 5, 8, 12, 20, 30)
"""How many people simulated stores hold, as far as there are speakers."""
SEARCHES = 150
LEAST_DRAWS = 2
"""Stores of one size are drawn until so many tests of strangers have been made, in each fold: at least two stores, and
at most two for each speaker, who would only be drawn again. With 250 tests rates were kept no better."""
_TESTS = 2
"""Of each speaker in each store."""
_WHOLE = 0.5
"""So often all is enrolled, and one recording tested: usual amounts count as much as all others together."""
SHORTEST = 0.5
"""Seconds of the shortest tests."""
PIECES = (1.0, 2.0, 4.0)
"""Seconds of the pieces that a recording is cut into, in turn, where there is one for each speaker."""


@dataclass(frozen=True, eq=False)
class Material:
    """A stretch of a held-out speaker's speech, and the part that it belongs to.

    Parameters
    ----------
    speaker : str
    part : int
    unnormalized, features : ndarray, shape (N, D)
        Before and after normalization.
    speech_seconds : float
    """

    speaker: str
    part: int
    unnormalized: Array
    features: Array
    speech_seconds: float


@dataclass(frozen=True)
class HeldOut:
    """How speakers were divided: `by` "sessions", "recordings" or "pieces", and each speaker's material."""

    by: str
    speakers: Mapping[str, tuple[Material, ...]]


@dataclass(frozen=True, eq=False)
class SimulatedStore:
    """A store of some held-out speakers, tested by themselves and by the others, who are strangers to it.

    Parameters
    ----------
    names : tuple of str
        S people in it.
    tests : ScoredTrials
        T tests against all of them.
    speaking : tuple of str
        Who speaks in the T tests.
    own : tuple of ScoredTrials
        Each of its people against the others.
    """

    names: tuple[str, ...]
    tests: ScoredTrials
    speaking: tuple[str, ...]
    own: tuple[ScoredTrials, ...]

    @functools.cached_property
    def tested(self) -> Array:
        """Who speaks in the tests, as an array (T,)."""
        return np.array(self.speaking)

    @property
    def target(self) -> Array:
        """Which trials (S, T) are of one and the same person."""
        return np.asarray(np.array(self.names)[:, None] == self.tested)

    @property
    def stranger(self) -> Array:
        """Which tests (T,) are of nobody in the store."""
        return np.asarray(~self.target.any(axis=0))


@dataclass(frozen=True, eq=False)
class FoldStores:
    """The simulated stores of one fold, as they are kept while a training goes on."""

    PARTS: ClassVar = (SimulatedStore, ScoredTrials)

    stores: tuple[SimulatedStore, ...]

    def __post_init__(self) -> None:
        """Check that all trials have their scores: files hold such values."""
        sequence_of(self.stores, "the stores of a fold", SimulatedStore)
        for store in self.stores:
            sequence_of(store.names, "the people of a store", str)
            sequence_of(store.speaking, "who speaks in tests", str)
            sequence_of(store.own, "the own trials of a store", ScoredTrials)
            instance(store.tests, "the tests of a store", ScoredTrials)
            _check_trials(store.tests, (len(store.names), len(store.speaking)))
            for trials_of_one in store.own:
                _check_trials(trials_of_one, np.shape(trials_of_one.scores))


def _check_trials(found: ScoredTrials, shape: tuple[int, ...]) -> None:
    """Refuse trials (S, T) whose arrays are of other shapes, or not finite."""
    if len(shape) != 2:
        refuse("scores", "be a matrix with a row for each model and a column for each test", f"shape {shape}")
    floats(found.scores, "scores", shape=shape)
    floats(found.enrolled, "seconds of models", shape=shape[:1])
    floats(found.tested, "seconds of tests", shape=shape[1:])
    floats(found.level, "the level of the cohort", shape=shape[1:])


_Named = tuple[str, Array, Array]
"""What a recording, session or piece is called, and its frames before and after normalization."""


def divide(frames: TrainingFrames, *, least: int, seed: int = 0) -> HeldOut:
    """Divide the speech of background speakers by the first way that works for at least so many of them.

    Pieces are normalized each by itself, as recordings of their own would be. The result holds no speakers where no
    way works.
    """
    by_speaker: dict[str, list[Part]] = {}
    for p in frames.parts:
        by_speaker.setdefault(p.recording.speaker, []).append(p)

    def whole(name: str, p: Part) -> _Named:
        return name, frames.unnormalized_of(p), frames.of(p)

    ways: dict[str, Callable[[list[Part]], list[_Named]]] = {
        "sessions": lambda parts: [whole(p.recording.session, p) for p in parts if p.recording.session],
        "recordings": lambda parts: [whole(p.recording.name, p) for p in parts],
        "pieces": lambda parts: _pieces(frames.unnormalized_of(parts[0]), frames.frontend),
    }
    for by, way in ways.items():
        rng = np.random.default_rng(seed)
        found = {s: _parts(s, way(parts), frames.frontend, rng) for s, parts in sorted(by_speaker.items())}
        usable = {s: m for s, m in found.items() if len({x.part for x in m}) > 1}
        if len(usable) >= least:
            return HeldOut(by, usable)
    return HeldOut(by, {})


def simulate_stores(
    system: System,
    speakers: Mapping[str, Sequence[Material]],
    cohort: Array,
    *,
    n_threads: Threads = None,
    seed: int = 0,
) -> list[SimulatedStore]:
    """Fill stores of several sizes with some of these speakers, and test them by all.

    People have little or much enrolled, and tests are short or long, so that what amounts of speech do can be told.

    Parameters
    ----------
    system : System
        Whose UBM knows none of the speakers.
    speakers : mapping
        The material of each.
    cohort : ndarray, shape (C, K, D)
        Of speakers whom the UBM knows, as the final cohort's will be; relative to its means.
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. One store is one piece of work.
    seed : int
        For who is in which store, and for amounts.
    """
    everyone = [m for name in sorted(speakers) for m in speakers[name]]
    heard = threads(own_threads(n_threads))(functools.partial(_heard, system), everyone)
    statistics = dict(zip(everyone, heard, strict=True))

    def draws() -> Iterator[_Draw]:
        for size in store_sizes(len(speakers)):
            strangers = len(speakers) - size
            wanted = -(-SEARCHES // (strangers * _TESTS))
            for draw in range(max(LEAST_DRAWS, min(wanted, 2 * len(speakers)))):
                rng = np.random.default_rng([seed, size, draw])
                names = rng.permutation(sorted(speakers)).tolist()
                yield _draw(system, speakers, names, size, statistics, rng)

    return list(threads(n_threads)(functools.partial(_simulate, system, cohort), draws()))


def _heard(system: System, m: Material) -> Statistics:
    """Return the statistics of some material as far as means need them, which is half of them."""
    s = system.statistics(m.features)
    return Statistics.computed(s.origin, s.counts, s.first, np.zeros(s.second.shape), 0.0, s.frames)


def store_sizes(speakers: int) -> list[int]:
    """Return the sizes of stores that are filled with some of so many speakers, a quarter or more left as strangers."""
    return [s for s in SIZES if s == 1 or s <= 0.75 * speakers]


@dataclass(frozen=True, eq=False)
class _Draw:
    """Who is enrolled in a simulated store, its tests by who speaks, and by name what of the enrolled is tested."""

    people: People
    tests: tuple[tuple[str, Sequence[Heard]], ...]
    speech: Mapping[str, Sequence[Heard]]


def _draw(
    system: System,
    speakers: Mapping[str, Sequence[Material]],
    names: Sequence[str],
    size: int,
    statistics: Mapping[Material, Statistics],
    rng: Any,
) -> _Draw:
    """Draw a store of the first of these people; the others are strangers."""
    enrolled: dict[str, list[Material]] = {}
    tests: list[tuple[str, Sequence[Heard]]] = []
    for i, name in enumerate(names):
        left_out = rng.choice(sorted({m.part for m in speakers[name]}))
        rest = [m for m in speakers[name] if m.part != left_out]
        own = list(speakers[name])
        if i < size:
            kept = len(rest) if rng.random() < _WHOLE else rng.integers(1, len(rest) + 1)
            enrolled[name] = [rest[j] for j in rng.permutation(len(rest))[:kept]]
            own = [m for m in own if m.part == left_out]
        tests += [(name, test) for test in _tests(system.frontend, own, rng)]
    sums = [functools.reduce(operator.add, [contribution(statistics[m]) for m in enrolled[n]]) for n in enrolled]
    seconds = np.array([sum(m.speech_seconds for m in enrolled[n]) for n in enrolled])
    single = tuple([statistics[m] for m in enrolled[n]] for n in enrolled) if system.by_recording else ()
    speech = {n: [drawn_frames(m.features, m.speech_seconds, rng) for m in enrolled[n][:MOST_EACH]] for n in enrolled}
    return _Draw(People(tuple(enrolled), tuple(sums), seconds, single), tuple(tests), speech)


def _simulate(system: System, cohort: Array, drawn: _Draw) -> SimulatedStore:
    """Fill one store, and test it."""
    people = drawn.people
    models, tests = models_among(system, people), [heard for _, heard in drawn.tests]
    return SimulatedStore(
        people.names,
        trials(system, models, people.recordings, cohort, tests, n_threads=1),
        tuple(name for name, _ in drawn.tests),
        impostor_trials(system, people, drawn.speech, cohort, n_threads=1),
    )


def _tests(frontend: FrontEnd, own: Sequence[Material], rng: Any) -> Iterator[Sequence[Heard]]:
    """Yield tests of one speaker: one recording whole; or an amount between half a second and all of its part.

    Less than it holds is a stretch of it, more are other recordings of its part along with it, as in a call.
    """
    for j in rng.permutation(len(own))[:_TESTS].tolist():
        m, one_whole = own[j], rng.random() < _WHOLE
        along = [own[k] for k in rng.permutation(len(own)).tolist() if k != j and own[k].part == m.part]
        most = m.speech_seconds + sum(x.speech_seconds for x in along)
        wanted = float(np.exp(rng.uniform(np.log(SHORTEST), np.log(max(SHORTEST, most)))))
        wanted = m.speech_seconds if one_whole else wanted
        if wanted < m.speech_seconds:
            yield [_stretch(frontend, m, wanted, rng)]
        else:
            before = np.cumsum([m.speech_seconds, *(x.speech_seconds for x in along)])
            more = [x for x, seconds in zip(along, before, strict=False) if seconds < wanted]
            yield [Heard(x.features, x.speech_seconds) for x in (m, *more)]


def _stretch(frontend: FrontEnd, m: Material, wanted: float, rng: Any) -> Heard:
    """Return a stretch of so many seconds of some material, as a recording of its own."""
    frames = len(m.features)
    length = min(frames, max(2, round(frames * wanted / m.speech_seconds)))
    start = int(rng.integers(0, frames - length + 1))
    if length == frames:
        return Heard(m.features, m.speech_seconds)
    x = frontend.normalized(m.unnormalized[start : start + length])
    return Heard(x, m.speech_seconds * length / frames)


def adapt_cohort(
    system: System,
    frames: TrainingFrames,
    *,
    leave_out: frozenset[str] = frozenset(),
    n_threads: int | None = None,
    seed: int = 0,
) -> Array:
    """Return the means (C, K, D) of up to `COHORT` background speakers, drawn by seed, relative to the UBM's.

    Each is adapted to all of their speech.
    """
    speakers = sorted(set(frames.speakers) - leave_out)
    chosen = sorted(np.random.default_rng(seed).permutation(speakers)[:COHORT].tolist())
    parts = [p for p in frames.parts if p.recording.speaker in chosen]
    statistics = threads(n_threads)(lambda p: contribution(system.statistics(frames.of(p))), parts)
    sums = sums_by_key(zip((p.recording.speaker for p in parts), statistics, strict=True))
    return np.asarray(speaker_models(system, sums).offsets - system.ubm.offsets)


def _pieces(x: Array, frontend: FrontEnd) -> list[_Named]:
    """Return pieces of a recording from before normalization; what is left over goes to the last."""
    ends: list[int] = []
    at = 0.0
    while at + (step := PIECES[len(ends) % len(PIECES)]) <= frontend.seconds(x):
        at += step
        ends.append(round(at / frontend.hop_length))
    return [(str(i), p, frontend.normalized(p)) for i, p in enumerate(np.split(x, ends[:-1]))]


def _parts(speaker: str, rows: list[_Named], frontend: FrontEnd, rng: Any) -> tuple[Material, ...]:
    """Deal out what bears one name to one part."""
    names = rng.permutation(sorted({name for name, *_ in rows})).tolist()
    part = {name: i % PARTS for i, name in enumerate(names)}
    return tuple(Material(speaker, part[name], plain, x, frontend.seconds(x)) for name, plain, x in rows)
