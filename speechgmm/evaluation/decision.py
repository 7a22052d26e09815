"""Decisions: what to accept, and when to answer "unknown". The same for speakers and for classes.

A test is scored against everybody enrolled, or against every class. The best is accepted where it reaches a threshold,
which follows from a stated rate for strangers, or where accepting it costs less than it saves. Symbols: S candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from speechgmm.checks import Array, hold, number, probability, refuse
from speechgmm.errors import Skipped, TooLittleSpeech
from speechgmm.evaluation.roc import Application
from speechgmm.evaluation.thresholds import Threshold
from speechgmm.looks import Look, Shown, share, some_rows, speech_of

DEFAULT_FAR = 0.05
DEFAULT_PRIOR = 0.5
"""One stranger in twenty is accepted; half of the tests are of enrolled speakers. At one in a hundred most owners with
two seconds of speech would be told that they are unknown (recipes/other_microphones)."""


@dataclass(frozen=True)
class Rule:
    """When to accept: by a rate, by costs and a prior, or from a threshold on. Without any of these: ``far=0.05``.

    Parameters
    ----------
    far : float, optional
        False accepts: the share of the strangers' tests that may be accepted as anybody.
    prior : float, optional
        Probability that a test is of one of the enrolled (`identify`), or of the claimed speaker (`verify`).
        The expected cost then decides. Posteriors are stated for it, or for 0.5.
    cost_miss, cost_fa : float
        Costs of not accepting an enrolled speaker, and of accepting anybody else.
    threshold : float, optional
        The least score that is accepted: in nats where there is a calibration, in nats per frame where there is none.

    Raises
    ------
    InvalidInput
        If a number is out of its range, or more than one way to decide is given.

    Examples
    --------
    >>> Rule(far=0.01).far
    0.01
    >>> Rule(prior=0.5, cost_miss=1, cost_fa=10).cost_fa
    10
    """

    far: float | None = None
    prior: float | None = None
    cost_miss: float = 1.0
    cost_fa: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check everything."""
        for name in ("far", "prior"):
            if getattr(self, name) is not None:
                hold(self, **{name: probability(getattr(self, name), name)})
        Application(self.stated_prior, self.cost_miss, self.cost_fa)
        if self.threshold is not None:
            number(self.threshold, "threshold", finite=True)
        given = [n for n in ("far", "prior", "threshold") if getattr(self, n) is not None]
        if len(given) > 1:
            refuse("a rule", "be a false-accept rate, a prior with costs, or a threshold", " and ".join(given))
        if self.prior is None and (self.cost_miss, self.cost_fa) != (1.0, 1.0):
            refuse("costs", "come with a prior", "costs without one", "Add the prior of an enrolled speaker.")

    @property
    def asked_far(self) -> float | None:
        """The false-accept rate that decides, None where something else does."""
        return DEFAULT_FAR if self == Rule() else self.far

    @property
    def stated_prior(self) -> float:
        """The prior that posteriors are given for."""
        return DEFAULT_PRIOR if self.prior is None else self.prior


@dataclass(frozen=True)
class Unfamiliar:
    """Why a recording is unlike those that a model knows: in words, and how far (`value`) beyond which `limit`.

    The distance is in spreads of what is usual, so that 1 is nothing special.
    """

    reason: str
    value: float
    limit: float


@dataclass(frozen=True)
class Candidate:
    """Somebody enrolled, or a class: the `name`, the `score`, and the `posterior`, None without a calibration.

    The score of a speaker is the log-likelihood ratio in nats, or, without a calibration, raw in nats per frame. That
    of a class is its mean log density in nats per frame.
    """

    name: str
    score: float
    posterior: float | None = None


