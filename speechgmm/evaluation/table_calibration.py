"""A calibration for the scores of any system: log-likelihood ratios, and thresholds for a stated rate of strangers.

It is learned from a table of scores (`learn_calibration`), applied to other scores of the same system, and kept in one
file. It says itself what is unsure about it.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

from speechgmm import storage
from speechgmm.checks import FAR, enumerated, hold, instance, integer, number, number_of, refuse, sequence_of
from speechgmm.evaluation.calibration import Calibration
from speechgmm.evaluation.chosen_trials import bona_fide
from speechgmm.evaluation.false_accepts import (
    RATES,
    FalseAccepts,
    attempts_among,
    check_interval,
    count_false_accepts,
    impostors_of,
    people_of,
)
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.thresholds import Strangers, Threshold
from speechgmm.evaluation.trials import Scores, check_labels
from speechgmm.looks import Look, Shown, share, some_rows


@dataclass(frozen=True)
class HeldOutRates(Shown):
    """What was measured on speakers whom map and thresholds did not know, with intervals over speakers.

    A trial that several halves of the speakers do not know counts with the mean of its LLRs.

    Parameters
    ----------
    eer : Interval
        Equal error rate of the LLRs.
    cllr, min_cllr : Interval
        Cost of the LLRs in bits, as they are and after the best recalibration.
    false_accepts : tuple of FalseAccepts
        Of trials and, where a test has several models, of searches.
    """

    eer: Interval
    cllr: Interval
    min_cllr: Interval
    false_accepts: tuple[FalseAccepts, ...]

    def __post_init__(self) -> None:
        """Check everything, which files bring."""
        check_interval(self.eer, "the equal error rate", most=1.0)
        check_interval(self.cllr, "Cllr", most=FAR)
        check_interval(self.min_cllr, "the minimum of Cllr", most=FAR)
        sequence_of(self.false_accepts, "false accepts", FalseAccepts)
        hold(self, false_accepts=tuple(self.false_accepts))


@dataclass(frozen=True)
class AskedThreshold:
    """From where on to accept for a rate that is asked.

    Parameters
    ----------
    far : float
        The share of strangers.
    speakers : int
        Among how many models the best is accepted; 1 for single trials.
    llr, score : float
        The threshold, as a log-likelihood ratio in nats and as a score of the system.
    extrapolated : bool
        Whether a model of the tail gave it, for want of strangers who came so high.
    assured : bool
        Whether the rate of other speakers is known to be at most twice as high: by the interval that was measured on
        held-out speakers, and without a model of the tail.
    """

    far: float
    speakers: int
    llr: float
    score: float
    extrapolated: bool
    assured: bool


@dataclass(frozen=True, eq=False)
class TableCalibration(Shown):
    """A calibration for the scores of one system; made by `calibrate_scores`, read by `load_calibration`.

    Parameters
    ----------
    llr : Calibration
        From scores to log-likelihood ratios. It goes on as a line beyond the scores that it was learned from, so that
        their order is kept; `outside` counts what lies there.
    strangers : Strangers
        How high strangers' LLRs come.
    low, high : float
        The least and the highest score that it was learned from.
    held_out : HeldOutRates
        What half of the speakers taught about the other half; all of them together, of whom the rest was learned, are
        worth somewhat more.
    targets, nontargets, tests, models, speakers : int
        How many trials of either kind, tests and models it was learned from, and how many persons took part.
    unnamed : int
        How many of these persons are tests of which nobody knows whose they are.

    Raises
    ------
    InvalidInput
        If a part is of another type, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.evaluation import Scores, calibrate_scores
    >>> people = np.array([f"p{i}" for i in range(10)])
    >>> models, tests = np.repeat(people, 40), np.tile([f"{p}/{i}" for p in people for i in range(4)], 10)
    >>> target = np.repeat(np.eye(10, dtype=int), 4, axis=1).ravel()
    >>> scores = Scores(models, tests, np.random.default_rng(0).normal(0.5 * target, 0.1), target)
    >>> calibration = calibrate_scores(scores, replicates=20)
    >>> calibration.targets, calibration.nontargets, round(calibration.score_at(calibration.threshold(0.05).score), 1)
    (40, 360, 0.2)
    """

    PARTS: ClassVar = (Calibration, Strangers, HeldOutRates, FalseAccepts, Interval)
    KIND: ClassVar = "a calibration of scores"

    llr: Calibration
    strangers: Strangers
    low: float
    high: float
    held_out: HeldOutRates
    targets: int
    nontargets: int
    tests: int
    models: int
    speakers: int
    unnamed: int

    def __post_init__(self) -> None:
        """Check everything."""
        for name, kind in (("llr", Calibration), ("strangers", Strangers), ("held_out", HeldOutRates)):
            instance(getattr(self, name), f"{name} of a calibration", kind)
        self.llr.check_alone()
        number(self.llr.slopes[0], "the slope of the map", minimum=1 / FAR)
        low = number(self.low, "the least score", minimum=-FAR, maximum=FAR)
        high = number(self.high, "the highest score", minimum=low, maximum=FAR)
        counts = {n: integer(getattr(self, n), n, minimum=least) for n, least in _COUNTS.items()}
        hold(self, low=low, high=high, **counts)

    def _look(self) -> Look:
        counts = [number_of(getattr(self, name), name.removesuffix("s")) for name in ("speakers", "models", "tests")]
        eer = self.held_out.eer
        asked = [
            (share(t.far), t.speakers, f"{t.llr:+.2f}", f"{t.score:.4g}", "yes" if t.assured else "no")
            for t in self.thresholds()
        ]
        header = (">strangers accepted", ">among", ">LLR", ">score", "assured")
        measured = f"{share(eer.estimate)}, 95 % within {share(eer.low)} and {share(eer.high)}"
        facts = {"EER on held-out speakers": measured, "doubts": "\n".join(self.doubts()) or "none"}
        words = (*counts, f"EER {share(eer.estimate)}")
        return Look(words, facts, (some_rows("accept from", header, asked),))

    def llrs(self, scores: Scores) -> Scores:
        """Return the table with log-likelihood ratios, in nats, in the place of its scores; labels are not needed."""
        return scores.rescored(self.llr(scores.score))

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        """Return the LLR from which the best of so many models is accepted, for a share `far` of all strangers.

        Parameters
        ----------
        far : float
            False accepts per search, between 0 and 1, both left out.
        speakers : int
            How many are enrolled; 1 is verification.
        """
        return self.strangers.threshold(far, speakers)

    def score_at(self, llr: float) -> float:
        """Return the score that has this LLR, for systems that decide by scores of their own."""
        return float((llr - self.llr.offsets[0]) / self.llr.slopes[0])

    def outside(self, scores: Scores) -> int:
        """Return how many scores lie outside the range that it was learned from: their LLRs are extrapolated."""
        return int(((scores.score < self.low) | (scores.score > self.high)).sum())

    def false_accepts(self, scores: Scores) -> tuple[FalseAccepts, ...]:
        """Return how many strangers are accepted at its thresholds for 1, 5 and 10 % in a table of other scores.

        Parameters
        ----------
        scores : Scores
            Raw ones, all labels known. Each test is a search among its models that are not its speaker's, with the
            threshold for as many; where tests have one such model each, trials alone are counted. Trials of attacks are
            left out.

        Raises
        ------
        InvalidInput
            For unlabeled trials, or if there is no trial of a stranger.
        """
        scores = bona_fide(scores)
        check_labels(scores)
        llrs = self.llrs(scores)
        impostors = impostors_of(llrs, people_of(llrs))
        if not len(impostors):
            refuse("scores", "hold a trial of a stranger, for rates of false accepts", "none")
        return count_false_accepts([(impostors, self)])

    def doubts(self) -> tuple[str, ...]:
        """Return what is unsure about it, a sentence for each doubt."""
        return tuple(_doubts(self))

    def as_dict(self) -> dict[str, Any]:
        """Return all that it says of itself by name, in types that JSON holds; thresholds for 1, 5 and 10 %."""
        return {
            "type": type(self).__name__,
            **{name: getattr(self, name) for name in _COUNTS},
            "slope": float(self.llr.slopes[0]),
            "offset": float(self.llr.offsets[0]),
            "low": self.low,
            "high": self.high,
            "thresholds": [asdict(t) for t in self.thresholds()],
            "held_out": asdict(self.held_out),
            "doubts": list(self.doubts()),
        }

    def thresholds(self) -> tuple[AskedThreshold, ...]:
        """Return the thresholds for 1, 5 and 10 %: per trial, then per search among as many as there were models."""
        high = {(f.far, f.speakers > 1): f.accepted.high for f in self.held_out.false_accepts}
        asked = [(far, n) for n in ((1, self.models) if self.models > 1 else (1,)) for far in RATES]
        found = []
        for far, n in asked:
            llr, extrapolated = (t := self.threshold(far, n)).score, t.extrapolated
            assured = not extrapolated and high.get((far, n > 1), 1.0) <= _FACTOR * far
            found.append(AskedThreshold(far, n, llr, self.score_at(llr), extrapolated, assured))
        return tuple(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to one file, which appears whole or not at all.

        Raises
        ------
        InvalidInput
            If the file cannot be written, or holds something else.
        """
        storage.save(self, path)


