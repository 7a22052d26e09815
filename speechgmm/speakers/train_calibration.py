"""Calibration at training time: cross-fitting over folds of background speakers, then a cohort for the final UBM.

The speakers of a fold are scored by a UBM that was trained on the other folds alone, with a cohort of people whom it
knows: just as the final UBM and its cohort will meet strangers. They fill simulated stores, each of which calibrates
itself as a real one does. All folds together fit the calibration. The error rates are measured fold by fold, each with
a calibration fitted on the others. Symbols: S people in a store, T tests.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.evaluation import Scores, bootstrap, cllr, eer, min_cllr
from speechgmm.evaluation.calibration import fit_calibration
from speechgmm.evaluation.jackknife import detection_intervals, resampler
from speechgmm.evaluation.thresholds import fit_strangers
from speechgmm.features import TrainingFrames
from speechgmm.mixture import UBM
from speechgmm.parallel import Threads, own_threads
from speechgmm.speakers.calibration import (
    LEAST_PEOPLE,
    AmountNorm,
    ImpostorLevels,
    OwnerScores,
    SystemCalibration,
    amount,
    impostor_level,
)
from speechgmm.speakers.checkpoints import NOWHERE, Checkpoints
from speechgmm.speakers.held_out import FoldStores, Material, SimulatedStore, adapt_cohort, divide, simulate_stores
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
_EDGES = (0.005, 0.995)
"""Amounts of speech count as if they lay within these quantiles of what was seen."""
_LEAST = 1e-3
"""Scales stay above it where all scores are one."""


def calibrate(
    system: System,
    frames: TrainingFrames,
    train_ubm: Callable[[Any, str], UBM],
    *,
    n_threads: Threads = None,
    seed: int = 0,
    checkpoints: Checkpoints = NOWHERE,
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
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else.
    seed : int
        For the division into folds and parts, and the choice of the cohort.
    checkpoints : Checkpoints
        Where the stores of a fold are kept, or are there already; default: nowhere.
    """
    held_out = divide(frames, least=LEAST_SPEAKERS, seed=seed)
    if not held_out.speakers:
        return None
    chosen = np.random.default_rng(seed).permutation(sorted(held_out.speakers))[:MOST_SPEAKERS].tolist()
    folds = [chosen[i::FOLDS] for i in range(FOLDS)]
    stores: list[Sequence[SimulatedStore]] = []
    for i, fold in enumerate(folds, 1):
        stage = f"fold {i} of {FOLDS}"
        ubm = train_ubm(frames.without(set(fold)), stage)
        partial = System(system.frontend, ubm, system.relevance, by_recording=system.by_recording)
        speakers = {name: held_out.speakers[name] for name in fold}
        scored = functools.partial(_fold_stores, partial, frames, speakers, fold=i, n_threads=n_threads, seed=seed)
        stores.append(checkpoints.once(f"{stage}, stores", scored, FoldStores).stores)
    fitted = _fit(stores, adapt_cohort(system, frames, n_threads=own_threads(n_threads), seed=seed))
    measured = {"by": held_out.by, **_measure(stores, fitted.cohort, seed)}
    return replace(fitted, measured=measured)


def _fold_stores(
    system: System,
    frames: TrainingFrames,
    speakers: Mapping[str, Sequence[Material]],
    *,
    fold: int,
    n_threads: Threads,
    seed: int,
) -> FoldStores:
    """Return the simulated stores of a fold's speakers, with a cohort of all others."""
    cohort = adapt_cohort(system, frames, leave_out=frozenset(speakers), n_threads=own_threads(n_threads), seed=seed)
    return FoldStores(tuple(simulate_stores(system, speakers, cohort, n_threads=n_threads, seed=seed + fold)))


@dataclass(frozen=True, eq=False)
class _Trials:
    """The trials (n,) of one store or of several, of owners and strangers.

    `score` is normalized, `weight` counts a store's trials by how many people it holds, `test` numbers its tests.
    """

    enrolled: Array
    tested: Array
    test: Array
    score: Array
    target: Array
    amount: Array
    weight: Array


def _trials(store: SimulatedStore, scores: Array) -> _Trials:
    """Return the trials of a store, with their normalized scores (S, T)."""
    m, u = np.nonzero(store.target | store.stranger)
    amounts = amount(store.tests.enrolled[:, None], store.tests.tested)
    weight = np.full(len(m), 1 / len(store.names))
    return _Trials(
        np.array(store.names)[m], store.tested[u], u, scores[m, u], store.target[m, u], amounts[m, u], weight
    )


