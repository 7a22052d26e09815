"""What searches of strangers and of owners show beside rates: a verdict, and accuracy beside other scores.

Symbols: T tests, N enrolled, P persons.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from halves import Half
from numpy.typing import NDArray

from speechgmm.evaluation import Interval, bootstrap
from speechgmm.evaluation.intervals import weigh
from speechgmm.evaluation.roc import hull_of_counts

__all__ = ["ACCURACIES", "accuracy", "better", "judged", "loaded", "stored", "worse"]

Array = NDArray[Any]

LEAST_ENROLLED = 5
"""Rates are promised from so many on."""
LEAST_STRANGERS = 15
"""With fewer nobody can tell whether a rate is too low."""
MOST = {0.01: 0.03, 0.05: 0.1, 0.1: 0.2}
"""Of strangers accepted, by the rate that was asked."""
MARGIN = {0.01: 0.15, 0.05: 0.1, 0.1: 0.1}
"""By how much misses may exceed those of the oracle."""
ACCURACIES = {"eer_strangers": 1, "eer_enrolled": 1, "identified": -1}
"""What `accuracy` tells, and whether more is worse (1) or better (-1)."""
REPLICATES = 300
"""Draws of the bootstrap over accuracies."""


def stored(half: Half) -> dict[str, Any]:
    """Return a half in types that JSON holds, without the speakers of the tests."""
    raw = base64.b64encode(half.scores.astype("<f4").tobytes()).decode()
    limits = [None if np.isnan(x) else float(x) for x in half.limits]
    return {"enrolled": list(half.enrolled), "scores": raw, "limits": limits}


def loaded(told: Mapping[str, Any], speaker: Sequence[str], places: Sequence[int]) -> Half:
    """Return what was stored, of the tests at these places, given who speaks in each test."""
    flat = np.frombuffer(base64.b64decode(told["scores"]), dtype="<f4").astype(np.float64)
    scores, limits = flat.reshape(len(speaker), -1), np.array(told["limits"], dtype=np.float64)
    return Half(tuple(told["enrolled"]), np.array(speaker)[list(places)], scores[list(places)], limits)


def judged(share: Interval, misses: float, oracle_misses: float, rate: float, enrolled: int, strangers: int) -> str:
    """Return "ok", or what is wrong: "too many", "too few", "misses"; "-" where nothing is promised.

    Too few are accepted where the whole interval is below half of what was asked, and strangers are enough to tell.
    """
    if enrolled < LEAST_ENROLLED:
        return "-"
    wrong = []
    if share.estimate > MOST[rate]:
        wrong.append("too many")
    if strangers >= LEAST_STRANGERS and share.high < rate / 2:
        wrong.append("too few")
    if misses > oracle_misses + MARGIN[rate]:
        wrong.append("misses")
    return ", ".join(wrong) or "ok"


def accuracy(
    halves: Sequence[Half], others: Sequence[Half], names: Collection[str] = ACCURACIES
) -> dict[str, Interval]:
    """Return EERs against strangers and against enrolled impostors, and the share identified, beside those of others.

    Each is the mean over halves; `NAME change` is what `halves` have more than `others`, which are the same halves
    scored in another way. Only what `names` asks for is told, and not where there are no such trials.
    """
    people = np.unique(np.concatenate([h.speaker for h in halves]))
    measures: dict[str, Callable[[Half], Callable[[Array], float] | None]] = {
        "eer_strangers": lambda h: _eer(h, people, "strangers"),
        "eer_enrolled": lambda h: _eer(h, people, "enrolled"),
        "identified": lambda h: _identified(h, people),
    }
    found: dict[str, Interval] = {}
    for name in names:
        sides = [[measures[name](h) for h in side] for side in (halves, others)]
        if any(measure is None for side in sides for measure in side):
            continue

        def both(times: Array, sides: Any = sides, name: str = name) -> dict[str, float]:
            ours, theirs = (np.array([measure(times) for measure in side]) for side in sides)
            usable = ~np.isnan(ours) & ~np.isnan(theirs)
            if not usable.any():
                return dict.fromkeys((name, f"{name} before", f"{name} change"), np.nan)
            a, b = float(ours[usable].mean()), float(theirs[usable].mean())
            return {name: a, f"{name} before": b, f"{name} change": a - b}

        found |= bootstrap(both, people, replicates=REPLICATES)
    return found


def worse(found: Mapping[str, Interval]) -> list[str]:
    """Return in what `accuracy` the whole interval of the change is on the worse side."""
    return [name for name, (low, _) in _worsened(found).items() if low > 0]


def better(found: Mapping[str, Interval]) -> list[str]:
    """Return in what `accuracy` the whole interval of the change is on the better side."""
    return [name for name, (_, high) in _worsened(found).items() if high < 0]


def _worsened(found: Mapping[str, Interval]) -> dict[str, tuple[float, float]]:
    """Return the interval by how much each accuracy is worse."""
    changes = {name: found[f"{name} change"] for name in ACCURACIES if f"{name} change" in found}
    return {name: (i.low, i.high) if ACCURACIES[name] > 0 else (-i.high, -i.low) for name, i in changes.items()}


def _eer(half: Half, people: Array, among: str) -> Callable[[Array], float] | None:
    """Return what gives the EER by how often each person is drawn, (P,); None without impostors of this kind."""
    target, owners = half.target, half.owners
    impostor = ~target & (owners if among == "enrolled" else ~owners)[:, None]
    if not (target.any() and impostor.any()):
        return None
    tested, enrolled = np.searchsorted(people, half.speaker), np.searchsorted(people, half.enrolled)
    kinds = []
    for mask in (target, impostor):
        t, n = np.nonzero(mask)
        order = np.argsort(half.scores[t, n], kind="stable")
        kinds.append((half.scores[t, n][order], tested[t[order]], enrolled[n[order]]))
    thresholds = np.unique(np.append(kinds[0][0], kinds[1][0][:1]))  # where the hull of the ROC can have a vertex
    places = [np.append(np.searchsorted(scores, thresholds), len(scores)) for scores, _, _ in kinds]
    thresholds = np.append(thresholds, np.inf)

    def eer(times: Array) -> float:
        drawn = times.astype(np.int64)
        below = [np.append(0, np.cumsum(weigh(drawn, first, last))) for _, first, last in kinds]
        if not all(total[-1] for total in below):
            return float("nan")
        return hull_of_counts(thresholds, *(total[p] for total, p in zip(below, places, strict=True))).eer()

    return eer


def _identified(half: Half, people: Array) -> Callable[[Array], float] | None:
    """Return what gives the share of owners' tests with their speaker as the best, by how often each is drawn."""
    who, right = np.searchsorted(people, half.speaker[half.owners]), half.found[half.owners]
    tests, rights = (np.bincount(who, x, minlength=len(people)) for x in (np.ones(len(who)), right))
    return lambda times: float(times @ rights / (times @ tests)) if times @ tests > 0 else float("nan")
