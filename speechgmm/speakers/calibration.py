"""Calibration at training time: cross-fitting over folds of background speakers, then a cohort for the final UBM.

The speakers of a fold are scored by a UBM that was trained on the other folds alone, with a cohort of people whom it
knows: just as the final UBM and its cohort will meet strangers. All folds together fit the calibration. The error
rates are measured fold by fold, each with a calibration fitted on the others. Symbols: T trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation import Scores, bootstrap, cllr, eer, min_cllr
from speechgmm.evaluation.calibration import Calibration, fit_calibration
from speechgmm.evaluation.intervals import detection_intervals, resampler
from speechgmm.evaluation.thresholds import Strangers, fit_strangers
from speechgmm.features import TrainingFrames
from speechgmm.mixture import GMM
from speechgmm.parallel import Mapper
from speechgmm.speakers.decision import SystemCalibration
from speechgmm.speakers.held_out import HeldOutTrials, adapt_cohort, divide, score_held_out
from speechgmm.speakers.system import System

Array = NDArray[Any]

__all__ = ["LEAST_SPEAKERS", "calibrate"]

FOLDS = 4
LEAST_SPEAKERS = 20
"""With fewer, a fold has no five speakers to search among."""
MOST_SPEAKERS = 128
"""More are not scored: it would cost time, and the tail is known well enough."""
PRIOR = 0.1
"""Share of the targets' weight: acceptance is decided among high scores, and strangers are many."""
RATES = (0.01, 0.05, 0.1)
"""False accepts per search, at which the calibration is measured."""
_REPLICATES = 200


def calibrate(
    system: System,
    frames: TrainingFrames,
    train_ubm: Callable[[Any, str], GMM],
    *,
    mapper: Mapper,
    seed: int = 0,
) -> SystemCalibration | None:
    """Return a calibration for a system, or None where too few background speakers can be enrolled and tested.

    Parameters
    ----------
    system : System
        With the final UBM.
    frames : TrainingFrames
        What that was trained on.
    train_ubm : callable
        Given blocks and the name of the stage, it returns a UBM: of the folds.
    mapper : callable
        Shaped like the builtin `map`.
    seed : int
        For the division into folds and parts, and the choice of the cohort.
    """
    held_out = divide(frames, system.frontend, least=LEAST_SPEAKERS, seed=seed)
    if not held_out.speakers:
        return None
    chosen = np.random.default_rng(seed).permutation(sorted(held_out.speakers))[:MOST_SPEAKERS].tolist()
    folds = [chosen[i::FOLDS] for i in range(FOLDS)]
    trials = []
    for i, fold in enumerate(folds, 1):
        ubm = train_ubm(frames.without(set(fold)), f"fold {i} of {FOLDS}")
        partial = System(system.frontend, ubm, system.relevance)
        cohort = adapt_cohort(partial, frames, leave_out=frozenset(fold), mapper=mapper, seed=seed)
        material = [m for s in sorted(fold) for m in held_out.speakers[s]]
        trials.append(score_held_out(partial, material, cohort, mapper))
    llr, strangers, least = _fit(trials)
    cohort = adapt_cohort(system, frames, mapper=mapper, seed=seed)
    offsets = (cohort.offsets - system.ubm.offsets).astype(np.float32)
    return SystemCalibration(offsets, llr, strangers, least, _measure(trials, held_out.by, seed))


def _fit(trials: Sequence[HeldOutTrials]) -> tuple[Calibration, Strangers, float]:
    """Return the map to LLRs, how high strangers come, and the least speech in a test."""
    used = [t.target | t.impostor for t in trials]
    scores, amounts, target = (
        np.concatenate([getattr(t, name)[u] for t, u in zip(trials, used, strict=True)])
        for name in ("scores", "amounts", "target")
    )
    llr = fit_calibration(scores, target, amounts, prior=PRIOR)
    searches = [row for t in trials for row in _searches(t, llr)]
    least = min(float(t.seconds.min()) for t in trials)
    return llr, fit_strangers(searches), least


def _searches(t: HeldOutTrials, llr: Calibration) -> list[Array]:
    """Return the LLRs of each test against all speakers of its fold but its own."""
    values, wanted = llr(t.scores, t.amounts), t.search & t.impostor
    return [values[wanted[:, u], u] for u in range(values.shape[1])]


def _measure(trials: Sequence[HeldOutTrials], by: str, seed: int) -> dict[str, Any]:
    """Return the error rates of each fold under the calibration of the others, with intervals over speakers."""
    found = [_answers(t, _fit([x for x in trials if x is not t])[:2]) for t in trials]
    enrolled, tested, test, llr, target = (np.concatenate([f[0][i] for f in found]) for i in range(5))
    searched = {k: np.concatenate([f[1][k] for f in found]) for k in found[0][1]}
    table = Scores(enrolled, test, llr, target.astype(np.int8), test_speaker=tested)
    intervals = detection_intervals(resampler(table, replicates=_REPLICATES, seed=seed), {})
    targets, impostors = llr[target], llr[~target]
    rates = {"eer": eer(targets, impostors), "cllr": cllr(targets, impostors), "min_cllr": min_cllr(targets, impostors)}
    names = np.concatenate([t.tested for t in trials])
    return {
        "by": by,
        "speakers": len(set(names.tolist())),
        "enrolled": round(float(np.mean([len(set(t.enrolled.tolist())) for t in trials]))),
        "tests": len(names),
        "seconds": [round(float(q), 2) for q in np.quantile(np.concatenate([t.seconds for t in trials]), (0, 0.5, 1))],
        "intervals": "95 %, by bootstrap over speakers",
        **{name: [value, intervals[name].low, intervals[name].high] for name, value in rates.items()},
        "per_search": [_rates(far, searched, names, seed) for far in RATES],
    }


def _answers(t: HeldOutTrials, fitted: tuple[Calibration, Strangers]) -> tuple[tuple[Array, ...], dict[str, Array]]:
    """Return the trials of one fold's searches, and whether each test is accepted with and without its own speaker."""
    llr, strangers = fitted
    values = llr(t.scores, t.amounts)
    m, u = np.nonzero(t.search & (t.target | t.impostor))
    name = np.char.add(np.char.add(t.tested, "/"), np.arange(len(t.tested)).astype(str))
    rows = (t.enrolled[m], t.tested[u], name[u], values[m, u], t.target[m, u])
    accepted: dict[str, Array] = {}
    best = np.where(t.search & t.impostor, values, -np.inf).max(axis=0)
    own = np.where(t.search & t.target, values, -np.inf).max(axis=0)
    for far in RATES:
        rivals = (t.search & t.impostor).sum(axis=0)
        threshold = np.array([strangers.threshold(far, int(n)).score for n in rivals])
        with_own = np.array([strangers.threshold(far, int(n) + 1).score for n in rivals])
        accepted[f"stranger {far}"] = best >= threshold
        accepted[f"right {far}"] = (own >= with_own) & (own > best)
    return rows, accepted


def _rates(far: float, accepted: Mapping[str, Array], names: Array, seed: int) -> dict[str, float]:
    """Return how often strangers are accepted where `far` is asked, and how often the enrolled are not found."""
    strangers, right = accepted[f"stranger {far}"], accepted[f"right {far}"]
    interval = bootstrap(lambda w: {"far": float(w @ strangers / w.sum())}, names, replicates=_REPLICATES, seed=seed)
    measured = interval["far"]
    return {
        "asked": far,
        "measured": measured.estimate,
        "low": measured.low,
        "high": measured.high,
        "missed": float(1 - right.mean()),
    }
