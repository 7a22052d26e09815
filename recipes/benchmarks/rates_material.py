"""What the campaign of `rates.py` is about: its rows, and the models, enrollments and tests of each.

Features are extracted once for each model and corpus, enrollments turned into sessions once; halves then only draw.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from halves import Kept, Material, Spoken, a_store, enrolled_once
from recordings import Recordings, Skip, cut, grouped, sitting_of, speaker_of, spread

import speechgmm
from speechgmm.features import Extracted, extract_all
from speechgmm.parallel import threads
from speechgmm.speakers import System, enroll_features, log_likelihood_ratios, speaker_models

__all__ = ["ROWS", "Materials", "Row", "raw_scores"]

PACKAGED = {"packaged 16 kHz": 16000, "packaged 8 kHz": 8000}
ADAPTED = {"adapted 16 kHz": (16000, "malayalam_msc"), "adapted 8 kHz": (8000, "wuw2")}
"""Packaged models that were adapted to the `ubm` rows of a corpus, without their speakers."""


@dataclass(frozen=True)
class Row:
    """A model and the tests that it meets.

    Parameters
    ----------
    name : str
        On the command line.
    model : str
        A packaged one, as it is or adapted, or the corpus whose `ubm` rows train it.
    corpus : str
    by : str
        Whether a "recording" or all of a "session" is one test.
    telephone : bool
        Whether the recordings go through a telephone first.
    enroll_seconds, test_seconds : float, optional
        Amounts of speech: recordings are pooled and cut.
    """

    name: str
    model: str
    corpus: str
    by: str = "recording"
    telephone: bool = False
    enroll_seconds: float | None = None
    test_seconds: float | None = None

    @property
    def title(self) -> str:
        """What tables call it."""
        model = self.model if self.model in {*PACKAGED, *ADAPTED} else f"{self.model} ubm rows"
        line = " through a telephone" if self.telephone else ""
        unit = f", by {self.by}" if self.enroll_seconds is None else ""
        amounts = f", {self.enroll_seconds:g} s enrolled, {self.test_seconds:g} s tested" if not unit else ""
        return f"{self.name}: {model} -> {self.corpus}{line}{unit}{amounts}"


_WHOLE = (
    Row("crowd", "packaged 16 kHz", "malayalam_msc"),
    Row("readers", "packaged 16 kHz", "librispeech_mini"),
    Row("crowd-own", "malayalam_msc", "malayalam_msc"),
    Row("wuw2-own", "wuw2", "wuw2"),
    Row("wuw2-own-calls", "wuw2", "wuw2", by="session"),
    Row("readers-wuw2", "wuw2", "librispeech_mini"),
    Row("wuw2-8k", "packaged 8 kHz", "wuw2"),
    Row("wuw2-8k-calls", "packaged 8 kHz", "wuw2", by="session"),
    Row("crowd-8k", "packaged 8 kHz", "malayalam_msc", telephone=True),
    Row("readers-8k", "packaged 8 kHz", "librispeech_mini", telephone=True),
    Row("crowd-adapted", "adapted 16 kHz", "malayalam_msc"),
    Row("wuw2-adapted", "adapted 8 kHz", "wuw2"),
)
ROWS = _WHOLE + tuple(
    dataclasses.replace(row, name=f"{row.name}/{e:g}/{t:g}", enroll_seconds=e, test_seconds=t)
    for row in _WHOLE
    if row.name in ("crowd", "crowd-own", "wuw2-own")
    for e in (2.0, 5.0, 10.0, 30.0)
    for t in (1.0, 3.0, 10.0)
)
"""The table of the campaign; a name with seconds enrolled and tested is a row of "amounts"."""


def raw_scores(material: Material, n_threads: int) -> np.ndarray:
    """Return raw scores (T, S): mean log-likelihood ratios of models adapted from the UBM."""
    sums = {s: functools.reduce(operator.add, [x.statistics for x in held]) for s, held in material.sessions.items()}
    models = speaker_models(material.system, sums)

    def score(test: Spoken) -> np.ndarray:
        rows = [log_likelihood_ratios(material.system, models, e.usable(), n_threads=1) for e in test.sounds]
        return np.average(rows, axis=0, weights=[e.speech_seconds for e in test.sounds])

    return np.stack(list(threads(n_threads)(score, material.tests)))


class Materials:
    """Makes the material of rows; what several of them share is made once.

    Parameters
    ----------
    data : Path or None
        A folder of prepared corpora; None downloads them.
    folder : Path
        For trained models, and whatever else goes into files.
    n_threads : int
    say : callable
        Told what is being done.
    """

    def __init__(self, data: Path | None, folder: Path, n_threads: int, say: Callable[[str], None]) -> None:
        self.folder, self.n_threads, self.say = folder, n_threads, say
        self._recordings = Recordings(data, folder, n_threads)
        self._kept: dict[tuple[Any, ...], Any] = {}

    def of(self, row: Row, most: int | None = None) -> Material:
        """Return the material of a row, of each speaker at most so many tests, or raise `Skip`."""
        system = self._once(self._system, row.model)
        where = (row.model, row.corpus, row.telephone)
        tested = self._once(self._extracted, *where, "test")
        good = [e for e in tested if not e.error]
        if row.enroll_seconds is None or row.test_seconds is None:
            kept = self._once(self._enrolled, *where)
            tests = _sittings(good) if row.by == "session" else [Spoken.of([e]) for e in good]
        else:
            hop = system.frontend.hop_length
            enrolled = [e for e in self._once(self._extracted, *where, "enroll") if not e.error]
            people = grouped(enrolled, speaker_of)
            cuts = {s: cut(rows, round(row.enroll_seconds / hop), 1) for s, rows in people.items()}
            kept = self._enrolled_cuts(system, {s: c[0] for s, c in cuts.items() if c})
            groups = grouped(good, sitting_of).values()
            tests = [Spoken.of(c) for rows in groups for c in cut(rows, round(row.test_seconds / hop))]
        both = sorted(set(kept.sessions) & {t.speaker for t in tests})
        if len(both) < 10:
            raise Skip(f"{len(both)} speakers have so much speech, and 10 is the least")
        by_speaker = [[t for t in tests if t.speaker == s] for s in both]
        chosen = tuple(t for rows in by_speaker for t in spread(rows, most))
        return Material(system, Kept({s: kept.sessions[s] for s in both}, kept.samples), chosen)

    def _once(self, make: Callable[..., Any], *key: Any) -> Any:
        """Return what `make` gives for a key, made when first asked for."""
        if (make.__name__, *key) not in self._kept:
            self._kept[make.__name__, *key] = make(*key)
        return self._kept[make.__name__, *key]

    def _system(self, model: str) -> System:
        """Return a packaged model, or one that is trained on the `ubm` rows of a corpus."""
        if model in PACKAGED:
            return speechgmm.default_system(PACKAGED[model])
        if model in ADAPTED:
            rate, corpus = ADAPTED[model]
            packaged, heard = speechgmm.default_system(rate), self._recordings.of(corpus, "ubm")
            return speechgmm.adapt_system(packaged, heard, n_threads=self.n_threads).system
        path = self.folder / f"{model}.sgmm"
        if path.is_file():
            self.say(f"{path}, trained on {model} before, is taken")
            return speechgmm.load_system(path)
        self.say(f"training on {model}")
        background = self._recordings.of(model, "ubm")
        system = speechgmm.train_system(background, n_threads=self.n_threads).system
        system.save(path)
        return system

    def _extracted(self, model: str, corpus: str, telephone: bool, split: str) -> list[Extracted]:
        """Return the features of a split by a model's front end."""
        self.say(f"features of {corpus}, {split}, for {model}")
        frontend = self._once(self._system, model).frontend
        heard = self._recordings.of(corpus, split, telephone=telephone)
        return list(extract_all(frontend, heard, n_threads=self.n_threads))

    def _enrolled(self, model: str, corpus: str, telephone: bool) -> Kept:
        """Return what is kept of everybody in a corpus."""
        self.say(f"enrolling everybody of {corpus} with {model}")
        recordings = self._recordings.of(corpus, "enroll", telephone=telephone)
        return enrolled_once(self._once(self._system, model), recordings, self.n_threads)

    def _enrolled_cuts(self, system: System, cuts: Mapping[str, list[Extracted]]) -> Kept:
        """Return what is kept of speakers who are enrolled with these features."""
        with a_store(system) as store:
            for speaker, rows in cuts.items():
                for e in rows:
                    enroll_features(system, store, speaker, e.usable(), session=e.name)
            return Kept.of(store)


def _sittings(extracted: Iterable[Extracted]) -> list[Spoken]:
    """Return a test for each session."""
    return [Spoken.of(rows) for rows in grouped(extracted, sitting_of).values()]
