"""What the campaign of `accuracy.py` compares: ways to recognize speakers, rows of tests, and the searches of each.

Background models, cohorts and features lie in files: another way, or another row, makes only what is new to it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from halves import Half, Spoken
from recordings import (
    BABBLE,
    RECIPES,
    WITHOUT_BACKGROUND,
    Recordings,
    Skip,
    cut,
    grouped,
    sitting_of,
    speaker_of,
    spread,
    written,
)

import speechgmm
from speechgmm.features import MFCC, Corpus, Extracted, FrontEnd, common_rate, extract_all, training_frames
from speechgmm.mixture import Statistics
from speechgmm.parallel import threads
from speechgmm.speakers import System
from speechgmm.speakers.domain import People
from speechgmm.speakers.held_out import adapt_cohort
from speechgmm.speakers.impostors import models_among, relative_to_cohort, scored_by
from speechgmm.speakers.recording_weights import POWER, contribution
from speechgmm.speakers.sessions import sums_by_key

__all__ = ["ROWS", "Row", "Searches", "Way"]

ENROLLED = 5.0
"""Seconds of speech, beside all that there is."""
TESTED = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds of speech of a test, beside whole recordings."""
SEVERAL = ("wuw2", "malayalam_msc")
"""Corpora with several sessions of a speaker among the tests, where a session makes a test, too: a call of wuw2."""
LEAST = 6
"""Speakers of a row: as many as fsdd has, which makes halves of three."""


@dataclass(frozen=True)
class Way:
    """What is done otherwise than by default.

    Parameters
    ----------
    normalization : str
        Of features over a recording.
    relevance : float
        Of speakers.
    n_components : tuple of int, optional
        Of the mixtures of the background model; default: those of `train_system`.
    power : float
        Of its seconds, by which each recording of a test counts: 0 is alike.
    frames_power : float
        Of its frames, by which each enrolled recording counts: 1 is every frame alike.
    kind : str
        Of cepstra.
    quality : str
        As in `train_system`.
    """

    normalization: str = "smoothed"
    relevance: float = System.relevance
    n_components: tuple[int, ...] | None = None
    power: float = 0.5
    frames_power: float = POWER
    kind: str = "mfcc+lfcc"
    quality: str = "default"

    @property
    def background(self) -> str:
        """What the file of the background model is called; ways that differ in other things share it."""
        sizes = self.quality if self.n_components is None else "-".join(map(str, self.n_components))
        return f"{self.kind} {self.normalization} {sizes}"


@dataclass(frozen=True)
class Row:
    """Whose tests are searched for, as they sound, and how much of everybody is enrolled and tested.

    Parameters
    ----------
    corpus : str
    condition : str
        "clean" is as recorded; "telephone": all recordings go through a telephone, the background too; "babble": the
        tests alone, others talk while they are spoken.
    enroll_seconds, test_seconds : float, optional
        Amounts of speech; default: all enrolled, and a test is as `by` says. Recordings are cut, and short ones are put
        together (in a test, those of one session), before they are normalized. They come in an order that is drawn.
    by : str
        Whether a "recording" or all of a "session" is one test.
    """

    corpus: str
    condition: str = "clean"
    enroll_seconds: float | None = None
    test_seconds: float | None = None
    by: str = "recording"

    @property
    def place(self) -> str:
        """The corpus as it sounds."""
        return self.corpus if self.condition == "clean" else f"{self.corpus}+{self.condition}"

    @property
    def name(self) -> str:
        """On the command line: ``wuw2``, ``wuw2/all/sessions``, ``wuw2+babble/5s/2s``."""
        enrolled = "all" if self.enroll_seconds is None else f"{self.enroll_seconds:g}s"
        tested = f"{self.by}s" if self.test_seconds is None else f"{self.test_seconds:g}s"
        parts = [self.place, enrolled, tested]
        while parts[-1] in ("recordings", "all"):
            parts.pop()
        return "/".join(parts)

    @property
    def title(self) -> str:
        """Its name, and what it is in words."""
        how = {"clean": "", "telephone": ", through a telephone", "babble": f", tests in babble at {BABBLE:g} dB"}
        enrolled = "all" if self.enroll_seconds is None else f"{self.enroll_seconds:g} s"
        tested = f"by {self.by}" if self.test_seconds is None else f"{self.test_seconds:g} s"
        return f"{self.name}: {self.corpus}{how[self.condition]}; {enrolled} enrolled, tested {tested}"


