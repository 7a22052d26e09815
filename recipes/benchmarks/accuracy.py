"""Which defaults find more speakers? Ways to do it beside each other, on all corpora at once.

A background model is trained on the `ubm` rows of each corpus; everybody else is enrolled and tested. Scores are
relative to a cohort of background speakers (T-norm) in the domain of all who are enrolled, without a calibration. Each
way is the defaults but for one thing. Shown are the equal error rate, the share identified, and by how much each is
more than with the defaults, with the 95 % interval over speakers.

    python recipes/benchmarks/accuracy.py [--data DIR] [--corpora wuw2 malayalam_msc] [--ways 'relevance 4'] [--json]

Tests are recordings, parts of them (the first seconds of speech, normalized by themselves) and whole calls.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import corpora
from halves import a_store
from rates_material import RECIPES

import speechgmm
from speechgmm.evaluation import Interval, bootstrap, eer
from speechgmm.features import MFCC, Corpus, Extracted, common_rate, extract_all, training_frames
from speechgmm.parallel import threads
from speechgmm.speakers import System, enrolled
from speechgmm.speakers.held_out import adapt_cohort
from speechgmm.speakers.impostors import normalized_together
from speechgmm.speakers.models import cohort_models

CUTS = (1.0, 2.0, 4.0)
"""Seconds of speech at the beginning of a recording that make a test."""


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
        Of its seconds, by which each recording of a call counts: 0 is alike.
    kind : str
        Of cepstra.
    quality : str
        As in `train_system`.
    """

    normalization: str = "smoothed"
    relevance: float = System.relevance
    n_components: tuple[int, ...] | None = None
    power: float = 0.5
    kind: str = "mfcc+lfcc"
    quality: str = "default"


WAYS = {
    "defaults": Way(),
    "normalized by itself": Way(normalization="mean_variance"),
    "relevance 4": Way(relevance=4.0),
    "relevance 16": Way(relevance=16.0),
    "best": Way(quality="best"),
    "64 and 256 for both": Way(n_components=(64, 256)),
    "128 for both": Way(n_components=(128,)),
    "mel cepstra alone": Way(kind="mfcc"),
    "linear cepstra alone": Way(kind="lfcc"),
    "mel cepstra, 256": Way(n_components=(256,), kind="mfcc"),
    "mel cepstra, 64": Way(n_components=(64,), kind="mfcc"),
    "calls by seconds": Way(power=1.0),
    "calls alike": Way(power=0.0),
    "first release": Way("mean_variance", 4.0, (256,), 1.0, "mfcc"),
}


@dataclass(frozen=True, eq=False)
class Tested:
    """Scores (T, S) of T tests, whose speakers are `speaker` (T,), against S enrolled ones."""

    speaker: np.ndarray
    enrolled: np.ndarray
    scores: np.ndarray

    def rates(self, times: np.ndarray, people: np.ndarray) -> dict[str, float]:
        """Return the error rate and the share identified where each of the people is drawn so many times."""
        tested, enrolled = (np.searchsorted(people, names) for names in (self.speaker, self.enrolled))
        chosen = np.repeat(np.arange(len(tested)), times[tested])
        scores, target = self.scores[chosen], self.speaker[chosen, None] == self.enrolled
        there = times[enrolled] > 0
        impostors = scores[:, there][~target[:, there]]
        best = self.enrolled[scores.argmax(axis=1)] == self.speaker[chosen]
        return {"EER": eer(scores[target], impostors), "identified": float(best.mean())}


def tests_of(extracted: Sequence[Extracted], frontend: Any) -> Iterator[tuple[str, list[list[np.ndarray]], list[str]]]:
    """Yield kinds of tests: what they are called, the features of each test's recordings, and who speaks."""
    whole = [(e, frontend.normalized(e.usable())) for e in extracted]
    yield "recordings", [[x] for _, x in whole], [e.recording.speaker for e, _ in whole]
    for seconds in CUTS:
        frames = round(seconds / frontend.hop_length)
        long = [e for e in extracted if len(e.usable()) > frames]
        if len({e.recording.speaker for e in long}) >= 10:
            cut = [[frontend.normalized(e.usable()[:frames])] for e in long]
            yield f"{seconds:g} s", cut, [e.recording.speaker for e in long]
    calls: dict[tuple[str, str], list[np.ndarray]] = {}
    for e, x in whole:
        calls.setdefault((e.recording.speaker, e.recording.session_name), []).append(x)
    if len(calls) < len(whole):
        yield "calls", list(calls.values()), [speaker for speaker, _ in calls]