_FACTOR = 2
"""A rate is assured if no more than so many times the asked one is accepted of other speakers."""
_COUNTS = {"targets": 1, "nontargets": 1, "tests": 1, "models": 1, "speakers": 1, "unnamed": 0}
"""What is counted, and how many there are at least."""


def load_calibration(path: str | os.PathLike[str]) -> TableCalibration:
    """Read what `TableCalibration.save` wrote.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, or no speechgmm file.
    IncompatibleModel
        If it holds something else, or was written by a later version.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from speechgmm.evaluation import Scores, calibrate_scores
    >>> people = np.array([f"p{i}" for i in range(10)])
    >>> models, tests = np.repeat(people, 40), np.tile([f"{p}/{i}" for p in people for i in range(4)], 10)
    >>> target = np.repeat(np.eye(10, dtype=int), 4, axis=1).ravel()
    >>> scores = Scores(models, tests, np.random.default_rng(0).normal(0.5 * target, 0.1), target)
    >>> folder = tempfile.TemporaryDirectory()
    >>> calibrate_scores(scores, replicates=20).save(f"{folder.name}/cosines.sgmm")
    >>> load_calibration(f"{folder.name}/cosines.sgmm").speakers
    10
    >>> folder.cleanup()
    """
    return cast(TableCalibration, storage.load(path, TableCalibration))