@dataclass(frozen=True)
class Answer(Shown):
    """What was decided of one test.

    Parameters
    ----------
    name : str
        Of the test: a file, or all files of a test together.
    status : str
        "accepted"; "unknown", or "rejected" where one speaker was asked for; "ranked" (no calibration, so no decision);
        "too_little_speech" or "error".
    speech_seconds : float
    decision : str or None
        The name of the candidate that was accepted.
    candidates : tuple of Candidate
        The best first; also where there is speech to rank them by, but too little to decide.
    rule : Rule or None
        The rule that was applied; None accepts the best class whatever it is.
    threshold : float or None
        From where on the best is accepted; None where scores only rank, or costs decide among several.
    extrapolated : bool
        Whether the threshold lies beyond what the calibration's data can support.
    error : str or None
    skipped : tuple of Skipped
        The recordings of the test that were left out.
    missed : float or None
        The share of owners, with as much speech, who would stay below the threshold; None where that is not known.
    wanted_seconds : float or None
        How much speech in the test would bring that to one in ten; None where no amount would.
    assured : bool or None
        Whether enough is known of where people were recorded for the rate to hold; None where no rate decides.
    unfamiliar : Unfamiliar or None
        Why the test is unlike the recordings that are known, so that no rate holds for it.
    """

    name: str
    status: str
    speech_seconds: float = 0.0
    decision: str | None = None
    candidates: tuple[Candidate, ...] = ()
    rule: Rule | None = None
    threshold: float | None = None
    extrapolated: bool = False
    error: str | None = None
    skipped: tuple[Skipped, ...] = ()
    missed: float | None = None
    wanted_seconds: float | None = None
    assured: bool | None = None
    unfamiliar: Unfamiliar | None = None

    def _look(self) -> Look:
        told = self.status.replace("_", " ") + ("" if self.decision is None else f" as {self.decision!r}")
        words = [repr(self.name), told if self.error is None else f"{told}: {self.error}"]
        if self.candidates:
            best = self.candidates[0]
            words.append(f"score {best.score:+.2f}" if self.decision else f"best {best.name!r} {best.score:+.2f}")
        if self.error is None or self.candidates:
            words.append(speech_of(self.speech_seconds))
        told_of = {
            "speech": speech_of(self.speech_seconds),
            "threshold": None if self.threshold is None else f"{self.threshold:+.2f}",
            "owners missed": share(self.missed),
            "rate assured": None if self.assured is None else "yes" if self.assured else "no",
            "unfamiliar": self.unfamiliar and self.unfamiliar.reason,
            "error": self.error,
        }
        rows = [
            (rank, c.name, f"{c.score:+.3f}", "" if c.posterior is None else f"{c.posterior:.3f}")
            for rank, c in enumerate(self.candidates, 1)
        ]
        tables = (some_rows("", (">rank", "candidate", ">score", ">posterior"), rows),) if rows else ()
        return Look(tuple(words), {name: fact for name, fact in told_of.items() if fact}, tables)

    @classmethod
    def failed(
        cls,
        name: str,
        error: Exception,
        rule: Rule | None = None,
        speech_seconds: float = 0.0,
        limit: Threshold | None = None,
    ) -> Self:
        """Return the answer for a test that could not be scored, by the rule and from the `limit` that would hold."""
        status = "too_little_speech" if isinstance(error, TooLittleSpeech) else "error"
        score, extrapolated = (None, False) if limit is None else (limit.score, limit.extrapolated)
        return cls(name, status, speech_seconds, None, (), rule, score, extrapolated, str(error))


class Limits(Protocol):
    """What knows from which score on strangers are accepted at a rate: `Strangers`, or what stands for them."""

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        """Return the score that the best of so many reaches for a share `far` of all strangers."""


