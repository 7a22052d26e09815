"""How often a rate of strangers is right that is not called extrapolated: simulated backgrounds, whose truth is known.

People of a background are divided into folds and fill simulated stores, as in training (`speakers/held_out.py`); the
others of a fold search these, twice each. A score has an effect of the model, one of the tested person (`PERSON` of the
variance), one of the pair of both, and noise. From the searches follow thresholds for some rates, among as many people
as a store holds and among 20 and 50; the true rate of each is that of searches by new people among new people. Right
is what lies within a factor of two of what was asked.

    python recipes/benchmarks/flags.py [--repetitions 20] [--people 20 40 60] [--shares 0 0.1 0.3 0.5] [--json]

Beside it stands what is right where all searches count as independent.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from speechgmm.evaluation.thresholds import fit_strangers
from speechgmm.speakers.held_out import LEAST_DRAWS, SEARCHES, store_sizes
from speechgmm.speakers.train_calibration import FOLDS

PERSON = 0.1
"""The share of the variance that is the tested person's; half of what is left is the pair's, the rest is noise."""
TESTS = 2
"""Of each person in each store."""
RATES = (0.01, 0.05, 0.1, 0.2)
MORE = (20, 50)
"""Numbers of people beyond those of simulated stores."""
TRIALS = 2_000_000
"""So many stand for all searches of one size."""


def background(people: int, share: float, rng: np.random.Generator) -> dict[int, dict[str, list[Any]]]:
    """Return the searches of simulated stores by their size, as `fit_strangers` takes them."""
    model, tested = rng.normal(0, share**0.5, people), rng.normal(0, PERSON**0.5, people)
    left = ((1 - share - PERSON) / 2) ** 0.5
    pair = rng.normal(0, left, (people, people))
    found: dict[int, dict[str, list[Any]]] = {}
    for fold in np.array_split(rng.permutation(people), FOLDS):
        for size in store_sizes(len(fold)):
            kept = found.setdefault(size, {"searches": [], "tested": [], "models": []})
            draws = -(-SEARCHES // ((len(fold) - size) * TESTS))
            for _ in range(max(LEAST_DRAWS, min(draws, 2 * len(fold)))):
                order = rng.permutation(fold)
                for test in np.repeat(order[size:], TESTS):
                    own = order[:size]
                    kept["searches"].append(model[own] + tested[test] + pair[own, test] + rng.normal(0, left, size))
                    kept["tested"].append(test)
                    kept["models"].append(own)
    return found


@functools.cache
def strangers(size: int, share: float) -> np.ndarray:
    """Return the best scores of new people among so many new people, ascending."""
    rng = np.random.default_rng(size)
    shape = (TRIALS // size, size)
    best = (rng.normal(0, share**0.5, shape) + rng.normal(0, (1 - share - PERSON) ** 0.5, shape)).max(axis=1)
    return np.asarray(np.sort(best + rng.normal(0, PERSON**0.5, len(best))))


def asked(people: int, share: float, seed: int) -> Iterator[dict[str, bool]]:
    """Yield for each size and rate whether the threshold is right, and whether it is flagged, by people and without."""
    stores = background(people, share, np.random.default_rng([people, round(100 * share), seed]))
    for size, searches in stores.items():
        known, plain = fit_strangers(**searches), fit_strangers(searches["searches"])
        for among in (size, *(m for m in MORE if size == max(stores) < m)):
            truth = strangers(among, share)
            for far in RATES:
                limit = known.threshold(far, among)
                true = 1 - np.searchsorted(truth, limit.score) / len(truth)
                alone = plain.threshold(far, among).extrapolated
                yield {"right": bool(far / 2 < true < 2 * far), "flagged": limit.extrapolated, "alone": alone}


def measure(people: int, share: float, repetitions: int) -> dict[str, float]:
    """Return the shares of thresholds that are flagged, and that are right where they are not."""
    rows = [row for seed in range(repetitions) for row in asked(people, share, seed)]
    right, flagged, alone = (np.array([row[name] for row in rows]) for name in ("right", "flagged", "alone"))
    return {
        "flagged": float(flagged.mean()),
        "right": float(right[~flagged].mean()) if not flagged.all() else float("nan"),
        "flagged if independent": float(alone.mean()),
        "right if independent": float(right[~alone].mean()) if not alone.all() else float("nan"),
    }


def main() -> None:
    """Measure every number of people and share of the models, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--people", type=int, nargs="+", default=[20, 40, 60])
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.0, 0.1, 0.3, 0.5], help="of the variance, in models"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = [{"people": n, "share": s, **measure(n, s, given.repetitions)} for n in given.people for s in given.shares]
    if given.json:
        print(json.dumps(found))
        return
    print("| people | % in models | flagged, % | right of the others, % | if independent: flagged, % | right, % |")
    print("|---|---|---|---|---|---|")
    for row in found:
        told = (f"{100 * row[n]:.0f}" for n in ("flagged", "right", "flagged if independent", "right if independent"))
        print(f"| {row['people']} | {100 * row['share']:g} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