def _doubts(made: TableCalibration) -> Iterator[str]:
    """Yield what is unsure about a calibration."""
    if beyond := [_asked(t.far, t.speakers) for t in made.thresholds() if t.extrapolated]:
        yield f"too few strangers come so high: a model of the tail gives the threshold for {enumerated(beyond)}"
    if (searched := int(made.strangers.sizes[-1])) < made.models - 1:
        rest = "thresholds of searches among more take these for independent draws"
        yield f"most tests are scored against {number_of(searched, 'model')} other than their speaker's: {rest}"
    if any(f.accepted.high > _FACTOR * f.far for f in made.held_out.false_accepts):
        rest = f"{number_of(made.speakers, 'speaker')} tell no more"
        yield f"where a rate is not assured, more than twice as much may be accepted of other speakers: {rest}"
    for f in made.held_out.false_accepts:
        if not f.accepted.low <= f.far <= f.accepted.high:
            low, high = (f"{100 * end:.2g}" for end in (f.accepted.low, f.accepted.high))
            yield f"where {_asked(f.far, f.speakers)} was asked, {low} to {high} % of held-out strangers were accepted"
    if made.unnamed:
        known = "name neither a test_speaker nor a target trial: each counts as another person"
        yield f"{number_of(made.unnamed, 'test')} {known}, and intervals are too narrow where they are fewer"


def _asked(far: float, speakers: int) -> str:
    """Return a rate in words."""
    return f"{100 * far:g} % of {attempts_among(speakers)}"
