"""How often 95 % intervals hold the truth: simulated tables of scores, whose rates among endless speakers are known.

Speakers are enrolled, and all of them and as many strangers are tested, four times each, against everybody enrolled. A
score has an effect of the model, one of the tested speaker, one of the test, and noise, Gaussian, of variance 1 in all;
targets are 3 higher. The truth is the rate in the population that such speakers come from: of detection rates as the
number of speakers grows, of searches among stores of the same size. It is read off a fine grid of quantiles, and off
many simulated stores.

    python recipes/benchmarks/interval_coverage.py [--repetitions 400] [--speakers 10 20 40] [--shares 0 0.3]
        [--tests 4] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import numpy as np
from scipy.stats import norm

from speechgmm.evaluation import Interval, Scores, actual_dcf, cllr, roc_hull
from speechgmm.evaluation.false_accepts import people_of
from speechgmm.evaluation.jackknife import detection_intervals, resampler, search_intervals
from speechgmm.evaluation.roc import Application
from speechgmm.evaluation.threshold_errors import search_rates, trial_rates

TESTS = 4
"""Of each speaker, where nothing else is said."""
HEIGHT = 3.0
"""How much higher targets are, in deviations."""
SPEAKER, TEST = 0.2, 0.15
"""Shares of the variance; what the models' share leaves is noise."""
APPLICATIONS = {f" {prior}": (Application(prior),) for prior in (0.5, 0.1, 0.01)}
FAR = 0.1
"""The share of strangers' searches for the open set: one in a hundred of a few dozen searches is nothing to count."""
THRESHOLD = 3.0
"""The LLR from which a trial or a search accepts somebody."""
TRIALS = 20_000_000
"""So many stand for all stores of one size."""


def draw(rng: np.random.Generator, speakers: int, share: float, tests: int = TESTS) -> np.ndarray:
    """Return LLRs of all tests against all models, (persons, tests, speakers); strangers come after the speakers."""
    people = 2 * speakers
    score = rng.normal(0, (1 - share - SPEAKER - TEST) ** 0.5, (people, tests, speakers))
    score += (
        rng.normal(0, share**0.5, speakers)
        + rng.normal(0, SPEAKER**0.5, (people, 1, 1))
        + rng.normal(0, TEST**0.5, (people, tests, 1))
    )
    same = np.arange(speakers)
    score[same, :, same] += HEIGHT
    return HEIGHT * score - HEIGHT**2 / 2


def table(llr: np.ndarray) -> Scores:
    """Return LLRs as a table of scores."""
    people, tests, speakers = np.indices(llr.shape).reshape(3, -1)
    names = np.array([f"p{i:04d}" for i in range(len(llr))])
    test = np.char.add(np.char.add(names, "-")[:, None], np.arange(llr.shape[1]).astype(str))
    return Scores(names[speakers], test[people, tests], llr.ravel(), people == speakers, test_speaker=names[people])


def detection_truth() -> dict[str, float]:
    """Return the detection rates of endlessly many speakers: whose share the variance is makes no difference."""
    quantiles = norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    pair = HEIGHT * (HEIGHT + quantiles) - HEIGHT**2 / 2, HEIGHT * quantiles - HEIGHT**2 / 2
    hull = roc_hull(*pair)
    found = {"eer": hull.eer(), "cllr": cllr(*pair), "min_cllr": hull.min_cllr()}
    found |= {"p_miss": float(np.mean(pair[0] < THRESHOLD)), "p_fa": float(np.mean(pair[1] >= THRESHOLD))}
    for name, (application,) in APPLICATIONS.items():
        found[f"min_dcf{name}"] = float(hull.costs(application).min())
        found[f"actual_dcf{name}"] = actual_dcf(*pair, prior=application.prior)
    return found


def search_truth(speakers: int, share: float, tests: int = TESTS) -> dict[str, float]:
    """Return the rates of searches among so many enrolled speakers, over many stores."""
    rng, known = np.random.default_rng(10**6), np.arange(speakers)
    owns, rivals, strangers = [], [], []
    for _ in range(TRIALS // (2 * tests * speakers**2)):
        llr = draw(rng, speakers, share, tests)
        owns.append(llr[known, :, known].ravel())
        llr[known, :, known] = -np.inf
        best = llr.max(axis=2)
        rivals.append(best[:speakers].ravel())
        strangers.append(best[speakers:].ravel())
    own, rival, stranger = map(np.concatenate, (owns, rivals, strangers))
    hit, threshold = own > rival, np.quantile(stranger, 1 - FAR)
    return {
        "identification_rate": float(hit.mean()),
        "open_set_rate": float((hit & (own >= threshold)).mean()),
        "strangers_accepted": float((np.concatenate([stranger, rival]) >= THRESHOLD).mean()),
        "owners_missed": float((~hit | (own < THRESHOLD)).mean()),
        "owners_mistaken": float((~hit & (rival >= THRESHOLD)).mean()),
    }


def intervals(scores: Scores, seed: int) -> Mapping[str, Interval]:
    """Return the 95 % intervals of a table."""
    sampler = resampler(scores, seed=seed)
    people = people_of(scores, sampler)
    at_threshold = trial_rates(scores, people, THRESHOLD) | search_rates(scores, people, THRESHOLD)[0]
    return detection_intervals(sampler, APPLICATIONS) | search_intervals(sampler, FAR) | at_threshold


def coverage(speakers: int, share: float, repetitions: int, tests: int = TESTS) -> dict[str, dict[str, float]]:
    """Return by rate the truth, the share of the intervals that hold it, that lie above it, and the mean width."""
    truth = detection_truth() | search_truth(speakers, share, tests)
    tables = (table(draw(np.random.default_rng(seed), speakers, share, tests)) for seed in range(repetitions))
    found = [intervals(scores, seed) for seed, scores in enumerate(tables)]
    rows = {}
    for name, true in truth.items():
        low, high = (np.array([getattr(one[name], end) for one in found]) for end in ("low", "high"))
        rows[name] = {
            "truth": true,
            "coverage": float(np.mean((low <= true) & (true <= high))),
            "above": float(np.mean(low > true)),
            "width": float(np.mean(high - low)),
        }
    return rows


def main() -> None:
    """Measure every number of speakers and share of the models, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--speakers", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.3], help="of the variance, in models")
    parser.add_argument("--tests", type=int, default=TESTS, help="of each speaker")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    places = [(speakers, share) for speakers in options.speakers for share in options.shares]
    found = [coverage(*place, options.repetitions, options.tests) for place in places]
    if options.json:
        rows = [{"speakers": n, "share": s, "rates": rates} for (n, s), rates in zip(places, found, strict=True)]
        print(json.dumps(rows))
        return
    print(f"Coverage and, in brackets, mean width of 95 % intervals; {options.repetitions} repetitions.\n")
    print("| rate | " + " | ".join(f"{n} speakers, {100 * share:g} % in models" for n, share in places) + " |")
    print("|" + "---|" * (1 + len(places)))
    for name in found[0]:
        cells = (f"{100 * rates[name]['coverage']:.1f} ({rates[name]['width']:.3f})" for rates in found)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
