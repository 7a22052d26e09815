"""Whatever is read from a file is valid: a forged one is refused by name, or gives a value that works."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.classification import AudioClassifier
from speechgmm.classification.calibration import ClassCalibration, Rejection
from speechgmm.classification.machine import SupervectorMachine
from speechgmm.errors import IncompatibleModel, InvalidInput, SpeechGMMError
from speechgmm.evaluation import Calibration, Fusion, Rule, Scores, TableCalibration, calibrate_scores, decide
from speechgmm.evaluation.thresholds import Strangers
from speechgmm.features import MFCC, Recording
from speechgmm.features.extraction import Extracted
from speechgmm.mixture import GMM, Ensemble, Fit, Prior, Statistics, StepwiseState, Stop, adapt, fit_gmm, stepwise
from speechgmm.mixture.adapt import moved
from speechgmm.mixture.covariance import COVARIANCES, Diagonal
from speechgmm.speakers import RecordingSample, Session, SpeakerExport, System
from speechgmm.speakers.calibration import TYPES, AmountNorm, ImpostorLevels, OwnerScores, SystemCalibration
from speechgmm.speakers.checkpoints import Plan
from speechgmm.speakers.familiarity import Familiarity
from speechgmm.speakers.held_out import FoldStores, SimulatedStore
from speechgmm.speakers.impostors import ScoredTrials
from speechgmm.speakers.index import IndexHead
from speechgmm.speakers.models import speaker_models
from speechgmm.speakers.recording_samples import heard
from speechgmm.speakers.score import Scorer
from speechgmm.speakers.sessions import sums_by_key
from tests import forging, laws
from tests.evaluation.tables import gaussian
from tests.speakers.conftest import tiny_system
from tests.speakers.made import calibration_by_hand, with_calibration

HERE = Path(__file__).parent
CASES = int(os.environ.get("SPEECHGMM_FORGED_FILES", "120"))
"""Forged files of each kind; many more by hand."""


def good(*numbers: Any) -> None:
    """Assert that all numbers are finite."""
    for n in numbers:
        assert np.isfinite(np.asarray(n, dtype=float)).all()


def frames(d: int) -> Any:
    return np.random.default_rng(1).normal(size=(20, d)).astype(np.float32)


def use_system(system: System) -> None:
    x = frames(system.ubm.n_dimensions)
    statistics = {name: system.statistics(x[part]) for name, part in (("ann", slice(10)), ("bob", slice(10, 20)))}
    models = speaker_models(system, statistics, {"ann": 2.0, "bob": 3.0})
    test = Extracted(Recording("t.wav", "", "t.wav"), x, "digest", 4.0)
    c = system.calibration
    norms = [None] if c is None else [c.levels.norm(2), c.levels.norm(4, [np.arange(3.0) + i for i in range(4)])]
    for norm in norms:
        scorer = Scorer(system, models, c, norm, {})
        scored = scorer.score_test([test])
        if scored.error:
            raise scored.error
        assert scored.scores is not None
        good(scored.scores, scored.normalized)
        limits = scorer.limits(4.0, int(np.argmax(scored.scores)))
        for rule in (Rule(), Rule(0.2), Rule(prior=0.1)) if limits else (Rule(),):
            answer = decide("t", models.names, scored.scores, rule, limits, speech_seconds=4.0)
            good(answer.threshold or 0.0, [c.score for c in answer.candidates])
        if limits:
            assert 0 <= limits.missed(float(scored.scores[0])) <= 1
            assert (limits.wanted_seconds(0.05, 2) or 1.0) > 0
    system.summary()


def use_sample(sample: RecordingSample) -> None:
    good(sample.counts, sample.first)
    if sample.frames.shape[1] != ONE.n_dimensions:
        with pytest.raises(IncompatibleModel, match="a sample of a recording must have 2 features; got"):
            heard(ONE, sample)
    else:
        good(heard(ONE, sample).features)


def use_familiarity(familiarity: Familiarity) -> None:
    for row in (np.zeros(10), np.arange(10.0), np.full(10, 50.0), np.full(10, -50.0), [1.0]):
        good(familiarity.distances(row))
        for usual in (familiarity, familiarity.among([row, np.zeros(3)])):
            if found := usual.assess(row):
                assert found.reason
                good(found.value, found.limit)


def use_classifier(classifier: AudioClassifier) -> None:
    for rule in (None, Rule(far=0.1)) if classifier.rejection else (None,):
        answer = classifier.answer("t", frames(classifier.frontend.n_dimensions), rule=rule)
        good(answer.threshold or 0.0, [(c.score, c.posterior or 0.0) for c in answer.candidates])
    classifier.summary()


def use_mixture(gmm: GMM) -> None:
    x = frames(gmm.n_dimensions)
    good(gmm.log_density(x), gmm.posteriors(x), gmm.sample(5).frames, gmm.statistics(x).first)
    good(adapt(gmm, gmm.statistics(x)).means)


def use_ensemble(made: Ensemble) -> None:
    x = frames(made.n_dimensions)
    good(made.log_density(x), made.statistics(x).first, moved(made, made.statistics(x), 4.0).means)


def use_statistics(s: Statistics) -> None:
    good((s + 0.5 * s).first, s.variance, s.mean_log_likelihood if s.frames else 0.0)


def use_export(export: SpeakerExport) -> None:
    for s in sums_by_key((s.speaker, s) for s in export.sessions).values():
        use_statistics(s.statistics)
        assert s.summary.speech_seconds >= 0


def use_stepwise(state: StepwiseState) -> None:
    good(stepwise(state, frames(state.model.n_dimensions)).model.means)


def use_fusion(fusion: Fusion) -> None:
    table = Scores(["a", "b"], ["x", "x"], [1.0, 2.0], [1, 0])
    good(fusion(dict.fromkeys(fusion.systems, table)).score)


def use_table_calibration(made: TableCalibration) -> None:
    table = Scores(["a", "b"], ["x", "x"], [1.0, 2.0], [1, 0])
    good(made.llrs(table).score, [(t.llr, t.score) for t in made.thresholds()])
    good([f.accepted.estimate for f in made.false_accepts(table)], made.outside(table))
    assert all(isinstance(doubt, str) for doubt in made.doubts())
    made.as_dict()


def use_fit(fit: Fit[Any]) -> None:
    if not isinstance(fit.model, GMM):
        with pytest.raises(InvalidInput, match="what EM goes on from must be a GMM; got"):
            fit_gmm(frames(2), 3, init=fit)
        return
    x = frames(fit.model.n_dimensions)
    found = fit_gmm(x, fit.model.n_components, init=fit, stop=Stop(1e-3, 4), n_threads=1)
    assert found.converged or len(found.objective) >= 4
    good(found.model.means)


def use_stores(fold: FoldStores) -> None:
    for s in fold.stores:
        assert s.target.shape == (len(s.names), len(s.stranger)) == s.tests.scores.shape
        good(s.tests.scores, *(t.scores for t in s.own))


def use_plan(plan: Plan) -> None:
    assert plan.unlike(plan) == []
    assert plan.unlike(Plan({}, ""))


def use_head(head: IndexHead) -> None:
    outlines = head.outlines
    assert len(head.names) == len(head.speech_seconds)
    moments = [outlines.moments([frames(outlines.ubm.n_dimensions)])]
    means = np.repeat(outlines.ubm.offsets[None], 2, axis=0)
    assert outlines.of(means).steps.shape == means.shape
    assert len(head.known) <= len(head.marks)
    assert outlines.scores(outlines.of(means), moments).shape == (2, 1)


def use_prior(prior: Prior) -> None:
    good(prior.weights(np.ones(3)))


@dataclass(frozen=True)
class Kind:
    """A stored type: a file of it, the types that it may hold, and what is done with it."""

    data: Callable[[], bytes]
    types: tuple[type, ...]
    use: Callable[[Any], None]


def written(value: Any) -> Callable[[], bytes]:
    return lambda: storage.dumps(value)


MIXTURES = {name: laws.family_gmm(name, 3, 2) for name in COVARIANCES}
ONE = MIXTURES["diag"]
SYSTEM_TYPES = (System, MFCC, GMM, *COVARIANCES.values(), *TYPES, Familiarity)
FAMILIARITY = Familiarity(np.linspace(-2, 2, 10), np.full(10, 0.5), np.linspace(0.1, 1, 10), 2.0, 9)
SYSTEM = dataclasses.replace(with_calibration(tiny_system()), familiarity=FAMILIARITY)


def ensemble(*mixtures: GMM, streams: tuple[int, ...] = ()) -> Ensemble:
    """These about one origin."""
    return Ensemble(tuple(dataclasses.replace(m, origin=np.zeros(m.n_dimensions)) for m in mixtures), streams)


ENSEMBLE = ensemble(laws.family_gmm("diag", 3, 2), laws.family_gmm("spherical", 2, 2))
TWO_STREAMS = System(
    MFCC(sample_rate=8000, kind="mfcc+lfcc", n_mfcc=3, deltas=0),
    ensemble(*tiny_system().ubm.parts, *tiny_system(1).ubm.parts, streams=(0, 1)),
)
MACHINE = SupervectorMachine(ONE, np.linspace(0, 0.5, 9), np.linspace(-1, 1, 18).reshape(2, 9), np.array([0.5, -0.5]))
SCORED = ScoredTrials(np.arange(6.0).reshape(2, 3), np.ones(2), np.ones(3), np.zeros(3))
FOLD = FoldStores((SimulatedStore(("ann", "bob"), SCORED, ("ann", "bob", "eve"), (SCORED,)),))
HEAD = IndexHead("f", 8.0, np.array([7, 2**63], np.uint64), ("ann", "bob"), [2.0, 3.0], ONE, False)
KINDS = {
    "two streams": Kind(written(with_calibration(TWO_STREAMS)), (*SYSTEM_TYPES, Ensemble), use_system),
    "ensemble": Kind(written(ENSEMBLE), (Ensemble, *COVARIANCES.values()), use_ensemble),
    "system": Kind(written(SYSTEM), SYSTEM_TYPES, use_system),
    "familiarity": Kind(written(FAMILIARITY), (Familiarity,), use_familiarity),
    "sample": Kind(
        written(RecordingSample("d", 2.0, np.ones(3), np.ones((3, 2)), np.ones((4, 2)), 1.0)),
        (RecordingSample,),
        use_sample,
    ),
    "classifier": Kind(
        (HERE / "classification/data/kinds.sgmm").read_bytes,
        (AudioClassifier, MFCC, GMM, Diagonal, ClassCalibration, Rejection),
        use_classifier,
    ),
    "machine": Kind(
        written(AudioClassifier(MFCC(n_mfcc=1, deltas=1), ("a", "b"), (), machine=MACHINE)),
        (AudioClassifier, MFCC, SupervectorMachine),
        use_classifier,
    ),
    "both": Kind(
        written(AudioClassifier(MFCC(n_mfcc=1, deltas=1), ("a", "b"), (ONE, ONE), machine=MACHINE, weight=0.5)),
        (AudioClassifier, MFCC, GMM, Diagonal, SupervectorMachine),
        use_classifier,
    ),
    "export": Kind((HERE / "speakers/data/speakers.sgmm").read_bytes, (SpeakerExport, Session, Statistics), use_export),
    **{n: Kind(written(m), (GMM, *COVARIANCES.values()), use_mixture) for n, m in MIXTURES.items()},
    "stepwise": Kind(written(StepwiseState.of(ONE)), (StepwiseState, GMM, Diagonal, Statistics), use_stepwise),
    "statistics": Kind(written(ONE.statistics(frames(2))), (Statistics,), use_statistics),
    "fusion": Kind(written(Fusion(("a", "b"), np.array([0.5, 1.5]), -1.0, 0.5, 9)), (Fusion,), use_fusion),
    "table calibration": Kind(
        written(calibrate_scores(gaussian(8), replicates=20)), (TableCalibration,), use_table_calibration
    ),
    "fit": Kind(written(Fit(ONE, (-2.5, -2.25), ({"floored": 2}, {}), converged=False)), (Fit, GMM, Diagonal), use_fit),
    "fold": Kind(written(FOLD), (FoldStores,), use_stores),
    "plan": Kind(written(Plan({"seed": "0", "numpy": "2.4"}, "d")), (Plan,), use_plan),
    "head of an index": Kind(written(HEAD), (IndexHead,), use_head),
    "prior": Kind(written(Prior(np.zeros(2), Diagonal(np.ones((1, 2))), 0.5, 1.0, 2.0)), (Prior, Diagonal), use_prior),
}


def outcome(kind: Kind, data: bytes) -> str:
    """Load and use a file, and return "refused" or "works"; any other end is an error."""
    try:
        value = storage.loads(data, *kind.types)
    except SpeechGMMError:
        return "refused"
    try:
        with np.errstate(over="ignore"):
            kind.use(value)
    except InvalidInput as error:
        if "within reach" in str(error):  # a mixture may lie anywhere; frames about 0 may be out of its reach
            return "refused"
        raise
    again = storage.loads(storage.dumps(value), *kind.types)
    assert storage.dumps(again) == storage.dumps(value)
    return "works"


@pytest.mark.parametrize("name", KINDS)
def test_a_forged_file_is_refused_or_works(name: str) -> None:
    kind, rng, ends = KINDS[name], np.random.default_rng(list(KINDS).index(name)), {"refused": 0, "works": 0}
    data = kind.data()
    assert outcome(kind, forging.closed(*forging.opened(data))) == "works"
    for _ in range(CASES):
        what, file = forging.forged(data, rng)
        try:
            ends[outcome(kind, file)] += 1
        except Exception as error:
            error.add_note(what)
            raise
    assert min(ends.values()) > CASES / 50, ends


NARROW = GMM([1.0], [[0.0]], Diagonal([[1e-30]]))
STRANGERS = {
    "sizes": [1.0, 2.0],
    "searches": [9.0, 4.0],
    "rates": [[0.1, 1.0], [0.1, 1.0]],
    "scores": [[2.0, 1.0], [3.0, 1.0]],
    "edge": [0.5, 0.5],
    "scale": [1.0, 0.0],
    "shape": [0.0, 0.1],
}
ZERO = np.zeros(1)


def strangers(**changed: Any) -> Strangers:
    return Strangers(**{**STRANGERS, **changed})


def session(**changed: Any) -> Session:
    s = Statistics(ZERO, [1.0], [[0.0]], [[1.0]], 0.0, 1.0)
    fields = {"speaker": "ann", "name": "a", "statistics": s, "speech_seconds": 1.0, "recordings": {"d": "x"}}
    return Session(**{**fields, **changed})


CLASSIFIER = storage.loads(KINDS["classifier"].data(), *KINDS["classifier"].types)


def cohort(change: Callable[[Any], Any]) -> System:
    return dataclasses.replace(SYSTEM, calibration=calibrated(cohort=change(calibration_by_hand(SYSTEM).cohort)))


def calibrated(**changed: Any) -> SystemCalibration:
    return dataclasses.replace(calibration_by_hand(SYSTEM), **changed)


def amounts(**changed: Any) -> AmountNorm:
    return dataclasses.replace(calibrated().levels.amounts, **changed)


def levels(**changed: Any) -> ImpostorLevels:
    return dataclasses.replace(calibrated().levels, **changed)


def owners(**changed: Any) -> OwnerScores:
    return dataclasses.replace(calibrated().owners, **changed)


def sample(**changed: Any) -> RecordingSample:
    fields = {"digest": "d", "speech_seconds": 1.0, "counts": [1.0], "first": [[0.0]], "frames": [[0.0]]}
    return RecordingSample(**{**fields, "frame_seconds": 0.5, **changed})


REFUSED: dict[str, Callable[[], Any]] = {
    r"the scale of a calibration must be above 0.*; got -1": lambda: ClassCalibration(-1.0, ZERO),
    r"the offsets of a calibration must be a vector": lambda: ClassCalibration(1.0, [[0.0]]),
    r"offsets must have magnitudes of at most 1e\+100": lambda: Calibration([1.0], [1e101], [], []),
    r"the offsets of the calibration must have shape": lambda: dataclasses.replace(
        CLASSIFIER, calibration=ClassCalibration(1.0, ZERO)
    ),
    r"the weights of evidence must be three for each part": lambda: Rejection([1.0], ZERO, ZERO),
    r"the weights of evidence must have shape \(3,\)": lambda: dataclasses.replace(
        CLASSIFIER, rejection=Rejection(np.ones(6), ZERO, ZERO)
    ),
    "the weight of the machine must be at least 0": lambda: dataclasses.replace(CLASSIFIER, weight=-1.0),
    r"the weights of planes must have shape \(2, 9\)": lambda: dataclasses.replace(MACHINE, weights=np.zeros((2, 8))),
    r"the center of rows must have shape \(9,\)": lambda: dataclasses.replace(MACHINE, center=ZERO),
    r"the offsets of planes must be a vector of two": lambda: dataclasses.replace(MACHINE, offsets=ZERO),
    r"the known values must be sorted": lambda: Rejection([1.0] * 3, [1.0, 0.0], ZERO),
    r"rates of strangers must be counted for sizes that ascend from 1": lambda: strangers(sizes=[2.0, 3.0]),
    r"rates of strangers must ascend from above 0": lambda: strangers(rates=[[0.1, 1.1], [0.1, 1.0]]),
    r"rates of strangers must be of scores that descend": lambda: strangers(scores=[[1.0, 2.0], [3.0, 1.0]]),
    r"must have a tail that begins above 0": lambda: strangers(edge=[0.0, 0.5]),
    r"must have a tail of a scale of at least 0": lambda: strangers(scale=[-1.0, 0.0]),
    r"must have a tail of a shape from -1 to 1": lambda: strangers(shape=[0.0, 2.0]),
    r"the systems of a fusion must be at least one, and different": lambda: Fusion(("a", "a"), [1.0, 1.0], 0.0, 0.5, 1),
    r"the systems of a fusion, at 0, must be a str; got an int": lambda: Fusion((1,), [1.0], 0.0, 0.5, 1),  # type: ignore[arg-type]
    r"trials must be at least 1; got 0": lambda: Fusion(("a",), [1.0], 0.0, 0.5, 0),
    r"the statistics of a session must be a Statistics; got a str": lambda: session(statistics="x"),
    r"the recordings of a session must be a Mapping": lambda: session(recordings=[]),
    r"digests and names of recordings, at 1, must be a str": lambda: session(recordings={"d": 1}),
    r"speech_seconds must be finite; got inf s": lambda: session(speech_seconds=np.inf),
    r"sessions must be a tuple, each of a Session; got a int": lambda: SpeakerExport("f", 1),  # type: ignore[arg-type]
    r"counts must be at least 0; got -1 of component 0": lambda: Statistics(ZERO, [-1.0], [[0.0]], [[1.0]], 0.0, 1.0),
    r"counts must be finite": lambda: Statistics(ZERO, [np.nan], [[0.0]], [[1.0]], 0.0, 1.0),
    r"counts and origin of statistics must be vectors": lambda: Statistics([[0.0]], [1.0], [[0.0]], [[1.0]], 0.0, 1.0),
    r"the second moments must have shape \(\., 1\)": lambda: Statistics(ZERO, [1.0], [[0.0]], [1.0], 0.0, 1.0),
    r"moments must have means and variances that double": lambda: Statistics(ZERO, [1.0], [[1e200]], [[1.0]], 0.0, 1.0),
    r"the UBM must have deviations from 1e-12 to 1e\+12": lambda: NARROW.check_reach("the UBM"),
    r"variances must be at least 1e-306; got 1e-307": lambda: Diagonal([[1e-307]]),
    r"means must have magnitudes of at most 1e\+151": lambda: GMM([1.0], [[1e160]], Diagonal([[1.0]])),
    r"the cohort must be of different people": lambda: cohort(np.zeros_like),
    r"within 1e\+12 deviations of the UBM; got": lambda: cohort(lambda c: 1e30 * c),
    r"the cohort must be at least two models of shape": lambda: calibrated(cohort=np.zeros((1, 4, 3))),
    r"the cohort must be finite": lambda: calibrated(cohort=np.full((2, 4, 3), np.nan)),
    r"levels of a calibration must be an ImpostorLevels; got an int": lambda: calibrated(levels=1),
    r"llr of a calibration must be a Calibration; got a NoneType": lambda: calibrated(llr=None),
    r"owners of a calibration must be an OwnerScores": lambda: calibrated(owners="x"),
    r"measured of a calibration must be a Mapping": lambda: calibrated(measured=[]),
    r"the map to LLRs must know scores alone; got 1 kinds of side": lambda: calibrated(
        llr=Calibration([1.0, 0.1], [0.0, 0.0], [1.0], [2.0])
    ),
    r"what is known of strangers must be a tuple, each of a Strangers": lambda: calibrated(strangers=strangers()),
    r"what is known of strangers must be of 3 sizes of stores; got 1": lambda: calibrated(strangers=(strangers(),)),
    r"least_seconds must be at least 0 s and at most 3600 s; got -1": lambda: calibrated(least_seconds=-1),
    r"usual_seconds must be at least 0 s and at most .*; got nan": lambda: calibrated(usual_seconds=np.nan),
    r"location by amount must have shape \(4,\)": lambda: amounts(location=[0.0]),
    r"scale by amount must be finite": lambda: amounts(scale=[np.nan, 0.0, 0.0]),
    r"proportion by amount must be finite": lambda: amounts(proportion=[np.inf, 0.0, 0.0, 0.0]),
    r"low by amount must have shape \(2,\)": lambda: amounts(low=[1.0]),
    r"amounts of speech must run from low above 0 to high; got \[0\. 1\.\]": lambda: amounts(low=[0.0, 1.0]),
    r"amounts of speech must run from low above 0 to high; got .* to \[0\.01": lambda: amounts(high=[0.01, 1.0]),
    r"the scale of strangers' scores must lie between 1e-100 and 1e\+100": lambda: amounts(scale=[300.0, 0.0, 0.0]),
    r"scale of strangers' scores must lie between 1e-100 and .*; got": lambda: amounts(
        scale=[110.0, -230.0, 230.0], low=[1.0, 1.0], high=[2.6, 2.6]
    ),
    r"the norm by amounts must be an AmountNorm": lambda: levels(amounts=1),
    r"the sizes of stores must be whole numbers that ascend from 1; got \[2": lambda: levels(sizes=[2.0, 3.0, 8.0]),
    r"the sizes of stores must be whole numbers that ascend from 1; got \[1\.  1": lambda: levels(
        sizes=[1.0, 1.5, 8.0]
    ),
    r"the location of impostors must have shape \(3,\)": lambda: levels(location=[0.0]),
    r"the scale of impostors must be above 0 for each size": lambda: levels(scale=[1.0, 0.0, 1.0]),
    r"the mean of owners' scores must have shape \(2,\)": lambda: owners(mean=[0.0]),
    r"the deviation of owners' scores must be at least 1e-06": lambda: owners(deviation=0.0),
    r"the least amount must be at least 1e-06 s": lambda: owners(low=0.0),
    r"the most must be at least 0\.1 s": lambda: owners(high=0.05),
    r"the digest of a recording must be a str": lambda: sample(digest=1),
    r"a sample of a recording must be of shapes \(K,\), \(K, D\) and \(n, S D\); got \(2,\)": lambda: sample(
        counts=[1.0, 1.0]
    ),
    r"a sample of a recording must be of shapes .*; got .* and \(\)\.": lambda: sample(frames=1.0),
    r"a sample of a recording must be of shapes .*; got .* and \(0, 1\)": lambda: sample(frames=np.zeros((0, 1))),
    r"counts must be at least 0; got -1$|counts must be at least 0; got -1\.": lambda: sample(counts=[-1.0]),
    r"frames must have magnitudes of at most 65504": lambda: sample(frames=[[1e5]]),
    r"frame_seconds must be at least 0 s; got -1": lambda: sample(frame_seconds=-1.0),
    r"the front end must be a FrontEnd; got a str": lambda: dataclasses.replace(SYSTEM, frontend="mfcc"),
    r"info must be a Mapping; got a list": lambda: dataclasses.replace(CLASSIFIER, info=[]),
    r"n_mels must be at least 2 and at most 1000": lambda: MFCC(n_mels=10**9),
    r"updates must be at least 0 and at most": lambda: StepwiseState.of(ONE, 10**40),
}


@pytest.mark.parametrize("words", REFUSED)
def test_each_constructor_says_what_it_refuses(words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        REFUSED[words]()


def test_arrays_are_held_as_copies_that_nobody_can_change() -> None:
    given = {name: np.array(value) for name, value in STRANGERS.items()}
    held = Strangers(**given)
    for name, array in given.items():
        array[...] = 7
        np.testing.assert_array_equal(getattr(held, name), STRANGERS[name])
        with pytest.raises(ValueError, match="read-only"):
            getattr(held, name)[...] = 7
    computed = ONE.statistics(frames(2))
    for name in ("origin", "counts", "first", "second"):
        assert not getattr(computed + computed, name).flags.writeable
    counts = np.ones(3)
    ONE.imagined(counts)
    counts[0] = 2  # still its owner's
