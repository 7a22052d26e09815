"""Learn a calibration from the scores of any system, and measure on held-out speakers whether it holds.

The map to log-likelihood ratios is that of `fit_calibration`; how high strangers come is counted on tests against all
models that are not their speaker's (`fit_strangers`). Whether both hold for other people is measured on people whom
they did not know: the speakers are divided into four parts, and each two of these, as tests and as models, are judged
by what was learned from the other two. Every pair of speakers is held out at least once. What is kept in the end is
learned from everybody. Symbols: P persons.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array, integer, probability, refuse
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.calibration import Calibration, fit_calibration
from speechgmm.evaluation.chosen_trials import bona_fide
from speechgmm.evaluation.false_accepts import Impostors, count_false_accepts, impostors_of, people_of
from speechgmm.evaluation.jackknife import REPLICATES, Resampler, detection_intervals
from speechgmm.evaluation.table_calibration import HeldOutRates, TableCalibration
from speechgmm.evaluation.thresholds import Strangers
from speechgmm.evaluation.trials import Scores, check_labels, columns

LEAST_SPEAKERS = 8
"""Two in each part: with fewer, half of the speakers are too few to learn anything from."""
_PARTS = 4


def calibrate_scores(
    scores: Scores, *, prior: float = 0.5, replicates: int = REPLICATES, seed: int = 0
) -> TableCalibration:
    """Learn log-likelihood ratios, and thresholds for a stated rate, from labeled scores of any system.

    Parameters
    ----------
    scores : Scores
        Targets and nontargets, all labels known; any scale, higher for targets. For rates of searches each test must be
        scored against several models that are not its speaker's. Trials of attacks are left out.
    prior : float
        Share of the targets' weight, as in `fit_calibration`: where the LLRs are to be most exact.
    replicates : int
        Of the intervals of error rates, as in `evaluate`.
    seed : int
        For the parts of the speakers, and for the intervals. The same scores give the same bits in whatever order.

    Raises
    ------
    InvalidInput
        For unlabeled trials, no targets, no nontargets, fewer than eight speakers with target trials, scores that are
        not higher for targets, or a half of the speakers without trials of both kinds.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.evaluation import Scores
    >>> rng = np.random.default_rng(0)
    >>> people = [f"p{i}" for i in range(20)]
    >>> pairs = [(model, f"{who}/{i}", model == who) for model in people for who in people for i in range(4)]
    >>> cosines = [rng.normal(0.6 if own else 0.1, 0.1) for _, _, own in pairs]
    >>> models, tests, target = zip(*pairs, strict=True)
    >>> found = calibrate_scores(Scores(models, tests, cosines, target), replicates=100)
    >>> round(found.score_at(found.threshold(0.01).score), 1)  # 1 % of strangers' cosines lie above 0.33
    0.3
    >>> found.held_out.false_accepts[1].far
    0.05
    """
    probability(prior, "prior")
    integer(replicates, "replicates", minimum=20)
    integer(seed, "seed", minimum=0)
    scores = bona_fide(scores)
    check_labels(scores)
    order = np.lexsort((scores.speakers.codes, scores.tests.codes))
    table = scores.take(order)
    people = replace(people_of(table), replicates=replicates, seed=seed)
    impostors = impostors_of(table, people)
    owners = np.unique(people.enrolled[table.speakers.codes[table.target == 1]])
    for kind, count in (("targets", len(owners)), ("nontargets", len(impostors))):
        if not count:
            refuse("a calibration", "be learned from targets and nontargets", f"no {kind}")
    if len(owners) < LEAST_SPEAKERS:
        advice = "What is learned from half of them is tried on the other half."
        refuse("speakers with target trials", f"be at least {LEAST_SPEAKERS}", len(owners), advice)
    learned = _learn(table.score, table.target, impostors, prior, seed)
    return TableCalibration(
        learned.llr,
        learned.strangers,
        low=float(table.score.min()),
        high=float(table.score.max()),
        held_out=_held_out(people, impostors, _parts(owners, people.persons, seed), prior),
        targets=int((table.target == 1).sum()),
        nontargets=int((table.target == 0).sum()),
        tests=len(table.tests.names),
        models=len(table.speakers.names),
        speakers=people.persons,
        unnamed=_unnamed(table),
    )


@dataclass(frozen=True, eq=False)
class _Learned:
    """What some trials have taught."""

    llr: Calibration
    strangers: Strangers


def _learn(score: Array, target: NDArray[np.int8], impostors: Impostors, prior: float, seed: int) -> _Learned:
    """Return what trials, and those of strangers among them, teach."""
    llr = fit_calibration(score, target, prior=prior)
    searches = impostors.of_searches()
    return _Learned(llr, searches.mapped(llr(searches.score)).strangers(seed))


def _parts(owners: NDArray[np.intp], persons: int, seed: int) -> NDArray[np.intp]:
    """Return the part of each person, (P,): as many owners in each as may be, and as many others."""
    rng = np.random.default_rng(seed)
    others = np.setdiff1d(np.arange(persons), owners)
    part = np.empty(persons, dtype=np.intp)
    part[np.concatenate([rng.permutation(owners), rng.permutation(others)])] = np.arange(persons) % _PARTS
    return part


def _held_out(people: Resampler, impostors: Impostors, part: NDArray[np.intp], prior: float) -> HeldOutRates:
    """Return what is measured on each two parts of the speakers, judged by what was learned from the other two."""
    scores = people.scores
    in_trials = part[people.enrolled][scores.speakers.codes], part[people.tested][scores.tests.codes]
    in_impostors = part[impostors.enrolled], part[impostors.tested]
    halves = list(itertools.combinations(range(_PARTS), 2))
    learned = []
    for half in halves:
        rows, strangers = _within(half, *in_trials), impostors.take(_within(half, *in_impostors))
        learned.append(_learn_half(scores.score[rows], scores.target[rows], strangers, prior, people.seed))
    total, times = np.zeros((2, len(scores)))
    judged: list[tuple[Impostors, Strangers]] = []
    for half, known in zip(halves, reversed(learned), strict=True):  # the other two parts stand at the other end
        rows, strangers = _within(half, *in_trials), impostors.take(_within(half, *in_impostors))
        total[rows] += known.llr(scores.score[rows])
        times[rows] += 1
        judged.append((strangers.mapped(known.llr(strangers.score)), known.strangers))
    llrs = scores.rescored(total / times)
    sampler = replace(people, scores=llrs, order=np.argsort(llrs.score, kind="stable").astype(np.int32))
    rates = detection_intervals(sampler, {})
    return HeldOutRates(rates["eer"], rates["cllr"], rates["min_cllr"], count_false_accepts(judged))


def _learn_half(score: Array, target: NDArray[np.int8], impostors: Impostors, prior: float, seed: int) -> _Learned:
    """Return what half of the speakers teach; refuse what they cannot."""
    kinds = {"target": int((target == 1).sum()), "nontarget": len(impostors)}
    if lost := [kind for kind, count in kinds.items() if not count]:
        rule = "hold target and nontarget trials among themselves, in each half of the speakers"
        refuse("scores", rule, f"a half without {lost[0]} trials", "Score more pairs of speakers.")
    try:
        return _learn(score, target, impostors, prior, seed)
    except InvalidInput as error:
        raise InvalidInput(f"of half of the speakers, by whom the other half is judged: {error}") from None


def _within(parts: tuple[int, ...], enrolled: NDArray[np.intp], tested: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which trials are among persons of some parts."""
    return np.isin(enrolled, parts) & np.isin(tested, parts)


def _unnamed(scores: Scores) -> int:
    """Return of how many tests nobody knows who speaks."""
    known = scores.target == 1
    if (told := columns(scores).get("test_speaker")) is not None:
        known |= told.names[told.codes] != ""
    return len(scores.tests.names) - len(np.unique(scores.tests.codes[known]))
