"""Generated shoppers for `customers.py`: five segments that overlap, asked in a survey that not all answer in full."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm.mixture import GMM, Full

__all__ = ["ANSWERS", "NEW", "SEGMENTS", "Survey", "ask", "truth"]

ANSWERS = ("age", "income (EUR a year)", "visits a month", "basket (EUR)")
SEGMENTS = {  # share, then median and spread of each answer; spreads of all but age are factors
    "students": (0.15, (22, 3), (11_000, 1.35), (9.0, 1.5), (9, 1.5)),
    "young families": (0.25, (35, 4), (46_000, 1.3), (6.0, 1.4), (85, 1.35)),
    "busy singles": (0.20, (33, 6), (58_000, 1.35), (14.0, 1.4), (16, 1.4)),
    "savers": (0.25, (57, 8), (27_000, 1.35), (10.0, 1.35), (24, 1.4)),
    "connoisseurs": (0.15, (54, 8), (92_000, 1.4), (2.5, 1.5), (120, 1.6)),
}

NEW = {
    "A": (24, np.nan, 8, 11),
    "B": (38, 52_000, np.nan, 60),
    "C": (45, np.nan, np.nan, 20),
    "D": (61, 80_000, 2, 150),
}
"""New customers; what is nan they did not say."""


@dataclass(frozen=True)
class Survey:
    """Answers (N, 4), money and visits as logarithms, nan where there is none; weights and true segments (N,)."""

    answers: NDArray[np.float64]
    weights: NDArray[np.float64]
    segments: NDArray[np.int64]


def truth() -> GMM:
    """Return the segments; in each, who earns more shops more rarely and buys more."""
    deviations = np.array([[a[1], *np.log([x[1] for x in rest])] for _, a, *rest in SEGMENTS.values()])
    together = np.array([[1, 0.3, 0, 0], [0.3, 1, -0.4, 0.5], [0, -0.4, 1, -0.6], [0, 0.5, -0.6, 1]])
    means = [[a[0], *np.log([x[0] for x in rest])] for _, a, *rest in SEGMENTS.values()]
    shares = [share for share, *_ in SEGMENTS.values()]
    return GMM(shares, means, Full(deviations[:, :, None] * together * deviations[:, None]))


def ask(n: int, seed: int) -> Survey:
    """Return the answers of some n of 2 n people: those under 35 answer twice as often as the others."""
    rng = np.random.default_rng(seed)
    people = truth().sample(2 * n, rng)
    chance = np.where(people.frames[:, 0] < 35, 0.8, 0.4)
    here = rng.random(2 * n) < chance
    silent = rng.random((2 * n, 4)) < [0.1, 0.33, 0.1, 0.1]
    weights = 1 / chance[here]
    return Survey(np.where(silent, np.nan, people.frames)[here], weights / weights.mean(), people.components[here])
