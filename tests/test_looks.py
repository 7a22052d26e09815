"""How values look: short lines without arrays, and pieces of pages that are safe whatever names hold."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pickle
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from sklearn.pipeline import make_pipeline

from speechgmm import storage
from speechgmm.classification import AudioClassifier, Classification
from speechgmm.errors import Skipped
from speechgmm.estimators import BayesianGaussianMixture, GaussianMixture, GMMClassifier, MFCCTransformer
from speechgmm.evaluation import (
    Answer,
    Answers,
    Candidate,
    ConfusionMatrix,
    Failures,
    Scores,
    Trials,
    calibrate_scores,
    evaluate,
    roc_hull,
)
from speechgmm.features import MFCC, Corpus, FrontEnd, OwnFeatures, Recording, Signal, read_corpus
from speechgmm.looks import Axis, Shown, brief, sketch
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full, choose, fit_gmm
from speechgmm.speakers import (
    RecordingSample,
    SpeakerStore,
    default_system,
    enroll,
    enrolled,
    identify,
    train_system,
)
from tests.browser import MISSING, browser
from tests.evaluation.tables import gaussian
from tests.people import twenty_people

NASTY = '<script>document.title="bad"</script>&"\''
UNSEEN = "\u202e\x1b[2J\n\x00"
ROOMS = ("mixture", "tracking", "evaluation", "features", "speakers", "classification", "estimators", "interchange")
ALLOWED = {"div", "b", "br", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "path", "circle", "text"}
ATTRIBUTES = {"style", "colspan", "viewbox", "width", "height", "role", "aria-label", "d", "fill", "stroke", "cx", "cy"}
ATTRIBUTES |= {"stroke-width", "stroke-opacity", "r", "x", "y", "text-anchor", "transform"}


class Read(HTMLParser):
    """The text of a piece of a page, which must hold what a look may hold alone, and end what it begins."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def one() -> GMM:
    return GMM([0.25, 0.75], [[-1.0, 0.0], [1.0, 2.0]], Diagonal(np.ones((2, 2))))


def nasty_scores() -> Scores:
    held = gaussian(6, 3)
    device = [NASTY + UNSEEN[0] if i % 2 else "phone" for i in range(len(held))]
    names = [NASTY + name for name in held.speaker]
    return Scores(names, held.test, held.score, held.target, conditions={NASTY: device})


