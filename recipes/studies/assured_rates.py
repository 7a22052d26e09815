"""Are intervals of strangers' rates, and the rates that a calibration assures, true? Simulated scores of known rates.

Tables of tests against models, all normal; a share of the variance belongs to a model, whoever is tested, another to
whoever is tested. First, at the true threshold for 10 % of searches: how often the 95 % interval of the counted share
holds these 10 %, and how often one by a bootstrap over tested speakers does. Then `calibrate_scores`: how often the
interval that it measured on held-out speakers holds the asked rate, how many of its thresholds it assures, and what is
true of these: how often the rate of other people is at most twice, and at least half, of what was asked.

    python recipes/studies/assured_rates.py [--tables 100]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from speechgmm.evaluation import Scores, Threshold, bootstrap, calibrate_scores
from speechgmm.evaluation.false_accepts import count_false_accepts, impostors_of, people_of
from speechgmm.evaluation.shares import Attempts

SPEAKERS = (10, 20, 40)
SHARES = ((0.0, 0.0), (0.3, 0.1), (0.4, 0.3))
"""Of the variance: in the models, and in the tested speakers."""
TESTS, FAR, DRAWS = 4, 0.1, 20_000


class Fixed:
    """The same threshold whatever is asked."""

    def __init__(self, score: float) -> None:
        self.score = score

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        """Return it."""
        return Threshold(self.score, False)


def simulated(speakers: int, shares: tuple[float, float], rng: np.random.Generator) -> Scores:
    """Return the scores of everybody's tests against everybody's models."""
    of_models, of_tested = shares
    who = np.repeat(np.arange(speakers), TESTS)
    score = np.sqrt(1 - sum(shares)) * rng.normal(size=(len(who), speakers))
    score += np.sqrt(of_models) * rng.normal(size=speakers)
    score += np.sqrt(of_tested) * rng.normal(size=speakers)[who][:, None]
    own = who[:, None] == np.arange(speakers)
    test, model = (i.ravel() for i in np.indices(score.shape))
    names = np.array([f"p{i}" for i in range(speakers)])
    return Scores(
        names[model],
        np.array([f"t{i}" for i in range(len(who))])[test],
        (score + 4 * own).ravel(),
        own.ravel(),
        test_speaker=names[who[test]],
    )


def best_of(speakers: int, shares: tuple[float, float]) -> np.ndarray:
    """Return many best scores of searches for strangers among so many, all of other people."""
    rng = np.random.default_rng(0)
    rest = np.sqrt(1 - shares[1]) * rng.normal(size=(DRAWS, speakers)).max(axis=1)
    return np.asarray(rest + np.sqrt(shares[1]) * rng.normal(size=DRAWS))


def by_tested(attempts: Attempts, threshold: float) -> tuple[float, float]:
    """Return the interval of a bootstrap over tested speakers."""
    hit = attempts.best >= threshold
    found = bootstrap(lambda w: {"far": w @ hit / w.sum()}, attempts.tested.astype(str), replicates=200)["far"]
    return found.low, found.high


def run(
    tables: int, speakers: Sequence[int] = SPEAKERS, shares: Sequence[tuple[float, float]] = SHARES
) -> dict[tuple[int, tuple[float, float]], dict[str, float]]:
    """Print and return what is true of so many tables of each kind, as shares."""
    found = {(n, share): _one(tables, n, share) for n in speakers for share in shares}
    shown = Table("speakers", "variance in models, tested", *next(iter(found.values())))
    for (n, (of_models, of_tested)), row in found.items():
        shown.add_row(str(n), f"{of_models:g}, {of_tested:g}", *(f"{value:.2f}" for value in row.values()))
    Console(width=160).print(shown)
    return found


def _one(tables: int, speakers: int, shares: tuple[float, float]) -> dict[str, float]:
    best = {n: best_of(n, shares) for n in (1, speakers - 1, speakers)}
    true = float(np.quantile(best[speakers - 1], 1 - FAR))
    counts: dict[str, list[bool]] = {n: [] for n in ("counted", "by bootstrap", "held out", "assured", "twice", "half")}
    for seed in range(tables):
        scores = simulated(speakers, shares, np.random.default_rng([speakers, seed]))
        impostors = impostors_of(scores, people_of(scores))
        ends = count_false_accepts([(impostors, Fixed(true))], [FAR])[-1].accepted
        low, high = by_tested(impostors.searches(), true)
        counts["counted"].append(ends.low <= FAR <= ends.high)
        counts["by bootstrap"].append(low <= FAR <= high)
        made = calibrate_scores(scores, replicates=20)
        counts["held out"] += [f.accepted.low <= f.far <= f.accepted.high for f in made.held_out.false_accepts]
        for t in made.thresholds():
            counts["assured"].append(t.assured)
            if t.assured:
                rate = np.mean(best[t.speakers] >= t.score)
                counts["twice"].append(bool(rate <= 2 * t.far))
                counts["half"].append(bool(rate >= t.far / 2))
    return {name: float(np.mean(values)) if values else np.nan for name, values in counts.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=100)
    run(parser.parse_args().tables)
