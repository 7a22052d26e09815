"""What searches of strangers and of owners show: rates, what an oracle's threshold would do, accuracy, and a verdict.

A *half* enrolls N speakers of a corpus; everybody else is a stranger. All tests are scored against the N: those of
strangers should be accepted as often as was asked, those of owners be found. Rates are pooled over halves, intervals
draw the speakers of the tests anew. Symbols: T tests, N enrolled, R rates.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation import Interval, bootstrap
from speechgmm.evaluation.intervals import weigh
from speechgmm.evaluation.roc import hull_of_counts

__all__ = ["Half", "accepted", "accuracy", "judged", "missed", "oracle", "oracles_by_half", "worse"]

Array = NDArray[Any]

LEAST_ENROLLED = 5
"""Rates are promised from so many on."""
LEAST_STRANGERS = 15
"""With fewer nobody can tell whether a rate is too low."""
MOST = {0.01: 0.03, 0.05: 0.1, 0.1: 0.2}
"""Of strangers accepted, by the rate that was asked."""
MARGIN = {0.01: 0.15, 0.05: 0.1, 0.1: 0.1}
"""By how much misses may exceed those of the oracle."""
REPLICATES = 300
"""Draws of the bootstrap over paired accuracies; rates take 1000."""


@dataclass(frozen=True, eq=False)
class Half:
    """The searches of one half.

    Parameters
    ----------
    enrolled : tuple of str
        N speakers.
    speaker : ndarray of str, shape (T,)
        Who speaks in each test.
    scores : ndarray, shape (T, N)
    limits : ndarray, shape (R,)
        The thresholds for the rates that are asked; NaN where nothing is decided.
    """

    enrolled: tuple[str, ...]
    speaker: Array
    scores: Array
    limits: Array

    @property
    def target(self) -> Array:
        """Which trials are of an owner's test against themselves, (T, N)."""
        return np.asarray(self.speaker[:, None] == np.array(self.enrolled))

    @property
    def owners(self) -> Array:
        """Which tests are of somebody who is enrolled, (T,)."""
        return np.asarray(np.isin(self.speaker, self.enrolled))

    @property
    def best(self) -> Array:
        """The best score of each test, (T,)."""
        return np.asarray(self.scores.max(axis=1))

    @property
    def found(self) -> Array:
        """Which tests have their speaker as the best, (T,)."""
        return np.asarray(np.array(self.enrolled)[self.scores.argmax(axis=1)] == self.speaker)

    def of_tests(self, places: Sequence[int]) -> Half:
        """Return the searches of some of the tests."""
        return replace(self, speaker=self.speaker[list(places)], scores=self.scores[list(places)])

    def stored(self) -> dict[str, Any]:
        """Return it in types that JSON holds, without the speakers of the tests."""
        raw = base64.b64encode(self.scores.astype("<f4").tobytes()).decode()
        return {"enrolled": list(self.enrolled), "scores": raw, "limits": [float(x) for x in self.limits]}

    @classmethod
    def of(cls, stored: Mapping[str, Any], speaker: Sequence[str]) -> Half:
        """Return what was stored."""
        flat = np.frombuffer(base64.b64decode(stored["scores"]), dtype="<f4").astype(np.float64)
        scores, limits = flat.reshape(len(speaker), -1), np.array(stored["limits"], dtype=np.float64)
        return cls(tuple(stored["enrolled"]), np.array(speaker), scores, limits)


def accepted(halves: Sequence[Half], thresholds: Sequence[float]) -> Interval:
    """Return the share of strangers' tests that reach the threshold of their half, with its interval."""
    who = np.concatenate([h.speaker[~h.owners] for h in halves])
    hit = np.concatenate([h.best[~h.owners] >= limit for h, limit in zip(halves, thresholds, strict=True)])
    people, code = np.unique(who, return_inverse=True)
    hits, tests = np.bincount(code, hit), np.bincount(code)
    if len(people) < 2:
        share = float(hits.sum() / tests.sum())
        return Interval(share, 0.0, 1.0, 0.95)
    return bootstrap(lambda w: {"far": float(w @ hits / max(w @ tests, 1.0))}, people)["far"]


def missed(halves: Sequence[Half], thresholds: Sequence[float]) -> float:
    """Return the share of owners' tests that are not found: another is the best, or the threshold is not reached."""
    found = [h.found[h.owners] & (h.best[h.owners] >= t) for h, t in zip(halves, thresholds, strict=True)]
    return float(1.0 - np.concatenate(found).mean())


def oracle(halves: Sequence[Half], rate: float) -> float:
    """Return the one threshold that accepts exactly this share of the strangers' searches of all halves."""
    return float(np.quantile(np.concatenate([h.best[~h.owners] for h in halves]), 1.0 - rate, method="hazen"))


def oracles_by_half(halves: Sequence[Half], rate: float) -> list[float]:
    """Return a threshold for each half that accepts exactly this share of its strangers' searches."""
    return [oracle([h], rate) for h in halves]


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


def accuracy(halves: Sequence[Half], others: Sequence[Half]) -> dict[str, Interval]:
    """Return EERs against strangers and against enrolled impostors, and the share identified, beside those of others.

    Each is the mean over halves; `NAME change` is what `halves` have more than `others`, which are the same halves
    scored in another way. A name is left out where there are no such trials, or too few speakers for an interval.
    """
    people = np.unique(np.concatenate([h.speaker for h in halves]))
    names = ["eer_strangers", "eer_enrolled", "identified"]
    ways = [
        [[_eer(h, people, among) for h in side] for side in (halves, others)] for among in ("strangers", "enrolled")
    ]
    ways.append([[_identified(h, people) for h in side] for side in (halves, others)])
    found: dict[str, Interval] = {}
    for name, sides in zip(names, ways, strict=True):
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
    signs = {"eer_strangers": 1, "eer_enrolled": 1, "identified": -1}
    changes = {name: found.get(f"{name} change") for name in signs}
    ends = {name: (i.low if signs[name] > 0 else -i.high) for name, i in changes.items() if i is not None}
    return [name for name, end in ends.items() if end > 0]


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