def nasty_answers() -> Answers:
    found = (Candidate(NASTY, 3.25, 0.9), Candidate("bob", -3.2, None))
    good = Answer(NASTY + UNSEEN, "accepted", 3.1, NASTY, found, threshold=1.0, missed=math.nan, assured=True)
    return Answers([good, Answer("b.wav", "error", error=f"b.wav must be sound; got {NASTY}")])


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A system of features alone, a store with names that are markup, and what was made on the way."""
    folder = tmp_path_factory.mktemp("looks")
    corpus = read_corpus(twenty_people(folder))
    training = train_system(corpus, n_components=4, frontend=OwnFeatures(dimensions=4), n_threads=1)
    mine = [Recording(r.path, f"{NASTY}{r.speaker}", r.name, f"<i>{r.name}") for r in corpus.recordings[:30:2]]
    with SpeakerStore(folder / "s.db", training.system, create=True) as store:
        added = enroll(training.system, store, mine, n_threads=1)
        yield corpus, training, store, added


def values(people):
    """Values of all kinds, with names that are markup where names are free."""
    corpus, training, store, added = people
    system = training.system
    evaluation = evaluate(nasty_scores(), by=[NASTY], replicates=20)
    rng = np.random.default_rng(0)
    fit = fit_gmm(rng.normal(size=(60, 2)), 2)
    yield from (one(), one().covariance, one().statistics(np.zeros((3, 2))), one().sample(9), fit)
    yield from (Full([np.eye(2)]), Ensemble((one(), one())), choose(rng.normal(size=(40, 1)), [1, 2]))
    yield from (MFCC(), default_system(8000), default_system(8000).frontend, default_system().calibration)
    yield from (Signal(np.zeros(16000, np.float32), 16000), corpus, Corpus.from_files(["<b>.wav"]))
    yield from (Recording(NASTY + UNSEEN, NASTY, NASTY + UNSEEN, columns={NASTY: NASTY}, start=1.5, end=3.0),)
    yield from (training, system, store, added, store.export(), enrolled(system, store), enrolled(system, store).models)
    yield from (nasty_answers(), *nasty_answers(), identify(system, store, [corpus.recordings[1].path], n_threads=1))
    yield from (nasty_scores(), evaluation, evaluation.confusion, evaluation.hull, calibrate_scores(gaussian(20)))
    yield from (ConfusionMatrix(tuple(f"{NASTY}{i}" for i in range(30)), np.ones((30, 30), int)), store.sessions()[0])
    classifier = AudioClassifier(OwnFeatures(dimensions=2), (NASTY, "c"), (one(), one()))
    yield classifier
    yield Classification((NASTY, "c"), tuple(nasty_answers()), (NASTY, "c"), ("", ""), (Skipped(NASTY, NASTY),))
    yield Failures(tests=Trials([NASTY], ["a"], [1]))


def test_every_look_is_short_safe_and_without_colors(people):
    for value in values(people):
        line, page = repr(value), value._repr_html_()
        assert line.startswith(f"{type(value).__name__}(")
        assert line != f"{type(value).__name__}(...)"
        assert len(line) < 700
        assert line.count("\n") <= 7
        assert not re.search(r"array\(|\[\[|dtype", line)
        assert line == repr(value)
        seen = line.replace("\n", "")
        assert all(char.isprintable() for char in seen)
        read = Read(page)
        assert type(value).__name__ in read.text
        assert all(char.isprintable() for char in read.text)
        assert not re.search(r"[^-]color:|#[0-9a-f]{3}|<script|background:(?!none)", page)
        assert len(page) < 30_000


def test_what_a_look_says(people):
    corpus, training, store, added = people
    assert repr(one()) == "GMM(2 components, 2 features, diagonal)"
    assert Read(one()._repr_html_()).text.split()[-10:-5] == ["0.75", "1", "2", "1", "1"]
    assert repr(one().statistics(np.zeros((3, 2)))) == "Statistics(3 frames, 2 components, 2 features)"
    assert repr(Ensemble((one(), one()))) == "Ensemble(2 and 2 components, 2 features, 1 stream)"
    assert repr(Signal(np.zeros(8000, np.float32), 16000)) == "Signal(0.50 s, 16000 Hz)"
    assert repr(corpus).startswith("Corpus(60 recordings, 20 speakers, ")
    system = training.system
    assert repr(system) == f"System({system.fingerprint}, OwnFeatures, 4 components, calibrated)"
    assert repr(training).startswith(f"Training({system!r}, 0 left out, ")
    assert repr(added) == "Enrollment(10 speakers, 15 sessions, 10 with little speech)"
    models = enrolled(system, store).models
    assert repr(models) == f"{type(models).__name__}(10 speakers, {models.ubm!r})"
    unknown = Trials(["a", "b"], ["c", "c"], [1, -1])
    assert repr(unknown) == "Trials(1 target, 1 trial without a label, 2 speakers, 1 test)"
    classifier = AudioClassifier(OwnFeatures(dimensions=2), ("a", "c"), (one(), one()))
    assert repr(classifier) == "AudioClassifier(2 labels, mixtures, OwnFeatures, not calibrated, rejects nothing)"
    attacked = Scores(["a", "a"], ["b", "c"], [1.0, 2.0], [1, 1], attack=["", "replayed"])
    assert repr(attacked) == "Scores(1 target, 1 of attacks, 1 speaker, 2 tests)"
    assert repr(Answers([Answer("a", "unknown")] * 7)).endswith("    and 2 more\n)")
    assert repr(Answers()) == "Answers()"
    text = Read(evaluate(gaussian(10), replicates=20)._repr_html_()).text
    assert "eer" in text
    assert "false alarms, %" in text


def test_a_store_tells_counts_and_never_fails(people, tmp_path, monkeypatch):
    _, training, store, _ = people
    assert repr(store).endswith("10 speakers, 15 sessions, 15 recordings)")
    assert NASTY not in repr(store)
    monkeypatch.chdir(tmp_path)  # a long path would be shortened
    with SpeakerStore("s.db", training.system, create=True, key=b"k" * 32) as other:
        assert repr(other).endswith("s.db', encrypted, 0 speakers, 0 sessions, 0 recordings)")
    (tmp_path / "s.db").write_bytes(b"no store any more")
    assert "its content cannot be read now" in repr(other)
    assert "why" in Read(other._repr_html_()).text


def test_a_value_that_is_just_being_made_has_a_repr():
    assert repr(object.__new__(GMM)) == "GMM(...)"


def test_arrays_of_public_values_are_never_written_out():
    """Whoever adds a public value with an array derives it from `Shown`."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(f"speechgmm.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and dataclasses.is_dataclass(value) and room != "estimators":
                arrays = [f.name for f in dataclasses.fields(value) if "ndarray" in str(f.type)]
                assert not arrays or issubclass(value, Shown), f"{name} would write out {arrays}"
                seen |= {name} if arrays else set()
    assert {"GMM", "Statistics", "Roc", "Tracked", "RecordingSample"} <= seen
    assert issubclass(RecordingSample, Shown)