ROWS = tuple(
    Row(corpus, condition, enrolled, seconds, by)
    for corpus, condition, enrolled, (seconds, by) in itertools.product(
        RECIPES,
        ("clean", "telephone", "babble"),
        (None, ENROLLED),
        [(None, "recording"), (None, "session"), *((t, "recording") for t in TESTED)],
    )
    if by == "recording" or corpus in SEVERAL
)
"""The table of the campaign."""

Enrolled = Mapping[str, tuple[Statistics, float, list[Statistics]]]
"""Statistics and seconds of speech of each speaker, and the statistics of single recordings."""


@dataclass(frozen=True)
class Searches:
    """Makes the searches of rows.

    Parameters
    ----------
    recordings : Recordings
    folder : Path
        For background models, cohorts and features.
    say : callable
        Told what is being done.
    """

    recordings: Recordings
    folder: Path
    say: Callable[[str], None]

    def of(self, row: Row, way: Way, most: int | None = None) -> tuple[Half, ...]:
        """Return the searches among everybody, then those among each half of the speakers, or raise `Skip`.

        Of each speaker there are at most so many tests. The halves are the same ones in all ways.
        """
        system, cohort = self._trained(row, way)
        people, spoken = self._people(row, way, system), self._tests(row, system)
        both = sorted(set(people) & {t.speaker for t in spoken})
        if len(both) < LEAST:
            raise Skip(f"{len(both)} speakers have so much speech, and {LEAST} is the least")
        tests = [t for s in both for t in spread([t for t in spoken if t.speaker == s], most)]
        self.say(f"{row.name}: {len(both)} speakers, {len(tests)} tests")
        drawn = np.random.default_rng(0).permutation(both).tolist()
        middle = len(drawn) // 2
        return tuple(
            self._searched(system, cohort, {s: people[s] for s in sorted(names)}, tests, way.power)
            for names in (both, drawn[:middle], drawn[middle:])
        )

    def _trained(self, row: Row, way: Way) -> tuple[System, Any]:
        """Return a way's system without a calibration, and its cohort: means of background speakers (C, K, D).

        Where these are the enrolled people themselves there is no cohort, as `train_system` makes none of so few.
        """
        line = row.condition == "telephone"
        name = f"{row.corpus}{'+telephone' * line} {way.background}"
        path, cohort = self.folder / f"{name}.sgmm", self.folder / f"{name} {way.relevance:g}.npy"
        background = self.recordings.of(row.corpus, "ubm", telephone=line)
        if not path.is_file():
            self.say(f"training {name}")
            self._train(background, way).save(path)
        system = dataclasses.replace(speechgmm.load_system(path), relevance=way.relevance)
        if row.corpus in WITHOUT_BACKGROUND:
            return system, None
        if not cohort.is_file():
            frames = training_frames(system.frontend, background, n_threads=self._n_threads)
            with written(cohort) as part, part.open("wb") as file:
                np.save(file, adapt_cohort(system, frames, n_threads=self._n_threads))
        return system, np.load(cohort)

    def _train(self, background: Corpus, way: Way) -> System:
        """Return a system without a calibration."""
        frontend = MFCC(sample_rate=common_rate(background), normalization=way.normalization, kind=way.kind)
        return speechgmm.train_system(
            background,
            frontend=frontend,
            n_components=way.n_components,
            quality=way.quality,
            calibrated=False,
            n_threads=self._n_threads,
        ).system

    def _people(self, row: Row, way: Way, system: System) -> Enrolled:
        """Return what is enrolled of each speaker who has so much speech."""
        frontend = system.frontend
        pieces = grouped(self._heard(row, frontend, "enroll"), speaker_of)
        if row.enroll_seconds is not None:
            frames = round(row.enroll_seconds / frontend.hop_length)
            cuts = {s: cut(_mixed(rows), frames, 1) for s, rows in pieces.items()}
            pieces = {s: c[0] for s, c in cuts.items() if c}
        every = [e for rows in pieces.values() for e in rows]
        statistics = threads(self._n_threads)(lambda e: system.statistics(frontend.normalized(e.usable())), every)
        single = {s: list(itertools.islice(statistics, len(rows))) for s, rows in pieces.items()}
        sums = sums_by_key((s, contribution(x, way.frames_power)) for s, own in single.items() for x in own)
        return {s: (sums[s], sum(e.speech_seconds for e in rows), single[s]) for s, rows in pieces.items()}

    def _tests(self, row: Row, system: System) -> list[Spoken]:
        """Return the tests of all speakers, each recording or piece normalized by itself."""
        frontend = system.frontend
        heard = self._heard(row, frontend, "test")
        if row.test_seconds is not None:
            frames = round(row.test_seconds / frontend.hop_length)
            tests = [c for rows in grouped(heard, sitting_of).values() for c in cut(_mixed(rows), frames)]
        else:
            tests = list(grouped(heard, sitting_of).values()) if row.by == "session" else [[e] for e in heard]

        def normalized(e: Extracted) -> Extracted:
            return dataclasses.replace(e, features=frontend.normalized(e.usable()))

        return [Spoken.of([normalized(e) for e in sounds]) for sounds in tests]

    def _heard(self, row: Row, frontend: FrontEnd, split: str) -> list[Extracted]:
        """Return what a front end makes of a split before it normalizes, without what cannot be used."""
        spoiled = {"telephone": row.condition == "telephone", "babble": row.condition == "babble" and split == "test"}
        sound = "".join(f"+{name}" for name, done in spoiled.items() if done)
        recordings = self.recordings.of(row.corpus, split, **spoiled)
        plain = frontend.unnormalized
        path = self.folder / f"{row.corpus}{sound} {split} {plain.fingerprint[:16]}.npz"
        if not path.is_file():
            self.say(f"features of {path.stem}")
            found = list(extract_all(plain, recordings, n_threads=self._n_threads))
            x = [e.usable() for e in found if not e.error]
            lengths = [0 if e.error else len(e.usable()) for e in found]
            with written(path) as part, part.open("wb") as file:
                np.savez(file, features=np.concatenate(x), lengths=lengths)
        with np.load(path) as kept:
            parts = np.split(kept["features"], np.cumsum(kept["lengths"])[:-1])
        return [Extracted(r, x, "", frontend.seconds(x)) for r, x in zip(recordings, parts, strict=True) if len(x)]

    def _searched(self, system: System, cohort: Any, enrolled: Enrolled, tests: Sequence[Spoken], power: float) -> Half:
        """Return the scores of tests against these people in their domain, relative to the cohort's in the same."""
        statistics, seconds, single = zip(*enrolled.values(), strict=True)
        models = models_among(system, People(tuple(enrolled), statistics, np.array(seconds)))
        ratios = scored_by(system, models, single, cohort)

        def score(test: Spoken) -> Any:
            raw = np.stack([ratios(e.usable()) for e in test.sounds], axis=1)
            weights = np.array([e.speech_seconds for e in test.sounds]) ** power
            return relative_to_cohort(raw, len(models.names), weights)[0]

        scores = np.stack(list(threads(self._n_threads)(score, tests)))
        return Half(models.names, np.array([t.speaker for t in tests]), scores, np.empty(0))

    @property
    def _n_threads(self) -> int | None:
        return self.recordings.n_threads


def _mixed(extracted: Sequence[Extracted]) -> list[Extracted]:
    """Return recordings in an order that their names draw: a corpus may be sorted by what is said."""
    return sorted(extracted, key=lambda e: hashlib.sha256(e.name.encode()).digest())
