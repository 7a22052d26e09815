"""Calibration at training time: cross-fitting over folds of background speakers, then a cohort for the final UBM.

The speakers of a fold are scored by a UBM that was trained on the other folds alone, with a cohort of people whom it
knows: just as the final UBM and its cohort will meet strangers. All folds together fit the calibration. The error
rates are measured fold by fold, each with a calibration fitted on the others. Symbols: T trials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.evaluation import Scores, bootstrap, cllr, eer, min_cllr
from speechgmm.evaluation.calibration import fit_calibration
from speechgmm.evaluation.intervals import detection_intervals, resampler
from speechgmm.evaluation.thresholds import fit_strangers
from speechgmm.features import TrainingFrames
from speechgmm.mixture import GMM
from speechgmm.speakers.calibration import SystemCalibration
from speechgmm.speakers.held_out import HeldOutTrials, adapt_cohort, divide, score_held_out
from speechgmm.speakers.system import System

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
    n_threads: int | None = None,
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
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
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
        cohort = adapt_cohort(partial, frames, leave_out=frozenset(fold), n_threads=n_threads, seed=seed)
        material = [m for s in sorted(fold) for m in held_out.speakers[s]]
        trials.append(score_held_out(partial, material, cohort, n_threads=n_threads))
    cohort = adapt_cohort(system, frames, n_threads=n_threads, seed=seed)
    fitted = _fit(trials, cohort.offsets - system.ubm.offsets)
    measured = {"by": held_out.by, **_measure(trials, fitted.cohort, seed)}
    return replace(fitted, measured=measured)


@dataclass(frozen=True, eq=False)
class _Searches:
    """The trials (n,) of a fold's U searches, and of each search at each of R rates, whether the best is accepted.

    `stranger` and `right` are of shape (R, U): without the test's own speaker, and with them, if they are the best.
    """

    enrolled: Array
    tested: Array
    test: Array
    llr: Array
    target: Array
    stranger: Array
    right: Array


def _fit(trials: Sequence[HeldOutTrials], cohort: Array) -> SystemCalibration:
    """Return the calibration of these trials, with the cohort of the system that it is for."""
    used = [t.target | t.impostor for t in trials]
    scores, amounts, target = (
        np.concatenate([getattr(t, name)[u] for t, u in zip(trials, used, strict=True)])
        for name in ("scores", "amounts", "target")
    )
    llr = fit_calibration(scores, target, amounts, prior=PRIOR)
    searches = []  # of each test among all speakers of its fold but its own
    for t in trials:
        values, wanted = llr(t.scores, t.amounts), t.search & t.impostor
        searches += [values[wanted[:, u], u] for u in range(values.shape[1])]
    least = min(float(t.speech_seconds.min()) for t in trials)
    usual = float(np.median(_column(trials, "enroll_seconds")))
    return SystemCalibration(cohort, llr, fit_strangers(searches), least, usual_seconds=usual)


def _measure(trials: Sequence[HeldOutTrials], cohort: Array, seed: int) -> dict[str, Any]:
    """Return the error rates of each fold under the calibration of the others, with intervals over speakers."""
    folds = [_search(t, _fit([x for x in trials if x is not t], cohort)) for t in trials]
    found = _Searches(*(_column(folds, f.name) for f in fields(_Searches)))
    table = Scores(found.enrolled, found.test, found.llr, found.target.astype(np.int8), test_speaker=found.tested)
    intervals = detection_intervals(resampler(table, replicates=_REPLICATES, seed=seed), {})
    targets, impostors = found.llr[found.target], found.llr[~found.target]
    rates = {"eer": eer(targets, impostors), "cllr": cllr(targets, impostors), "min_cllr": min_cllr(targets, impostors)}
    tested = _column(trials, "tested")
    return {
        "speakers": len(set(tested.tolist())),
        "enrolled": round(float(np.mean([len(set(t.enrolled.tolist())) for t in trials]))),
        "tests": len(tested),
        "seconds": _spread(trials, "speech_seconds"),
        "enroll_seconds": _spread(trials, "enroll_seconds"),
        "intervals": "95 %, by bootstrap over speakers",
        **{name: [value, intervals[name].low, intervals[name].high] for name, value in rates.items()},
        "per_search": [
            _rates(far, stranger, right, tested, seed)
            for far, stranger, right in zip(RATES, found.stranger, found.right, strict=True)
        ],
    }


def _spread(folds: Sequence[Any], name: str) -> list[float]:
    """Return the least, the median and the most of a column of seconds."""
    return [round(float(q), 2) for q in np.quantile(_column(folds, name), (0, 0.5, 1))]


def _column(folds: Sequence[Any], name: str) -> Array:
    """Return a column of all folds together."""
    return np.concatenate([getattr(fold, name) for fold in folds], axis=-1)


def _search(t: HeldOutTrials, fitted: SystemCalibration) -> _Searches:
    """Search one fold's speakers for each of its tests."""
    values = fitted.llr(t.scores, t.amounts)
    m, u = np.nonzero(t.search & (t.target | t.impostor))
    test = np.char.add(np.char.add(t.tested, "/"), np.arange(len(t.tested)).astype(str))
    rivals = (t.search & t.impostor).sum(axis=0).tolist()
    best = np.where(t.search & t.impostor, values, -np.inf).max(axis=0)
    own = np.where(t.search & t.target, values, -np.inf).max(axis=0)
    without, with_own = (
        np.array([[fitted.strangers.threshold(far, n + more).score for n in rivals] for far in RATES])
        for more in (0, 1)
    )
    right = (own >= with_own) & (own > best)
    return _Searches(t.enrolled[m], t.tested[u], test[u], values[m, u], t.target[m, u], best >= without, right)


def _rates(far: float, stranger: Array, right: Array, tested: Array, seed: int) -> dict[str, float]:
    """Return how often strangers are accepted where `far` is asked, and how often the enrolled are not found."""
    share = bootstrap(lambda w: {"far": w @ stranger / w.sum()}, tested, replicates=_REPLICATES, seed=seed)["far"]
    return {
        "asked": far,
        "measured": share.estimate,
        "low": share.low,
        "high": share.high,
        "missed": float(1 - right.mean()),
    }
