"""Error against the amount of speech: short tests are harder, and one threshold does not suit them all."""

from dataclasses import dataclass

import numpy as np

from speechgmm import checks
from speechgmm.evaluation.conditions import in_ranges, intervals_of
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler, resampler
from speechgmm.evaluation.roc import roc_hull
from speechgmm.evaluation.trials import Scores, check_labels


@dataclass(frozen=True)
class DurationBin:
    """The tests of `low` to `high` seconds of speech (these included), as `error_by_duration` finds them.

    Parameters
    ----------
    low, high : float
        Seconds: the shortest and the longest of these tests.
    tests, targets, nontargets : int
        How many tests and trials there are.
    eer : float
        Equal error rate of these trials, at a threshold of their own.
    p_miss, p_fa : float
        Error rates at the one threshold given for all.
    interval : Interval or None
        Of `eer`; None where it was not asked for or there are too few speakers.
    """

    low: float
    high: float
    tests: int
    targets: int
    nontargets: int
    eer: float
    p_miss: float
    p_fa: float
    interval: Interval | None


def error_by_duration(
    scores: Scores,
    threshold: float,
    *,
    bins: int = 6,
    replicates: int = 0,
    level: float = 0.95,
    seed: int = 0,
    sampler: Resampler | None = None,
) -> tuple[DurationBin, ...]:
    """Return error rates by the amount of speech in the test, in bins of about equally many tests.

    Parameters
    ----------
    scores : Scores
        With all labels known and `test_seconds`; tests of unknown length are left out.
    threshold : float
        For `p_miss` and `p_fa`.
    bins : int
        At most so many, and no more than a tenth of the tests; bins without a target or nontarget are left out.
    replicates, level, seed
        Of the intervals, by leaving out speakers, as in `evaluate`; 0 replicates for none.
    sampler : Resampler, optional
        Of these scores, if there is one already; the intervals then follow its options.

    Raises
    ------
    InvalidInput
        For unlabeled trials, or where no length is known.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> people, tests = ["ann"] * 40, [f"{i}.wav" for i in range(40)]
    >>> score = [1.0, -1.0] * 10 + [-1.0, 1.0] + [1.0, -1.0] * 9
    >>> scores = Scores(people, tests, score, [1, 0] * 20, test_seconds=[10.0] * 20 + [2.0] * 20)
    >>> [(b.low, b.high, b.p_miss) for b in error_by_duration(scores, 0.0, bins=2)]
    [(2.0, 2.0, 0.1), (10.0, 10.0, 0.0)]
    """
    check_labels(scores)
    checks.integer(bins, "bins", minimum=1)
    if scores.test_seconds is None or np.isnan(scores.test_seconds).all():
        checks.refuse("scores", "hold the column test_seconds", "none", "The command score writes it.")
    seconds = np.full(len(scores.tests.names), np.nan)
    seconds[scores.tests.codes] = scores.test_seconds
    of_test = in_ranges(seconds, bins)
    of_trial = of_test[scores.tests.codes]
    if replicates and sampler is None:
        sampler = resampler(scores, replicates=replicates, level=level, seed=seed)
    found = []
    for i in range(of_test.max() + 1):
        rows, inside = of_trial == i, seconds[of_test == i]
        targets, nontargets = (scores.score[rows & (scores.target == label)] for label in (1, 0))
        if len(targets) and len(nontargets):
            ends, counts = (float(inside.min()), float(inside.max())), (len(inside), len(targets), len(nontargets))
            errors = float(np.mean(targets < threshold)), float(np.mean(nontargets >= threshold))
            interval = intervals_of(sampler, rows).get("eer") if sampler else None
            found.append(DurationBin(*ends, *counts, roc_hull(targets, nontargets).eer(), *errors, interval))
    return tuple(found)