def measure(corpus: Corpus, way: Way, n_threads: int | None = None, seed: int = 0) -> dict[str, Tested]:
    """Return the scores of each kind of test."""
    background = corpus.where(split="ubm")
    frontend = MFCC(sample_rate=common_rate(background), normalization=way.normalization, kind=way.kind)
    made = speechgmm.train_system(
        background,
        frontend=frontend,
        n_components=way.n_components,
        quality=way.quality,
        relevance=way.relevance,
        calibrated=False,
        n_threads=n_threads,
        seed=seed,
    ).system
    frames = training_frames(made.frontend, background, n_threads=n_threads)
    cohort = adapt_cohort(made, frames, n_threads=n_threads, seed=seed)
    with a_store(made) as store:
        speechgmm.enroll(made, store, corpus.where(split="enroll"), n_threads=n_threads)
        models = enrolled(made, store).models
    others = cohort_models(models.ubm, cohort)
    assert others is not None
    heard = extract_all(made.frontend.unnormalized, corpus.where(split="test"), n_threads=n_threads)
    usable = [e for e in heard if not e.error and e.recording.speaker in models.names]

    def score(recordings: list[np.ndarray]) -> np.ndarray:
        raw = np.stack([np.concatenate([m.ratios(x, 1) for m in (models, others)]) for x in recordings], axis=1)
        return normalized_together(raw, len(models.names), np.array([len(x) for x in recordings]) ** way.power)

    found = {}
    for kind, tests, speakers in tests_of(usable, made.frontend):
        rows = np.stack(list(threads(n_threads)(score, tests)))
        found[kind] = Tested(np.array(speakers), np.array(models.names), rows)
    return found


def beside(ours: Tested, others: Tested) -> dict[str, Interval]:
    """Return the error rates of a way, and what each is more than with the defaults, with intervals."""
    people = np.unique(np.concatenate([ours.speaker, ours.enrolled]))

    def both(times: np.ndarray) -> dict[str, float]:
        drawn = times.astype(np.int64)
        a, b = (t.rates(drawn, people) for t in (ours, others))
        return a | {f"{name} change": a[name] - b[name] for name in a}

    return bootstrap(both, people, replicates=200)


def show(corpus: str, found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> None:
    """Print a table for a corpus: a row for each way, a column for each kind of test."""
    kinds = list(next(iter(found.values())))
    table = Table(title=f"{corpus}: EER %, identified %", title_justify="left")
    for column in ("", *kinds):
        table.add_column(column)
    for way, by_kind in found.items():
        cells = []
        for told in by_kind.values():
            text = f"{100 * told['EER'].estimate:.1f}, {100 * told['identified'].estimate:.1f}"
            if way != "defaults":
                for name in ("EER", "identified"):
                    change = told[f"{name} change"]
                    text += f" ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
            cells.append(text)
        table.add_row(way, *cells)
    Console(width=200).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="prepared copies of the corpora; without it, they are downloaded")
    parser.add_argument("--corpora", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="beside the defaults")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for, and print each corpus when it is done."""
    given, every = _arguments(), {}
    for name in given.corpora:
        recipe = Path(__file__).resolve().parent.parent / RECIPES[name]
        manifest = corpora.prepare(recipe, data=given.data / name if given.data else None)
        corpus = speechgmm.read_corpus(manifest)
        ways = {way: WAYS[way] for way in dict.fromkeys(["defaults", *given.ways])}
        scores = {way: measure(corpus, settings, given.threads) for way, settings in ways.items()}
        found = {
            way: {k: beside(t, scores["defaults"][k]) for k, t in by_kind.items()} for way, by_kind in scores.items()
        }
        if not given.json:
            show(name, found)
        every[name] = {
            way: {k: {n: dataclasses.astuple(i) for n, i in told.items()} for k, told in kinds.items()}
            for way, kinds in found.items()
        }
    if given.json:
        print(json.dumps(every))


if __name__ == "__main__":
    main()
