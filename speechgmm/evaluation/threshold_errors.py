"""What goes wrong at one threshold, per trial and per search, and what failed before there was a score.

The words of ISO/IEC 19795-1 [1]_, beside those of this package:

* False non-match rate: the share of target trials below the threshold, misses. False match rate: the share of nontarget
  trials that reach it.
* False-negative identification rate: the share of owners' searches that do not give the owner, because nobody reaches
  the threshold or somebody else comes first. False-positive identification rate: the share of strangers' searches in
  which anybody reaches it. Each test is a stranger's search among all models that are not its speaker's.
* Failure to acquire: a test that gives no score. Failure to enroll: a speaker of whom there is no model. False reject
  and false accept rates count these, too: a trial without a score is rejected, be it a target trial or none.

The intervals are those of `shares`: each person is left out in turn, tested and enrolled.

References
----------
.. [1] ISO/IEC 19795-1:2021, Biometric performance testing and reporting, part 1: principles and framework.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation.false_accepts import as_many_as_usual, impostors_of
from speechgmm.evaluation.identification import searches
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler
from speechgmm.evaluation.shares import Attempts, accepted_share
from speechgmm.evaluation.trials import Scores, Trials

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class ThresholdErrors:
    """Error rates at one threshold, between 0 and 1.

    Parameters
    ----------
    threshold : float
        The least score that is accepted.
    p_miss, p_fa : float
        Share of the target trials that are rejected, and of the nontarget trials that are accepted.
    models : int or None
        How many people's models are searched: the median over strangers' searches; None without searches.
    strangers_accepted : float or None
        Share of searches among the models of others in which anybody is accepted.
    owners_missed : float or None
        Share of searches for somebody enrolled that do not give this person.
    owners_mistaken : float or None
        The part of these that gives somebody else.
    p_reject, p_accept : float or None
        As `p_miss` and `p_fa`, trials that failed counted as rejected; None where nobody knows of failures.
    """

    threshold: float
    p_miss: float
    p_fa: float
    models: int | None = None
    strangers_accepted: float | None = None
    owners_missed: float | None = None
    owners_mistaken: float | None = None
    p_reject: float | None = None
    p_accept: float | None = None


@dataclass(frozen=True)
class FailureCounts:
    """How many recordings could not be used, as a table of scores tells.

    Parameters
    ----------
    tests, tests_tried : int
        Tests that failed in a trial, of all.
    speakers, speakers_tried : int
        Speakers who could not be enrolled, of all in the table. Who was refused before is in no table.
    targets, nontargets : int
        Labeled trials that have no score because of these.
    """

    tests: int
    tests_tried: int
    speakers: int
    speakers_tried: int
    targets: int
    nontargets: int


def count_failures(scores: Scores) -> FailureCounts | None:
    """Return how many tests and speakers failed; None where nobody knows."""
    if scores.failures is None:
        return None
    lists = scores.failures.lists
    every: list[Scores | Trials] = [scores, *lists.values()]
    tests, speakers = (len(set().union(*names)) for names in zip(*map(_names, every), strict=True))
    failed = [len(_names(lists[what])[i]) if what in lists else 0 for i, what in enumerate(("test", "speaker"))]
    targets, nontargets = (sum(int((t.target == label).sum()) for t in lists.values()) for label in (1, 0))
    return FailureCounts(failed[0], tests, failed[1], speakers, targets, nontargets)


def _names(table: Scores | Trials) -> tuple[set[str], set[str]]:
    """Return the tests and the speakers of a table."""
    return set(table.tests.names.tolist()), set(table.speakers.names.tolist())


def trial_rates(
    scores: Scores, people: Resampler, threshold: float, rows: Rows | None = None, *, level: float = 0.95
) -> dict[str, Interval]:
    """Return p_miss and p_fa of some trials, all by default, with intervals over persons; there must be both kinds.

    Parameters
    ----------
    scores : Scores
    people : Resampler
        From `people_of`.
    threshold : float
    rows : array of bool, shape (T,), optional
    level : float
    """
    every = np.ones(len(scores), dtype=bool) if rows is None else rows
    missed, accepted = (_trials(scores, people, np.flatnonzero(every & (scores.target == label))) for label in (1, 0))
    missed = replace(missed, best=-missed.best)  # a miss lies below the threshold, so that its opposite lies above
    return {
        "p_miss": accepted_share(missed, np.nextafter(-threshold, np.inf), level=level),
        "p_fa": accepted_share(accepted, threshold, level=level),
    }


def _trials(scores: Scores, people: Resampler, rows: NDArray[np.int64]) -> Attempts:
    """Return trials as attempts, each by itself."""
    enrolled, tested = people.enrolled[scores.speakers.codes[rows]], people.tested[scores.tests.codes[rows]]
    alone, one = np.full(len(rows), -np.inf), np.ones(len(rows), dtype=np.intp)
    return Attempts(tested.astype(np.intp), scores.score[rows], alone, enrolled.astype(np.intp), one)


def search_rates(
    scores: Scores, people: Resampler, threshold: float, *, level: float = 0.95
) -> tuple[dict[str, Interval], int | None]:
    """Return strangers_accepted, owners_missed and owners_mistaken, and among how many models tests are searched.

    Owners' searches are tests with exactly one target trial, of which there must be one; ties count against the system.
    There is nothing where nobody is a stranger to anybody. Parameters as in `trial_rates`.
    """
    impostors = impostors_of(scores, people)
    if not len(impostors):
        return {}, None
    every, tests = impostors.searches(), np.unique(impostors.test)
    strangers = every.take(as_many_as_usual(every.models))
    found = searches(scores)
    known = found.known[tests]
    owners, own = every.take(known), found.own[tests[known]]
    least = np.nextafter(threshold, -np.inf)  # an owner below the threshold loses to it as to a rival
    unfound = replace(owners, best=np.maximum(owners.best, least), rival=np.maximum(owners.rival, least))
    rates = {
        "strangers_accepted": accepted_share(strangers, threshold, level=level),
        "owners_missed": accepted_share(unfound, own, level=level),
        "owners_mistaken": accepted_share(owners, np.maximum(own, threshold), level=level),
    }
    return rates, int(np.median(strangers.models))


def threshold_errors(
    threshold: float, rates: Mapping[str, Interval], models: int | None, scores: Scores, failures: FailureCounts | None
) -> ThresholdErrors:
    """Return rates at a threshold as one value, with those that count failures where these are known."""
    found = {name: rate.estimate for name, rate in rates.items()}
    if failures is not None:
        targets, nontargets = (int((scores.target == label).sum()) for label in (1, 0))
        missed = found["p_miss"] * targets + failures.targets
        found["p_reject"] = missed / (targets + failures.targets)
        found["p_accept"] = found["p_fa"] * nontargets / (nontargets + failures.nontargets)
    return ThresholdErrors(threshold, models=models, **found)
