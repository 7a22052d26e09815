"""What calibration costs with few trials and a small prior: detection costs of the LLRs that `fit_calibration` finds.

Scores are Gaussian, of deviation 1, targets higher by `--slope`, so that the true LLR is known: slope times score, plus
an offset. A calibration is fitted to as many targets as nontargets, for the prior at which its LLRs then decide; its
actual detection cost over endlessly many trials follows from its threshold. Beside it stand the true LLR ("oracle"),
logistic regression without a penalty, and with a penalty of slopes towards 0 of weight one at every prior ("fixed").

    python recipes/benchmarks/penalty.py [--slope 3] [--seeds 50] [--json]
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from speechgmm.evaluation import Calibration, bayes_threshold, fit_calibration
from speechgmm.evaluation.roc import Application

PRIORS = (0.5, 0.1, 0.01, 0.001)
TRIALS = (50, 300, 3000)
"""Of each kind."""
WEAK = 1e-6
"""The weight of a penalty that is as good as none, but keeps slopes of separated scores finite."""

Fit = Callable[[Any, Any, float], Calibration]


def penalized(weight: float) -> Fit:
    """Return logistic regression with a penalty of such a weight, for standardized scores, at every prior."""

    def fit(scores: Any, target: Any, prior: float) -> Calibration:
        shares = len(scores) * np.where(target, prior / target.sum(), (1 - prior) / (~target).sum())
        center, spread = scores.mean(), scores.std()
        model = LogisticRegression(C=1 / weight, solver="newton-cholesky", tol=1e-8, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # separated scores, and next to no penalty
            model.fit(((scores - center) / spread)[:, None], target, sample_weight=shares)
        slope = model.coef_[0, 0] / spread
        return Calibration([slope], [model.intercept_[0] - slope * center + bayes_threshold(prior=prior)], [], [])

    return fit


FITS: dict[str, Fit] = {
    "no penalty": penalized(WEAK),
    "fixed": penalized(1.0),
    "ours": lambda scores, target, prior: fit_calibration(scores, target, prior=prior),
}


def cost(calibration: Calibration, prior: float, slope: float) -> float:
    """Return the normalized detection cost of decisions by LLRs, over endlessly many trials."""
    least = (bayes_threshold(prior=prior) - calibration.offsets[0]) / calibration.slopes[0]
    return float(Application(prior).cost(norm.cdf(least - slope), norm.sf(least)))


def measure(prior: float, trials: int, *, slope: float = 3.0, seeds: int = 50) -> dict[str, tuple[float, float]]:
    """Return the mean cost and the mean slope of each way to fit, by its name, and those of the true LLR."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in FITS}
    target = np.arange(2 * trials) < trials
    for seed in range(seeds):
        scores = np.random.default_rng(seed).normal(size=2 * trials) + slope * target
        for name, fit in FITS.items():
            calibration = fit(scores, target, prior)
            found[name].append((cost(calibration, prior, slope), float(calibration.slopes[0])))
    oracle = cost(Calibration([slope], [-(slope**2) / 2], [], []), prior, slope)
    means = {
        name: (float(np.mean([c for c, _ in rows])), float(np.mean([s for _, s in rows])))
        for name, rows in found.items()
    }
    return {"oracle": (oracle, slope), **means}


def main() -> None:
    """Measure every prior and number of trials, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slope", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    places = [(prior, trials) for prior in PRIORS for trials in TRIALS]
    rows = [(*place, measure(*place, slope=options.slope, seeds=options.seeds)) for place in places]
    if options.json:
        print(json.dumps([{"prior": prior, "trials": trials, "cost, slope": found} for prior, trials, found in rows]))
        return
    names = list(rows[0][-1])
    print(f"Mean detection cost, in brackets the mean slope; slope {options.slope:g}, {options.seeds} seeds.\n")
    print(f"| prior | trials of each kind | {' | '.join(names)} |")
    print("|" + "---|" * (2 + len(names)))
    for prior, trials, found in rows:
        cells = (f"{c:.4f} ({s:.2f})" for c, s in found.values())
        print(f"| {prior} | {trials} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
