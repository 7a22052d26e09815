"""How often strangers are accepted who were never seen, where a rate is asked for: half enrolled, half strangers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from speechgmm.evaluation import Interval, Scores, bootstrap
from speechgmm.speakers import SystemCalibration

__all__ = ["false_accepts", "show_strangers"]

HALVES = 50


def false_accepts(
    calibration: SystemCalibration, scores: Scores, rates: Sequence[float], *, seed: int = 0
) -> dict[float, Interval]:
    """Return the share of strangers' tests accepted for each rate that is asked, with its interval over speakers.

    `scores` has each test against each enrolled speaker. Fifty times, half of them count as enrolled, and the tests of
    the others are searches of strangers.
    """
    people, enrolled = np.unique(scores.speaker, return_inverse=True)
    names, test = np.unique(scores.test, return_inverse=True)
    llr = np.full((len(names), len(people)), -np.inf)
    llr[test, enrolled] = scores.score
    speaker = np.empty(len(names), dtype=people.dtype)
    speaker[test] = scores.test_speaker
    rng, rows, best = np.random.default_rng(seed), [], []
    size = len(people) // 2
    for _ in range(HALVES):
        inside = np.isin(np.arange(len(people)), rng.permutation(len(people))[:size])
        strangers = ~np.isin(speaker, people[inside])
        rows.append(speaker[strangers])
        best.append(llr[np.ix_(strangers, inside)].max(axis=1))
    who, of = np.unique(np.concatenate(rows), return_inverse=True)
    top, searches = np.concatenate(best), np.bincount(of)
    hits = {far: np.bincount(of, top >= calibration.strangers.threshold(far, size).score) for far in rates}
    found = bootstrap(lambda w: {str(far): float(w @ hit / (w @ searches)) for far, hit in hits.items()}, who)
    return {far: found[str(far)] for far in rates}


def show_strangers(found: dict[float, Interval]) -> None:
    """Print what was asked and what was measured."""
    table = Table(title="Strangers accepted per search", title_justify="left")
    for column in ("asked", "measured", "95 % interval"):
        table.add_column(column, justify="right")
    for far, i in found.items():
        table.add_row(f"{far:.0%}", f"{i.estimate:.1%}", f"{i.low:.1%} to {i.high:.1%}")
    Console().print(table)
