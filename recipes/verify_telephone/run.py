"""Speakers across telephone calls: other day, other handset, 1 to 20 seconds (WUW Corpus II).

Trains and calibrates a model on 64 callers, enrolls 48 others from their first call, and tests their later calls
against all 48: file by file, and call by call. Then, ten times, another half of them count as strangers.

    python recipes/verify_telephone/run.py [--data DIR]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import numpy as np  # noqa: E402
import running  # noqa: E402
import strangers  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.evaluation import Interval, Scores, Trials, join  # noqa: E402

SUSPECT = ("00070", "00296", "00240", "00134", "00132", "00135")
"""Calls whose caller is probably another than the label says; see DATA.md."""
RANGES = {"EER": "eer", "identified": "identification_rate"}


@dataclass(frozen=True)
class Measured:
    """Error rates by way of testing, and the share of strangers accepted for each rate asked."""

    results: Mapping[str, speechgmm.Evaluation]
    accepted: Mapping[float, Interval]


def measure(
    manifest: Path,
    *,
    n_components: int | None = None,
    seed: int = 0,
    replicates: int | None = None,
    halves: int = strangers.HALVES,
) -> Measured:
    """Train, calibrate, enroll and test.

    `n_components` as in `speechgmm.train_system`, `replicates` as in `speechgmm.evaluate`, `halves` as in `strangers`.
    """
    corpus = speechgmm.read_corpus(manifest)
    system = speechgmm.train_system(corpus.where(split="ubm"), n_components=n_components, seed=seed).system
    test = corpus.where(split="test")
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        utterances = speechgmm.score_corpus(system, store, test).scores
        calls = speechgmm.score_corpus(system, store, test, by="session").scores
    tables = {"utterances": utterances, "calls": calls}
    tables |= {f"{name} (trusted)": _trusted(tables[name]) for name in ("utterances", "calls")}
    results = {name: speechgmm.evaluate(scores, replicates=replicates) for name, scores in tables.items()}
    accepted = strangers.false_accepts(system, corpus.where(split="enroll").recordings, test.recordings, drawn=halves)
    return Measured(results, accepted)


def _trusted(scores: Scores) -> Scores:
    keep = ~np.isin(scores.session, SUSPECT)
    return join(scores, Trials(scores.speaker[keep], scores.test[keep], scores.target[keep]))


if __name__ == "__main__":
    found = measure(running.manifest(RECIPE, running.arguments(__doc__)))
    running.show_evaluations(RECIPE, found.results)
    for way, e in found.results.items():
        print(f"{way}: Cllr {e.cllr:.3f}, at best {e.min_cllr:.3f}; DCF {e.actual_dcf:.3f}, at best {e.min_dcf:.3f}")
    for way, e in found.results.items():
        told = (f"{n} {100 * e.intervals[k].low:.1f} to {100 * e.intervals[k].high:.1f} %" for n, k in RANGES.items())
        print(f"{way}, 95 % intervals over speakers: {', '.join(told)}")
    strangers.show_strangers(found.accepted)