def _fit(folds: Sequence[Sequence[SimulatedStore]], cohort: Array) -> SystemCalibration:
    """Return the calibration of these stores, with the cohort of the system that it is for."""
    stores = [s for fold in folds for s in fold]
    levels = _fit_levels(stores)
    scores = [normalized_by(levels, s) for s in stores]
    strangers = []
    for size in levels.sizes.tolist():
        of_size = [(x, s) for x, s in zip(scores, stores, strict=True) if len(s.names) == size]
        strangers.append(
            fit_strangers(
                [row for x, s in of_size for row in x[:, s.stranger].T],
                tested=np.concatenate([s.tested[s.stranger] for _, s in of_size]),
                models=[s.names for _, s in of_size for _ in range(int(s.stranger.sum()))],
            )
        )
    trials = [_trials(s, x) for s, x in zip(stores, scores, strict=True)]
    score, target, amounts, weight = (_column(trials, n) for n in ("score", "target", "amount", "weight"))
    llr = fit_calibration(score, target, prior=PRIOR, weights=weight)
    least = min(float(s.tests.tested.min()) for s in stores)
    usual = float(np.median(np.concatenate([s.tests.enrolled for s in stores])))
    owners = _fit_owners(score[target], amounts[target])
    return SystemCalibration(cohort, levels, tuple(strangers), llr, owners, least, usual_seconds=usual)


def _fit_levels(stores: Sequence[SimulatedStore]) -> ImpostorLevels:
    """Return how high strangers come: by amounts of speech, then how high the impostors of a store of each size."""
    amounts = _fit_amounts(stores)
    sizes = sorted({len(s.names) for s in stores})
    found = []
    for size in sizes:
        of_size = [s for s in stores if len(s.names) == size]
        if size < LEAST_PEOPLE:
            every = [s.tests.alike(amounts)[:, s.stranger] for s in of_size]
            found.append(impostor_level(every))
        else:
            found.append(np.mean([impostor_level([t.alike(amounts) for t in s.own]) for s in of_size], axis=0))
    location, scale = np.array(found, dtype=np.float64).T
    return ImpostorLevels(amounts, np.array(sizes), location, np.maximum(scale, _LEAST))


def _fit_amounts(stores: Sequence[SimulatedStore]) -> AmountNorm:
    """Return what amounts of speech do to strangers' scores: least squares, of them and of how far they stray."""
    columns = []
    for s in stores:
        t, by = s.tests, s.stranger
        of_test = t.tested[by], t.level[by]
        each = np.broadcast_arrays(t.scores[:, by], t.enrolled[:, None], *of_test, 1 / np.sqrt(len(s.names)))
        columns.append(np.stack(each).reshape(len(each), -1))
    score, enrolled, tested, level, weight = np.concatenate(columns, axis=1)
    low, high = np.quantile([enrolled, tested], _EDGES, axis=1)
    design = AmountNorm(np.zeros(4), np.zeros(4), low, high).design(enrolled, tested)
    root = np.sqrt(weight)

    def solved(x: Array, values: Array) -> Array:
        return np.asarray(np.linalg.lstsq(x * root[:, None], values * root, rcond=None)[0])

    both = np.concatenate([design, design * level[:, None]], axis=1)
    location, proportion = np.split(solved(both, score), 2)
    strayed = np.abs(score - design @ location - design @ proportion * level)
    scale = solved(design, np.log(strayed + _LEAST * (1 + strayed.mean())))
    left = np.average(strayed**2 * np.exp(-2 * design @ scale), weights=weight)
    scale[0] += 0.5 * np.log(left + _LEAST**2)
    return AmountNorm(location, scale, low, high, proportion)


def _fit_owners(scores: Array, amounts: Array) -> OwnerScores:
    """Return where owners' scores lie by the amount of speech."""
    low, high = np.quantile(amounts, _EDGES)
    x = np.stack([np.ones_like(amounts), np.log(np.clip(amounts, low, high))], axis=1)
    mean = np.linalg.lstsq(x, scores, rcond=None)[0]
    return OwnerScores(mean, max(float((scores - x @ mean).std()), _LEAST), float(low), float(high))


