"""Do thresholds that are learned from anybody's scores hold for other people? Three systems, asked against accepted.

The systems know nothing of calibration: raw scores (mean log-likelihood ratios of adapted models), cosines of
supervectors, and linear scores. In random halves of a corpus' speakers, `calibrate_scores` learns from the tests and
models of one half, and its thresholds for 1, 5 and 10 % of strangers are applied to the tests and models of the other,
per trial and per search. Told are, over all halves, the mean share accepted and where the middle 80 % of the halves
lie; what the calibration itself measured on held-out speakers of its own half; in how many halves the asked rate lay
inside the interval of what was accepted; in how many the calibration assured the rate (of other speakers at most twice
as much), and in how many of these more than that was accepted all the same. Then the cost of LLRs in bits, and the
least that any map of these scores reaches.

    python recipes/benchmarks/anybodys_scores.py [--data DIR] [--rows crowd wuw2-8k] [--halves 20]

DIR holds prepared copies of corpora, as for `rates.py`; without it they are downloaded. A corpus must have 16 speakers.
"""

from __future__ import annotations

import argparse
import functools
import json
import operator
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from halves import Material
from rates_material import ROWS, Materials, raw_scores

from speechgmm.classification.supervectors import displacements
from speechgmm.evaluation import FalseAccepts, Scores, calibrate_scores, cllr, min_cllr
from speechgmm.mixture import UBM, Statistics
from speechgmm.speakers import speaker_models
from speechgmm.speakers.approximate import linear_ratios_of

Array = np.ndarray
DEFAULT_ROWS = ("crowd", "wuw2-8k")


def model_sums(material: Material) -> dict[str, Statistics]:
    """Return the statistics of everybody who may be enrolled."""
    held = {s: [x.statistics for x in material.sessions[s]] for s in material.speakers}
    return {s: functools.reduce(operator.add, every) for s, every in held.items()}


def test_sums(material: Material) -> list[Statistics]:
    """Return the statistics of each test."""
    of = material.system.statistics
    return [functools.reduce(operator.add, [of(e.usable()) for e in t.sounds]) for t in material.tests]


def rows_of(ubm: UBM, statistics: Sequence[Statistics], relevance: float) -> Array:
    """Return supervectors of length 1, a row for each of some statistics; the mixtures of an ensemble side by side."""
    edges = np.cumsum([mixture.n_components for mixture in ubm.parts])[:-1]
    counts, first = (
        np.split(np.stack([getattr(s, of) for s in statistics]), edges, axis=1) for of in ("counts", "first")
    )
    parts = zip(ubm.parts, counts, first, strict=True)
    every = np.concatenate([displacements(mixture, n, f, relevance) for mixture, n, f in parts], axis=1)
    return np.asarray(every / np.linalg.norm(every, axis=1, keepdims=True))


def cosines(material: Material, n_threads: int) -> Array:
    """Return the cosines of supervectors, (T, S)."""
    system, models = material.system, list(model_sums(material).values())
    sides = [rows_of(system.ubm, s, system.relevance) for s in (test_sums(material), models)]
    return np.asarray(sides[0] @ sides[1].T)


def linear(material: Material, n_threads: int) -> Array:
    """Return linear scores, (T, S)."""
    return linear_ratios_of(material.system, speaker_models(material.system, model_sums(material)), test_sums(material))


SYSTEMS: Mapping[str, Callable[[Material, int], Array]] = {"raw": raw_scores, "cosine": cosines, "linear": linear}


def table_of(scores: Array, speakers: Sequence[str], tested: Sequence[str], people: Sequence[str]) -> Scores:
    """Return the scores (T, S) of the tests and models of some people as a table."""
    rows, columns = np.isin(tested, people), np.isin(speakers, people)
    kept, who, models = scores[np.ix_(rows, columns)], np.array(tested)[rows], np.array(speakers)[columns]
    test, model = (i.ravel() for i in np.indices(kept.shape))
    names = np.array([f"test {i}" for i in np.flatnonzero(rows)])
    return Scores(models[model], names[test], kept.ravel(), models[model] == who[test], test_speaker=who[test])