@given(
    st.fixed_dictionaries(
        {"sample_rate": st.sampled_from([8000, 16000, 44100])},
        optional={
            "kind": st.sampled_from(["mfcc", "lfcc", "mfcc+lfcc"]),
            "n_mfcc": st.integers(2, 20),
            "fmin": st.floats(0, 200),
            "fmax": st.floats(2000, 4000),
            "dither": st.floats(0, 2),
            "deltas": st.integers(0, 2),
            "normalization": st.sampled_from(["none", "mean", "sliding", "smoothed"]),
            "rasta": st.none() | st.floats(0.9, 0.99),
        },
    )
)
def test_a_front_end_is_written_as_it_is_made(given_settings):
    frontend = MFCC(**given_settings)
    assert eval(repr(frontend), {"MFCC": MFCC}) == frontend
    assert repr(frontend).startswith(f"MFCC(sample_rate={frontend.sample_rate}")


def test_defaults_go_without_saying():
    assert repr(MFCC()) == "MFCC(sample_rate=16000)"
    assert repr(MFCC(sample_rate=8000, n_mels=24)) == "MFCC(sample_rate=8000)"
    assert repr(MFCC(sample_rate=8000, n_mels=30)) == "MFCC(sample_rate=8000, n_mels=30)"
    assert repr(OwnFeatures(dimensions=3)) == "OwnFeatures(dimensions=3)"


def test_a_front_end_of_ones_own_looks_like_its_settings():
    @dataclasses.dataclass(frozen=True)
    class Mine(FrontEnd):
        sample_rate: int = 8000
        hop_length: float = 0.02
        name: str = "plain"

        @property
        def n_dimensions(self) -> int:
            return 1

        def __call__(self, signal, *, what="the signal"):
            return np.asarray(signal)[:, None]

    assert repr(Mine(name=NASTY)) == f"Mine(sample_rate=8000, name={NASTY!r})"
    assert "plain" in Read(Mine()._repr_html_()).text


def test_fingerprints_and_files_do_not_depend_on_how_values_look(monkeypatch):
    values = one(), MFCC(), Ensemble((one(), one()))
    before = [(storage.fingerprint(v), storage.dumps(v)) for v in values]
    with monkeypatch.context() as patched:
        for cls in {c for v in values for c in type(v).__mro__ if "__repr__" in vars(c) and c is not object}:
            patched.setattr(cls, "__repr__", lambda self: pytest.fail("was asked how it looks"))
        assert [(storage.fingerprint(v), storage.dumps(v)) for v in values] == before
    assert MFCC(sample_rate=8000, kind="lfcc", prominence=20.0, min_speech=0.1).fingerprint == "0884bfdb8c229f5a"
    assert default_system().fingerprint == storage.fingerprint(default_system().frontend, default_system().ubm)


def test_answers_are_a_tuple():
    answers = nasty_answers()
    assert answers == tuple(answers)
    assert hash(answers) == hash(tuple(answers))
    back = pickle.loads(pickle.dumps(answers))
    assert (type(back), back[1]) == (Answers, answers[1])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        ((), "()"),
        (("a",) * 5, "5 of str"),
        ({}, "0 entries"),
        ({1: 2}, "1 entry"),
        (np.zeros((0, 3)), "array of 0 x 3"),
        ((one(),), "1 of GMM"),
    ],
)
def test_values_in_few_words(value, words):
    assert brief(value) == words