def normalized_by(levels: ImpostorLevels, store: SimulatedStore) -> Array:
    """Return the normalized scores (S, T) of a simulated store, as one that is in use would have them."""
    norm = levels.norm(len(store.names), [t.alike(levels.amounts) for t in store.own])
    return norm(store.tests.alike(levels.amounts))


def _measure(folds: Sequence[Sequence[SimulatedStore]], cohort: Array, seed: int) -> dict[str, Any]:
    """Return the error rates of each fold under the calibration of the others, with intervals over speakers."""
    found: list[_Trials] = []
    searches: list[_Searches] = []
    for fold in folds:
        fitted = _fit([f for f in folds if f is not fold], cohort)
        largest = max(len(s.names) for s in fold)
        for s in fold:
            scores = normalized_by(fitted.levels, s)
            t = _trials(s, scores)
            found.append(replace(t, score=fitted.llr(t.score)))
            if len(s.names) == largest:
                searches.append(_search(s, scores, fitted))
    enrolled, tested, score, target = (_column(found, n) for n in ("enrolled", "tested", "score", "target"))
    names = np.char.add(np.char.add(tested, "/"), _numbered(found))
    table = Scores(enrolled, names, score, target.astype(np.int8), test_speaker=tested)
    intervals = detection_intervals(resampler(table, replicates=_REPLICATES, seed=seed), {})
    targets, impostors = score[target], score[~target]
    rates = {"eer": eer(targets, impostors), "cllr": cllr(targets, impostors), "min_cllr": min_cllr(targets, impostors)}
    stores = [s for fold in folds for s in fold]
    return {
        "speakers": len(set(tested.tolist())),
        "enrolled": round(float(np.mean([s.size for s in searches]))),
        "tests": sum(len(s.tested) for s in stores),
        "seconds": _spread([s.tests.tested for s in stores]),
        "enroll_seconds": _spread([s.tests.enrolled for s in stores]),
        "intervals": "95 %, over speakers",
        **{name: [value, intervals[name].low, intervals[name].high] for name, value in rates.items()},
        "per_search": [_rates(far, i, searches, seed) for i, far in enumerate(RATES)],
    }


@dataclass(frozen=True, eq=False)
class _Searches:
    """Whether the best is accepted in the searches of one store, at each of R rates, and who was tested.

    `stranger` and `right` are of shape (R, tests): of people who are not in it, and of those who are, if they are the
    best.
    """

    size: int
    stranger: Array
    strangers: Array
    right: Array


def _search(s: SimulatedStore, scores: Array, fitted: SystemCalibration) -> _Searches:
    """Search one store for each of its tests."""
    size = len(s.names)
    norm = fitted.levels.norm(size)
    limits = np.array([fitted.threshold(far, norm, size).score for far in RATES])[:, None]
    own = ~s.stranger
    right = s.target[scores.argmax(axis=0), np.arange(len(s.tested))][own]
    best = scores.max(axis=0)
    return _Searches(size, best[s.stranger] >= limits, s.tested[s.stranger], (best[own] >= limits) & right)


def _rates(far: float, i: int, searches: Sequence[_Searches], seed: int) -> dict[str, float]:
    """Return how often strangers are accepted where `far` is asked, and how often the enrolled are not found."""
    stranger, who = np.concatenate([s.stranger[i] for s in searches]), np.concatenate([s.strangers for s in searches])
    share = bootstrap(lambda w: {"far": w @ stranger / w.sum()}, who, replicates=_REPLICATES, seed=seed)["far"]
    return {
        "asked": far,
        "measured": share.estimate,
        "low": share.low,
        "high": share.high,
        "missed": float(1 - np.concatenate([s.right[i] for s in searches]).mean()),
    }


def _numbered(trials: Sequence[_Trials]) -> Array:
    """Return names of tests that differ between stores."""
    return np.concatenate([np.char.add(f"{i}.", t.test.astype(str)) for i, t in enumerate(trials)])


def _spread(columns: Sequence[Array]) -> list[float]:
    """Return the least, the median and the most of columns of seconds."""
    return [round(float(q), 2) for q in np.quantile(np.concatenate(columns), (0, 0.5, 1))]


def _column(values: Sequence[Any], name: str) -> Array:
    """Return a column of all values together."""
    return np.concatenate([getattr(v, name) for v in values])