def one_half(scores: Array, material: Material, seed: Sequence[int]) -> dict[str, Any]:
    """Return what half of the speakers teach, and what becomes of it in the other half."""
    tested = [t.speaker for t in material.tests]
    order = np.random.default_rng(seed).permutation(material.speakers).tolist()
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    learned, other = (table_of(scores, material.speakers, tested, people) for people in halves)
    made = calibrate_scores(learned, replicates=20)
    llrs = made.llrs(other)
    pair = llrs.score[llrs.target == 1], llrs.score[llrs.target == 0]
    found = zip(made.false_accepts(other), made.held_out.false_accepts, made.thresholds(), strict=True)
    return {
        "rates": [(f, own, t.assured) for f, own, t in found],
        "cllr": (cllr(*pair), min_cllr(*pair)),
        "enrolled": len(halves[1]),
    }


def pooled(halves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is told of all halves of one system."""
    rates = []
    for found in zip(*(h["rates"] for h in halves), strict=True):
        other: list[FalseAccepts] = [f for f, _, _ in found]
        shares, far = np.array([f.accepted.estimate for f in other]), other[0].far
        assured = [f for f, _, assured in found if assured]
        rates.append(
            {
                "far": far,
                "searched": other[0].speakers,
                "accepted": float(shares.mean()),
                "low": float(np.quantile(shares, 0.1)),
                "high": float(np.quantile(shares, 0.9)),
                "held_out": float(np.mean([own.accepted.estimate for _, own, _ in found])),
                "inside": sum(f.accepted.low <= far <= f.accepted.high for f in other),
                "assured": len(assured),
                "broken": sum(f.accepted.estimate > 2 * far for f in assured),
            }
        )
    costs = np.mean([h["cllr"] for h in halves], axis=0)
    return {"halves": len(halves), "rates": rates, "cllr": float(costs[0]), "min_cllr": float(costs[1])}


def show(title: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table for one corpus."""
    table = Table(title=title, title_justify="left")
    for column in (
        "scores",
        "of",
        "asked",
        "accepted",
        "80 % of halves",
        "held out",
        "asked inside",
        "assured",
        "broken",
    ):
        table.add_column(column, justify="left" if column in ("scores", "of") else "right")
    for name, result in found.items():
        for r in result["rates"]:
            of = "trials" if r["searched"] == 1 else f"searches among {r['searched']}"
            spread = f"{100 * r['low']:.1f} to {100 * r['high']:.1f} %"
            shares = (f"{100 * r[n]:.1f} %" for n in ("accepted", "held_out"))
            accepted, held_out = shares
            counts = (str(r[n]) for n in ("inside", "assured", "broken"))
            table.add_row(name, of, f"{100 * r['far']:g} %", accepted, spread, held_out, *counts)
        table.add_section()
    console = Console(width=140)
    console.print(table)
    for name, result in found.items():
        console.print(f"{name}: Cllr {result['cllr']:.3f} bits, at least {result['min_cllr']:.3f}")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", nargs="+", default=DEFAULT_ROWS, help="of rates.py")
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    known, told = {row.name: row for row in ROWS}, {}
    with tempfile.TemporaryDirectory() as folder:
        materials = Materials(given.data, Path(folder), given.threads, lambda text: print(text, file=sys.stderr))
        for name in given.rows:
            material = materials.of(known[name])
            scored = {system: score(material, given.threads) for system, score in SYSTEMS.items()}
            seeds = [(0, i) for i in range(given.halves)]
            told[name] = {n: pooled([one_half(s, material, seed) for seed in seeds]) for n, s in scored.items()}
            if not given.json:
                people = f"{len(material.speakers)} speakers, {len(material.tests)} tests, {given.halves} halves"
                show(f"{known[name].title}; {people}", told[name])
    if given.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