# Pictures


def places(picture: str) -> np.ndarray:
    line = re.search(r'<path d="M([^"]*)" fill="none"', picture)[1]
    return np.array([point.split() for point in line.split(" L")], float)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=40))
def test_a_sketch_stays_within_its_axes(points):
    axis = Axis(NASTY, -1.0, 1.0, {NASTY: 0.0})
    picture = sketch(points, axis, axis, NASTY, mark=points[0])
    assert Read(picture).text.count(NASTY) == 4
    x, y = places(picture).T
    assert 52 <= x.min() <= x.max() <= 270
    assert 8 <= y.min() <= y.max() <= 180
    ends = np.clip(np.array(points)[[0, -1]], -1, 1)
    np.testing.assert_allclose(places(picture)[[0, -1], 0], 52 + (ends[:, 0] + 1) / 2 * 218, atol=0.06)
    np.testing.assert_allclose(places(picture)[[0, -1], 1], 180 - (ends[:, 1] + 1) / 2 * 172, atol=0.06)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.5, 3))
def test_a_det_curve_is_the_hull_on_normal_deviates(seed, distance):
    """Each point of the line, taken back to rates, lies on the convex hull of the ROC."""
    rng = np.random.default_rng(seed)
    pair = rng.normal(distance, 1, 300), rng.normal(size=500)
    scores = Scores(["a"] * 800, [str(i) for i in range(800)], np.concatenate(pair), [1] * 300 + [0] * 500)
    page = evaluate(scores, replicates=0)._repr_html_()
    hull = roc_hull(*pair)
    top = ndtri(0.6 if hull.eer() < 0.4 else 0.95)
    low = ndtri(0.5 / 500), ndtri(0.5 / 300)
    x, y = places(page).T
    fa = ndtr(low[0] + (x - 52) / 218 * (top - low[0]))
    miss = ndtr(low[1] + (180 - y) / 172 * (top - low[1]))
    inside = (x > 52.1) & (x < 269.9) & (y > 8.1) & (y < 179.9)
    assert inside.sum() > 5
    on_hull = np.interp(fa, hull.p_fa[::-1], hull.p_miss[::-1])
    np.testing.assert_allclose(miss[inside], on_hull[inside], atol=0.01)


# scikit-learn's estimators, and a browser


def test_estimators_have_the_html_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(60, 2))
    fitted = GMMClassifier(n_components=1).fit(x, ["a"] * 30 + ["b"] * 30)
    parts = [GaussianMixture(2), BayesianGaussianMixture(n_components=2), GMMClassifier(), fitted, MFCCTransformer()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in (*parts, make_pipeline(MFCCTransformer(), GaussianMixture(2)), GaussianMixture(2).fit(x)):
            assert f"{type(part).__name__}" in part._repr_html_()
            assert "sk-" in part._repr_html_()
            assert type(part).__name__ in repr(part)
    assert "MFCC(sample_rate=8000)" in repr(MFCCTransformer(MFCC(sample_rate=8000)))


def test_a_browser_shows_it_in_the_colors_of_the_page(people, tmp_path):
    if MISSING:
        pytest.skip(MISSING)
    inside = "".join(value._repr_html_() for value in values(people))
    page = tmp_path / "looks.html"
    with browser() as found:
        for text, ground in (("rgb(20, 20, 20)", "rgb(255, 255, 255)"), ("rgb(230, 230, 230)", "rgb(17, 17, 17)")):
            style = f"color:{text};background:{ground}"
            page.write_text(f"<!doctype html><meta charset=utf-8><title>good</title><body style='{style}'>{inside}")
            found.look(900, 800, "light")
            messages, asked = found.open(page)
            assert messages == []
            assert asked == [page.as_uri()]
            assert found.run("return document.title") == "good"
            every = "[...document.querySelectorAll('td,th,b,svg text')].map(e => getComputedStyle(e))"
            shown = f"return [...new Set({every}.map(s => s.fill == 'rgb(0, 0, 0)' ? s.color : s.fill))]"
            assert found.run(shown) == [text]
            wide = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            assert found.run(wide)
