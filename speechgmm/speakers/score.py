"""From the features of a test to its scores against all enrolled speakers: raw, relative to a cohort, calibrated.

Calibrated scores are log-likelihood ratios against strangers, in nats. Without a calibration they stay raw, in nats per
frame. Symbols: N frames, D dimensions, S enrolled speakers, C cohort.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, finite, refuse
from speechgmm.errors import IncompatibleModel, SameRecording, Skipped, SpeechGMMError
from speechgmm.evaluation.decision import Unfamiliar
from speechgmm.evaluation.thresholds import Threshold
from speechgmm.features import Extracted
from speechgmm.looks import Shown
from speechgmm.speakers.by_recording import ByRecording
from speechgmm.speakers.calibration import StoreNorm, SystemCalibration, amount
from speechgmm.speakers.enrolled import enrolled
from speechgmm.speakers.familiarity import Familiarity, measures_of
from speechgmm.speakers.impostors import relative_to_cohort
from speechgmm.speakers.models import SpeakerModels, cohort_models
from speechgmm.speakers.sessions import EnrolledRecording
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

_AMOUNTS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0)
"""Seconds of speech that somebody may be told to record."""


@dataclass(frozen=True, eq=False)
class ScoredTest(Shown):
    """The scores of one test, which is one recording or several.

    Parameters
    ----------
    scores : ndarray, shape (S,), or None where no recording could be used
        Log-likelihood ratios, or raw scores without a calibration.
    normalized : ndarray, shape (S,), or None
        What rates are decided on: strangers' scores have one distribution, whatever the store and the amounts.
    speech_seconds : float
        In the recordings that were used.
    skipped : tuple of Skipped
        The recordings that were left out.
    error : SpeechGMMError or None
        The last reason for that.
    unfamiliar : Unfamiliar or None
        Why a recording of the test is unlike those that are known: the one that lies furthest out.
    """

    scores: Array | None
    normalized: Array | None
    speech_seconds: float
    skipped: tuple[Skipped, ...]
    error: SpeechGMMError | None
    unfamiliar: Unfamiliar | None = None


@dataclass(frozen=True, eq=False)
class Scorer(Shown):
    """Everything that tests are scored with, as it was when the scorer was made.

    Parameters
    ----------
    system : System
    models : SpeakerModels
        Of S enrolled speakers.
    calibration : SystemCalibration or None
        The system's own, or a borrowed one (see `store_domain.borrowed`); without, scores stay raw.
    norm : StoreNorm or None
        How high the impostors of their store come; None without a calibration.
    enrolled : mapping
        The recordings of all who are enrolled, by digest: none of them may be a test.
    familiarity : Familiarity or None
        What recordings are like those of the store and of the system's background.
    by_recording : ByRecording or None
        The single recordings of the speakers, where they count.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> from speechgmm.features import extract
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> scorer = Scorer.of(system, store)
    >>> test = scorer.score_test([extract(system.frontend, "data/slt/s2_1.flac")])
    >>> scorer.models.names[test.scores.argmax()]
    'slt'
    >>> store.close()
    >>> folder.cleanup()
    """

    system: System
    models: SpeakerModels
    calibration: SystemCalibration | None
    norm: StoreNorm | None
    enrolled: Mapping[str, EnrolledRecording]
    familiarity: Familiarity | None = None
    by_recording: ByRecording | None = None

    @classmethod
    def of(cls, system: System, store: SpeakerStore, *speakers: str, n_threads: int | None = None) -> "Scorer":
        """Return what scores tests against these speakers of a store, or against all: see `enrolled`."""
        found = enrolled(system, store, *speakers, n_threads=n_threads)
        around = found.domain.surroundings
        familiar = None if around is None else around.familiar()
        domain, recordings = found.domain, found.recordings
        return cls(system, found.models, domain.calibration, domain.norm, recordings, familiar, found.by_recording)

    @functools.cached_property
    def cohort(self) -> SpeakerModels | None:
        """The models of C others, whom a calibrated system carries, in the domain of the store."""
        calibration = self.system.calibration
        return cohort_models(self.models.ubm, None if calibration is None else calibration.cohort)

    def among(self, models: Array) -> "Scorer":
        """Return what scores tests against the models with these indices (n,)."""
        every = len(models) == len(self.models.names) and bool((models == np.arange(len(models))).all())
        if every:
            return self
        by_recording = self.by_recording and self.by_recording.take(models)
        chosen = replace(self, models=self.models.take(models), by_recording=by_recording)
        vars(chosen)["cohort"] = self.cohort  # the same domain, laid out once
        return chosen

    def limits(self, speech_seconds: float, best: int | None = None) -> "CandidateLimits | None":
        """Return from which LLR on a test with so much speech is accepted, None without a calibration.

        Parameters
        ----------
        speech_seconds : float
        best : int, optional
            The place of the candidate; default: one with a usual amount of speech enrolled.
        """
        c = self.calibration
        if c is None or self.norm is None:
            return None
        seconds = c.usual_seconds if best is None else float(self.models.speech_seconds[best])
        return CandidateLimits(c, self.norm, seconds or np.nan, speech_seconds or np.nan)

    def score_test(self, test: Iterable[Extracted]) -> ScoredTest:
        """Return the scores of recordings as one test, in which each counts by the root of its seconds.

        By its seconds a long one would speak for all; alike, a fragment would say as much as a sentence.
        A recording that could not be extracted or scored, is enrolled itself or is given twice is left out.
        """
        used = self._used(test)
        if not used.recordings:
            return self._scored(used, None)
        held = self.models.speech_seconds
        return self._scored(used, self._normalized(np.stack(used.ratios, axis=1), held, used.seconds))

    def _used(self, test: Iterable[Extracted]) -> "UsedRecordings":
        """Return which recordings of a test can be used, with their ratios, and what is left out."""
        used, heard = UsedRecordings(), set[str]()
        for e in test:
            try:
                self._refuse_known(e, heard)
                ratios = finite(self._ratios(e), f"the scores of {e.name}")
            except SpeechGMMError as error:
                used.skipped.append(Skipped(e.name, str(error)))
                used.errors.append(error)
                continue
            used.recordings.append(e)
            used.ratios.append(ratios)
            if self.familiarity and (why := self.familiarity.assess(measures_of(self.system.ubm, e))):
                used.strange.append(why)
        return used

    def _ratios(self, e: Extracted) -> Array:
        """Return the mean log-likelihood ratios (S + C,) of a recording against the enrolled and the cohort."""
        models = [m for m in (self.models, self.cohort) if m is not None]
        ratios = mean_over([(np.concatenate([m.ratios(x) for m in models]), len(x)) for x in e.blocks()])
        if self.by_recording is None:
            return ratios
        own, others = np.split(ratios, [len(self.models.names)])
        return np.concatenate([self.by_recording.scores(e.blocks(), own), others])

    def _refuse_known(self, e: Extracted, heard: set[str]) -> None:
        what = e.recording.path or e.name
        if e.digest in heard:
            refuse(what, "be given once in a test", "the same samples again", error=SameRecording)
        if e.digest:
            heard.add(e.digest)
        if known := self.enrolled.get(e.digest):
            found = f"the samples of {known.name}, enrolled as {known.speaker!r}"
            advice = "Testing a recording against itself says nothing; use another one."
            refuse(what, "be another recording than those enrolled", found, advice, error=SameRecording)

    def _normalized(self, ratios: Array, held: Array, seconds: Array) -> Array:
        """Return normalized scores (n,) of n speakers from ratios (n + C, R) and seconds enrolled (n,), tested (R,)."""
        relative, level = relative_to_cohort(ratios, len(held), np.sqrt(seconds))
        if self.calibration is None or self.norm is None:
            return relative
        return self.norm(self.calibration.levels.amounts(relative, held, seconds.sum(), level))

    def _scored(self, used: "UsedRecordings", relative: Array | None) -> ScoredTest:
        """Return the scores of a test from its normalized ones, None where no recording could be used."""
        c = None if self.norm is None else self.calibration
        scores = relative if c is None or relative is None else c.llr(relative)
        unfamiliar = max(used.strange, key=lambda why: why.value, default=None)
        error = used.errors[-1] if used.errors else None
        return ScoredTest(scores, relative, sum(used.seconds.tolist(), 0.0), tuple(used.skipped), error, unfamiliar)


@dataclass(frozen=True, eq=False)
class UsedRecordings:
    """The R recordings of a test that can be used, their ratios, what is strange about them; and what is left out."""

    recordings: list[Extracted] = field(default_factory=list)
    ratios: list[Array] = field(default_factory=list)
    strange: list[Unfamiliar] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    errors: list[SpeechGMMError] = field(default_factory=list)

    @property
    def seconds(self) -> Array:
        """Of speech in each recording, (R,)."""
        return np.array([e.speech_seconds for e in self.recordings])


@dataclass(frozen=True)
class CandidateLimits:
    """From which log-likelihood ratio on a test is accepted, and what that costs.

    Parameters
    ----------
    calibration : SystemCalibration
    norm : StoreNorm
        Of the store.
    enrolled, tested : float
        Seconds of speech of the candidate and of the test; NaN where not known.
    """

    calibration: SystemCalibration
    norm: StoreNorm
    enrolled: float
    tested: float

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        """Return the LLR from which a share `far` of strangers is accepted as the best of so many: see `Strangers`."""
        found = self.calibration.threshold(far, self.norm, speakers)
        return Threshold(float(self.calibration.llr(found.score)), found.extrapolated)

    def missed(self, llr: float) -> float:
        """Return the share of owners with so much speech who stay below an LLR; NaN where amounts are not known."""
        at_0, at_1 = self.calibration.llr([0.0, 1.0])
        known = float(amount(self.enrolled, self.tested))
        return float(self.calibration.owners.missed((llr - at_0) / (at_1 - at_0), known))

    def wanted_seconds(self, far: float, speakers: int = 1, *, missed: float = 0.1) -> float | None:
        """Return how much speech a test needs so that so few owners are missed; None where no amount will do.

        Parameters
        ----------
        far : float
            The share of strangers that is accepted.
        speakers : int
            How many are searched.
        missed : float
        """
        score, owners = self.calibration.threshold(far, self.norm, speakers).score, self.calibration.owners
        enough = [t for t in _AMOUNTS if owners.missed(score, amount(self.enrolled, t)) <= missed]
        return enough[0] if enough else None


def mean_over(blocks: Sequence[tuple[Array, int]]) -> Array:
    """Return the mean of scores that rest on so many frames each; one alone is taken to the last bit."""
    scores, frames = zip(*blocks, strict=True)
    return np.asarray(scores[0] if len(scores) == 1 else np.average(np.stack(scores), axis=0, weights=frames))


def log_likelihood_ratios(
    system: System, models: SpeakerModels, features: ArrayLike, *, n_threads: int | None = None
) -> Array:
    """Return the mean log-likelihood ratio of a test against each speaker.

    Parameters
    ----------
    system : System
    models : SpeakerModels
    features : array_like, shape (N, D)
        Float32 features are scored in float32, others in float64.
    n_threads : int, optional
        Default: the cores of this process, where there are speakers enough. It changes the time and nothing else.

    Returns
    -------
    ndarray, shape (S,), float64
        In nats per frame; above 0 where the speaker explains the test better than the UBM does.

    Raises
    ------
    IncompatibleModel
        If features or models are not of this system.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System, speaker_models
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> heard = {"ann": system.ubm.statistics([[8.0]] * 4), "bob": system.ubm.statistics([[-8.0]] * 4)}
    >>> models = speaker_models(system, heard)
    >>> log_likelihood_ratios(system, models, [[3.0], [5.0]]).round(3)  # of N(4, 1) and N(-4, 1) to N(0, 1)
    array([  8., -24.])
    """
    return models.ratios(check_test(system, models, features), n_threads)


def check_test(system: System, models: SpeakerModels, features: ArrayLike) -> Array:
    """Return the features of a test as a matrix, or refuse features or models of another system."""
    if models.fingerprint != system.fingerprint:
        refuse("speaker models", "be of this system", "models of another", error=IncompatibleModel)
    return system.check_features(features)