def threshold_for(strangers: Limits | None, rule: Rule | None, searched: int) -> Threshold | None:
    """Return the score from which a rule accepts the best of so many; None where no one score decides.

    Parameters
    ----------
    strangers : Limits or None
        How high strangers come; None where that is not known.
    rule : Rule or None
    searched : int

    Raises
    ------
    InvalidInput
        If the rule asks for a rate or costs, and nothing is known of strangers.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.evaluation import Rule, fit_strangers
    >>> strangers = fit_strangers(np.random.default_rng(0).normal(size=(2000, 50)))
    >>> round(threshold_for(strangers, Rule(far=0.01), searched=1).score, 1)
    2.3
    >>> threshold_for(strangers, Rule(threshold=2.0), searched=50).score
    2.0
    """
    if rule is None:
        return None
    if rule.threshold is not None:
        return Threshold(rule.threshold, False)
    if strangers is None:
        asked = {"far": rule.far, "prior": rule.prior}
        if named := [n for n, v in asked.items() if v is not None]:
            advice = "Train on more background speakers, enroll five people or more, or give verify a threshold."
            refuse("a model", f"be calibrated for decisions by {' and '.join(named)}", "one of raw scores", advice)
        return None
    if rule.prior is not None:
        if searched > 1:
            return None
        return Threshold(Application(rule.prior, rule.cost_miss, rule.cost_fa).threshold, False)
    assert rule.asked_far is not None
    return strangers.threshold(rule.asked_far, searched)


def decide(
    name: str,
    names: Sequence[str],
    scores: Array,
    rule: Rule | None,
    strangers: Limits | None,
    *,
    speech_seconds: float,
    posteriors: Array | None = None,
    ranking: Array | None = None,
    evidence: float | None = None,
    least_seconds: float = 0.0,
    top: int | None = None,
) -> Answer:
    """Decide on one test.

    With costs, the best is accepted where ``cost_fa * (1 - posterior)`` is at most ``cost_miss`` times the posterior of
    all candidates together: the expected costs of accepting and of answering "unknown".

    Parameters
    ----------
    name : str
        Of the test.
    names : sequence of str
        S candidates.
    scores : ndarray, shape (S,)
    rule : Rule or None
        None accepts the best, or only ranks where there are no posteriors.
    strangers : Limits or None
        How high strangers come, in the units of `evidence`.
    speech_seconds : float
    posteriors : ndarray, shape (S,), optional
        What is missing to 1 is the stranger's.
    ranking : ndarray, shape (S,), optional
        What candidates are ranked by; default: the scores.
    evidence : float, optional
        What is compared with the threshold, as that of a search for one; default: the score of the best of S.
    least_seconds : float
        With less speech nothing is decided.
    top : int, optional
        How many candidates to tell; default: all.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.evaluation import Rule
    >>> rule = Rule(threshold=0.0)
    >>> answer = decide("a.wav", ["ann", "bob"], np.array([-1.0, 3.0]), rule, None, speech_seconds=5.0)
    >>> answer.status, answer.decision
    ('accepted', 'bob')
    >>> decide("b.wav", ["ann"], np.array([-1.0]), rule, None, speech_seconds=5.0).status
    'unknown'
    """
    order = np.argsort(-(scores if ranking is None else ranking), kind="stable")
    best = int(order[0])
    known = [None] * len(names) if posteriors is None else posteriors.tolist()
    candidates = tuple(Candidate(names[i], float(scores[i]), known[i]) for i in order[:top].tolist())
    limit = threshold_for(strangers, rule, len(names) if evidence is None else 1)
    accept = _accepts(rule, limit, float(scores[best] if evidence is None else evidence), posteriors, best)
    status, error = {None: "ranked", True: "accepted", False: "unknown"}[accept], None
    if posteriors is not None and speech_seconds < least_seconds:
        status, accept = "too_little_speech", None
        error = (
            f"{name} must hold at least {least_seconds:.2f} s of speech for a decision, as this model was calibrated; "
            f"got {speech_seconds:.2f} s. Record more, or test several recordings together."
        )
    decision = names[best] if accept else None
    score, extrapolated = (None, False) if limit is None else (limit.score, limit.extrapolated)
    return Answer(name, status, speech_seconds, decision, candidates, rule, score, extrapolated, error)


def _accepts(
    rule: Rule | None, limit: Threshold | None, evidence: float, posteriors: Array | None, best: int
) -> bool | None:
    """Say whether the best is accepted; None where nothing says so."""
    if limit is not None:
        return evidence >= limit.score
    if posteriors is None or rule is None:
        return None if posteriors is None else True
    return bool(rule.cost_fa * (1 - posteriors[best]) <= rule.cost_miss * posteriors.sum())
