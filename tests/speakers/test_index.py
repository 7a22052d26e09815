"""Indices of very many speakers: the scores of a search, its parts, its outlines, and files that are not right."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import DamagedSessionWarning, IncompatibleModel, InvalidInput
from speechgmm.features import MFCC, Corpus, Extracted, Recording
from speechgmm.mixture import GMM, Diagonal, Full
from speechgmm.speakers import (
    IndexScorer,
    ScoredTest,
    Scorer,
    Searched,
    SpeakerIndex,
    SpeakerStore,
    System,
    identify,
    index,
    search,
)
from speechgmm.speakers.domain import content
from speechgmm.speakers.index import Block, read_index, write_blocks
from speechgmm.speakers.outlines import Outlines
from speechgmm.storage import fingerprint
from tests import oracle
from tests.laws import close, plain
from tests.sounds import Array
from tests.speakers.made import enroll_frames, extracted, speaker_frames, with_calibration
from tests.speakers.test_damaged_store import change, flip
from tests.speakers.test_several_mixtures import two_streams, voices

NUMBER = 4e-5
"""Of means that are kept as float32, and of scores that are taken in it."""


def system_of(k: int = 6, d: int = 4, seed: int = 0, **settings: Any) -> System:
    rng = np.random.default_rng(seed)
    ubm = GMM(rng.dirichlet(np.full(k, 5.0)), rng.normal(0, 2, (k, d)), Diagonal(rng.uniform(0.5, 2, (k, d))))
    return System(MFCC(sample_rate=8000, n_mfcc=d, deltas=0), ubm, **settings)


CALIBRATED = with_calibration(system_of())


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 21 people, with one recording to three each."""
    path, rng = tmp_path_factory.mktemp("index") / "people.db", np.random.default_rng(5)
    with SpeakerStore(path, CALIBRATED, create=True) as store:
        enroll_frames(CALIBRATED, store, {f"p{i:02}": speaker_frames(rng, 1 + i % 3, 40 + 9 * i) for i in range(21)})
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shortlist of four, and outlines of three at once."""
    monkeypatch.setattr(search, "_OUTLINES", 3)
    monkeypatch.setattr(search, "shortlisted", lambda _: 4)


@pytest.fixture
def store(people: Path) -> Iterator[SpeakerStore]:
    with SpeakerStore(people, CALIBRATED) as opened:
        yield opened


def written(system: System, store: SpeakerStore, folder: Path) -> SpeakerIndex:
    SpeakerIndex.write(system, store, folder / "index")
    return SpeakerIndex.open(folder / "index", system, store)


def spoken(system: System, sizes: Sequence[int] = (70,), seed: int = 3) -> list[Extracted]:
    rng, d = np.random.default_rng(seed), system.ubm.n_dimensions
    return [extracted(system, rng.normal(0.5, 2, (n, d)).astype(np.float32), f"t{n}") for n in sizes]


def same(found: ScoredTest, wanted: ScoredTest, *, atol: float) -> None:
    assert found.scores is not None
    assert wanted.scores is not None
    assert found.normalized is not None
    assert wanted.normalized is not None
    close(found.normalized, wanted.normalized, atol=atol)
    close(found.scores, wanted.scores, atol=atol)
    assert (found.speech_seconds, found.skipped) == (wanted.speech_seconds, wanted.skipped)


@pytest.mark.parametrize("sizes", [(70,), (40, 90, 33)])
def test_a_shortlist_of_everybody_has_the_scores_of_a_store(store: SpeakerStore, tmp_path: Path, sizes: Any) -> None:
    found = IndexScorer.within(CALIBRATED, store, written(CALIBRATED, store, tmp_path))
    for system in (CALIBRATED, dataclasses.replace(CALIBRATED, calibration=None)):
        found = IndexScorer.within(system, store, found.index)
        test = [*spoken(system, sizes), spoken(system, sizes)[0]]  # the last is given twice
        same(found.score_test(test), Scorer.of(system, store).score_test(test), atol=2e-3)


def test_two_streams_and_single_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = dataclasses.replace(with_calibration(two_streams()), by_recording=True)
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        enrolled = {
            name: np.array_split(x.astype(np.float32), 1 + i % 3) for i, (name, x) in enumerate(voices(9).items())
        }
        enroll_frames(system, store, enrolled)
        found = IndexScorer.within(system, store, written(system, store, tmp_path))
        for best in (20, 4):  # of nine
            monkeypatch.setattr("speechgmm.speakers.by_recording.BEST", best)
            monkeypatch.setattr("speechgmm.speakers.search.BEST", best)
            test = spoken(system, (50, 80))
            same(found.score_test(test), Scorer.of(system, store).score_test(test), atol=2e-3)


@pytest.mark.usefixtures("small")
def test_the_rest_is_never_above_the_shortlist_which_has_the_scores_of_a_store(
    store: SpeakerStore, tmp_path: Path
) -> None:
    found, exact = (
        IndexScorer.within(CALIBRATED, store, written(CALIBRATED, store, tmp_path)),
        Scorer.of(CALIBRATED, store),
    )
    for seed in range(5):
        test = spoken(CALIBRATED, seed=seed)
        shortlist = found.search(test).shortlist
        scored, wanted = found.score_test(test), exact.score_test(test)
        assert scored.scores is not None
        assert wanted.scores is not None
        assert len(shortlist) == 4
        assert len(scored.scores) == 21
        close(scored.scores[shortlist], wanted.scores[shortlist], atol=2e-3)
        assert np.delete(scored.scores, shortlist).max() <= scored.scores[shortlist].min()
        some = np.array([17, 2, 5])
        same(found.among(some).score_test(test), exact.among(some).score_test(test), atol=2e-3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("parts", [1, 2, 3, 5, 23])
def test_parts_give_the_bits_of_the_whole(store: SpeakerStore, tmp_path: Path, parts: int) -> None:
    whole = IndexScorer.within(CALIBRATED, store, written(CALIBRATED, store, tmp_path))
    scorers = [
        IndexScorer.within(CALIBRATED, store, read_index(tmp_path / "index").part(i, parts)) for i in range(parts)
    ]
    assert sum(s.index.stop - s.index.start for s in scorers) == 21
    for sizes in ((60,), (30, 45)):
        test = spoken(CALIBRATED, sizes)
        wanted, found = whole.score_test(test), whole.merged(test, [s.search(test) for s in reversed(scorers)])
        assert np.array_equal(found.scores, wanted.scores)  # type: ignore[arg-type]
        assert np.array_equal(found.normalized, wanted.normalized)  # type: ignore[arg-type]


def test_how_many_are_scored_exactly() -> None:
    assert [search.shortlisted(n) for n in (1, 3000, 20_000, 30_050, 100_000, 10**6)] == [
        200,
        200,
        200,
        300,
        1000,
        1000,
    ]


def test_parts_that_do_not_fit(store: SpeakerStore, tmp_path: Path, small: None) -> None:
    whole = written(CALIBRATED, store, tmp_path)
    scorer, test = IndexScorer.within(CALIBRATED, store, whole), spoken(CALIBRATED)
    first = IndexScorer.within(CALIBRATED, store, whole.part(0, 2)).search(test)
    for parts, told in (([first], "0 to 10"), ([first, first], "0 to 10, 0 to 10"), ([], "none")):
        with pytest.raises(InvalidInput, match=f"parts of a search must be of all 21 speakers, each once; got {told}"):
            scorer.merged(test, parts)
    with pytest.raises(InvalidInput, match="number of a part must be at least 0 and at most 1; got 2"):
        whole.part(2, 2)


def test_a_test_without_a_recording(store: SpeakerStore, tmp_path: Path) -> None:
    scorer = IndexScorer.within(CALIBRATED, store, written(CALIBRATED, store, tmp_path))
    failed = [Extracted(Recording("x", "", "x"), None, "", 0.0, error=InvalidInput("too quiet"))]
    for found in (scorer.score_test(failed), scorer.merged(failed, [])):
        assert found.scores is None
        assert str(found.error) == "too quiet"
    with pytest.raises(
        InvalidInput, match="recordings of a test must be at least one that can be used; got none; too quiet"
    ):
        scorer.search(failed)
    with pytest.raises(InvalidInput, match="must be at least one that can be used; got none"):
        scorer.search([])


def outline_by_definition(system: System, offsets: Array, x: Array) -> float:
    """Return the second order of the ratio, frame by frame and component by component."""
    ubm, total = system.ubm, 0.0
    assert isinstance(ubm, GMM)
    deviations = np.sqrt(ubm.covariance.variances)  # type: ignore[attr-defined]
    for frame in x.astype(float):
        for k, p in enumerate(oracle.posteriors(frame.tolist(), plain(ubm))):
            z, away = (frame - ubm.means[k]) / deviations[k], (offsets[k] - ubm.offsets[k]) / deviations[k]
            total += p * float(z @ away) - 0.5 * p**2 * float(away @ away)
    return total / len(x)


def made_people(system: System, n: int, spread: float = 0.5, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return np.asarray(system.ubm.offsets + spread * rng.normal(size=(n, *system.ubm.means.shape)))


def test_outlines_are_the_second_order_of_the_ratio() -> None:
    system, x = system_of(), spoken(system_of(), (12,))[0].features
    assert x is not None
    people, outlines = made_people(system, 5), Outlines(system.ubm)
    rows, moments = outlines.of(people), outlines.moments([x[:5], x[5:]])
    off = outlines.scores(rows, [moments])[:, 0] - [outline_by_definition(system, p, x) for p in people]
    half_a_step = np.einsum("sk,kd->s", rows.size / 2, np.abs(moments.linear))
    assert (np.abs(off) < half_a_step + NUMBER).all()
    assert np.abs(off).max() < 0.01


def test_steps_of_an_outline_are_as_fine_as_eight_bits_allow() -> None:
    system = system_of()
    people, outlines = made_people(system, 7), Outlines(system.ubm)
    people[3, 2] = system.ubm.offsets[2]  # a component of which nothing was heard
    rows = outlines.of(people)
    away = (people - system.ubm.offsets) / outlines.deviations
    assert rows.steps.dtype == np.int8
    assert (np.abs(rows.steps).max(axis=2)[away.any(axis=2)] == 127).all()
    assert (np.abs(rows.steps * rows.size[:, :, None] - away) <= 0.5001 * rows.size[:, :, None] + 1e-9).all()
    close(rows.squares, np.square(away).sum(axis=2), rtol=1e-5)
    assert not rows.steps[3, 2].any()


def test_where_components_do_not_overlap_the_second_order_is_the_ratio() -> None:
    system = system_of()
    apart = GMM(np.full(3, 1 / 3), np.diag([90.0, 90.0, 90.0, 90.0])[:3], Diagonal(np.ones((3, 4))))
    system, rng = dataclasses.replace(system, ubm=apart), np.random.default_rng(2)
    x = (apart.means[rng.integers(0, 3, 50)] + rng.normal(size=(50, 4))).astype(np.float32)
    people = made_people(system, 4)
    outlines = Outlines(system.ubm)
    exact = [float((apart.with_means(apart.origin + p).log_density(x) - apart.log_density(x)).mean()) for p in people]
    close(outlines.scores(outlines.of(people), [outlines.moments([x])])[:, 0], exact, atol=4e-3)


def indexed(system: System, people: Array, path: Path) -> IndexScorer:
    """Write an index of people without a store, in blocks of 64, and return what searches it."""
    starts = range(0, len(people), 64)
    parts = [people[a : a + 64] for a in starts]
    rows = (
        Block(tuple(f"{a + i}" for i in range(len(p))), np.full(len(p), 9.0), p)
        for a, p in zip(starts, parts, strict=True)
    )
    write_blocks(path, system, system.ubm, rows)
    found = read_index(path)
    return IndexScorer(system, found.take(live := np.arange(len(people))), None, None, {}, index=found, live=live)


def test_the_first_is_the_exact_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small form of `recipes/benchmarks/many_speakers.py`: 600 people, of whom 30 are scored exactly."""
    monkeypatch.setattr(search, "shortlisted", lambda _: 30)
    system = system_of(24, 8)
    people = made_people(system, 600, 0.25)
    scorer, rng, right, own = indexed(system, people, tmp_path / "index"), np.random.default_rng(4), 0, 0
    for i in range(60):
        speaker = system.ubm.with_means(system.ubm.origin + people[i])
        assert isinstance(speaker, GMM)
        x = speaker.sample(20, rng).frames.astype(np.float32)
        found = scorer.score_test([extracted(system, x)]).scores
        assert found is not None
        first = int(np.argmax(found))
        right += first == int(np.argmax(scorer.models.ratios(x)))
        own += first == i
    assert right == 60
    assert 20 < own < 60, "tests that are too easy, or say nothing"


def test_narrow_components_are_scored_in_float64(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ubm = GMM([0.5, 0.5], rng.normal(0, 3, (2, 4)), Diagonal(np.array([np.full(4, 1e-7), np.ones(4)])), np.zeros(4))
    system = dataclasses.replace(system_of(), ubm=ubm)
    people = made_people(system, 3, 1e-4)
    scorer = indexed(system, people, tmp_path / "index")
    assert scorer.index.head.narrow
    x = ubm.sample(30, 1).frames.astype(np.float32)
    wanted = [
        float((ubm.with_means(p + ubm.origin).log_density(x.astype(float)) - ubm.log_density(x.astype(float))).mean())
        for p in people
    ]
    close(scorer.score_test([extracted(system, x)]).scores, wanted, atol=1e-4)


def test_covariances_that_are_not_independent_are_refused() -> None:
    ubm = GMM([1.0], np.zeros((1, 2)), Full(np.eye(2)[None]))
    with pytest.raises(
        InvalidInput, match=r"covariance of a UBM whose speakers are indexed must be .*Independent; got .*Full"
    ):
        Outlines(ubm)


def test_an_index_is_of_one_state_of_one_store(store: SpeakerStore, tmp_path: Path) -> None:
    found = written(CALIBRATED, store, tmp_path)
    other = dataclasses.replace(CALIBRATED, relevance=9.0)
    with pytest.raises(IncompatibleModel, match=r"must be of its relevance factor; got one of another\. Write it anew"):
        SpeakerIndex.open(tmp_path / "index", other, store)
    another = with_calibration(system_of(seed=7))
    with pytest.raises(IncompatibleModel, match="must be of this model; got one of another"):
        found.check(another, store)
    copy = tmp_path / "copy.db"
    copy.write_bytes(Path(store.location).read_bytes())
    with SpeakerStore(copy, CALIBRATED) as changed:
        found.check(CALIBRATED, changed)
        changed.rename("p03", "renamed")
        for use in (
            lambda: SpeakerIndex.open(tmp_path / "index", CALIBRATED, changed),
            lambda: identify(CALIBRATED, changed, ["x.wav"], index=found),
        ):
            with pytest.raises(
                IncompatibleModel, match="must be of the store as it is now; got one of another, or of which"
            ):
                use()
        again = written(CALIBRATED, changed, tmp_path)  # over the former one, which its readers keep
        assert "renamed" in again.head.names
        assert "p03" in found.head.names
        x = spoken(CALIBRATED)
        same(
            IndexScorer.within(CALIBRATED, store, found).score_test(x),
            Scorer.of(CALIBRATED, store).score_test(x),
            atol=2e-3,
        )


@pytest.fixture
def five(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of five people."""
    for module in ("following", "domain"):
        monkeypatch.setattr(f"speechgmm.speakers.{module}.MOST", 5)


def recordings_of(
    store: SpeakerStore, name: str, rng: np.random.Generator, n: int, *, inside: bool = False
) -> list[Array]:
    """Return n recordings, with which somebody would or would not be one of the five whose domain it is."""
    contents = store.contents
    known = {r.digest for r in contents.people[name].recordings} if name in contents.people else set[str]()
    last = contents.people[contents.first(5)[-1]].order
    while True:
        found = speaker_frames(rng, n, 90)
        if (content(name, known | set(map(fingerprint, found))) < last) == inside:
            return found


@pytest.mark.parametrize("by_recording", [False, True])
@pytest.mark.usefixtures("small", "five")
def test_who_was_enrolled_since_is_scored_beside_it(people: Path, tmp_path: Path, by_recording: bool) -> None:
    """As by the store itself, in one process or in several."""
    system, rng = dataclasses.replace(CALIBRATED, by_recording=by_recording), np.random.default_rng(8)
    copy = tmp_path / "copy.db"
    copy.write_bytes(people.read_bytes())
    with SpeakerStore(copy, system) as store, SpeakerStore(copy, system) as other:
        found, again = written(system, store, tmp_path), store.contents.first(99)[-1]
        for i, step in enumerate(({}, {"q1": 1}, {"q2": 2, again: 1}, {again: 1})):
            for name, n in step.items():
                enroll_frames(system, other, {name: recordings_of(other, name, rng, n)}, session=f"later {i}")
            for seed in range(2):
                test = spoken(system, (50, 80), seed)
                scorer, exact = IndexScorer.within(system, store, found), Scorer.of(system, store)
                assert sorted(scorer.models.names) == list(exact.models.names)
                order = np.argsort(scorer.models.names)
                scored, wanted = scorer.score_test(test).normalized, exact.score_test(test).normalized
                assert scored is not None
                assert wanted is not None
                held = np.searchsorted(scorer.live, scorer.search(test).shortlist)
                exactly = [*held, *range(len(scorer.live), len(order))]
                if not by_recording:  # which move all by what the best ones are moved
                    close(scored[exactly], wanted[np.argsort(order)][exactly], atol=2e-3)
                parts = [IndexScorer.within(system, store, found.part(i, 3)).search(test) for i in range(3)]
                assert np.array_equal(scorer.merged(test, parts).normalized, scored)  # type: ignore[arg-type]
                some = order[:: len(order) // 4]
                close(scorer.models.take(some).offsets, exact.models.offsets[:: len(order) // 4], atol=1e-5)
        changes = found.changes(store.contents)
        assert changes.since == tuple(sorted(("q1", "q2", again)))
        assert [n for n, stale in zip(found.head.names, changes.stale, strict=True) if stale] == [again]
        assert np.array_equal(scorer.models.offsets[order], scorer.models.take(order).offsets)


def two_since(people: Path, folder: Path) -> tuple[Path, SpeakerIndex, np.random.Generator]:
    """Return a store in which q1 and q2 were enrolled after its index was written, and what draws further people."""
    copy, rng = folder / "copy.db", np.random.default_rng(8)
    copy.write_bytes(people.read_bytes())
    with SpeakerStore(copy, CALIBRATED) as store:
        found = written(CALIBRATED, store, folder)
        for name in ("q1", "q2"):
            enroll_frames(CALIBRATED, store, {name: recordings_of(store, name, rng, 1)})
    return copy, found, rng


@pytest.mark.usefixtures("five")
def test_an_index_is_refused_where_its_domain_has_moved_or_too_many_came(people: Path, tmp_path: Path) -> None:
    copy, found, rng = two_since(people, tmp_path)
    with SpeakerStore(copy, CALIBRATED) as store:
        IndexScorer.within(CALIBRATED, store, found)
    rule = "must be of the store as it is now, but for 1 people; got 2 who were enrolled since"
    with SpeakerStore(copy, CALIBRATED) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "MOST_SINCE", 1)
        with pytest.raises(IncompatibleModel, match=rule):
            found.check(CALIBRATED, store)
    with SpeakerStore(copy, CALIBRATED) as store:
        enroll_frames(CALIBRATED, store, {"q3": recordings_of(store, "q3", rng, 1, inside=True)})
        found.check(CALIBRATED, store)
        rule = "must be of the domain of the store as it is now; got another, because one of the two hundred people who"
        with pytest.raises(IncompatibleModel, match=rule):
            IndexScorer.within(CALIBRATED, store, found)


@pytest.mark.usefixtures("five")
def test_who_was_enrolled_since_and_is_damaged_is_named_and_left_out(people: Path, tmp_path: Path) -> None:
    copy, found, _ = two_since(people, tmp_path)
    with SpeakerStore(copy, CALIBRATED) as store:
        flip(copy, "speaker = 'q1'")
        with pytest.warns(DamagedSessionWarning, match="session a of q1 is damaged"):
            scorer = IndexScorer.within(CALIBRATED, store, found)
        assert scorer.models.names[21:] == ("q2",)
        assert [(d.speaker, d.name) for d in scorer.models.damaged] == [("q1", "a")]
        change(copy, "update speechgmm_sessions set value = ? where speaker = 'q2'", b"nothing")
    with SpeakerStore(copy, CALIBRATED) as store:
        with pytest.warns(DamagedSessionWarning, match="session a of q[12] is damaged"):
            scorer = IndexScorer.within(CALIBRATED, store, found)
        assert [d.speaker for d in scorer.models.damaged] == ["q1", "q2"]
        assert scorer.since is None
        assert len(scorer.score_test(spoken(CALIBRATED)).scores) == 21  # type: ignore[arg-type]


@pytest.mark.usefixtures("five")
def test_people_who_change_while_an_index_is_written_are_enrolled_since(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, rng = tmp_path / "copy.db", np.random.default_rng(8)
    copy.write_bytes(people.read_bytes())
    monkeypatch.setattr(index, "_BLOCK", 8)
    with SpeakerStore(copy, CALIBRATED) as store, SpeakerStore(copy, CALIBRATED) as other:
        first, last = sorted(set(store.speakers) - set(store.contents.first(5)))[::10]

        def more(stage: str, done: int, total: int) -> None:
            if done == 8:
                for name in (first, last):
                    enroll_frames(CALIBRATED, other, {name: recordings_of(other, name, rng, 1)}, session="b")

        SpeakerIndex.write(CALIBRATED, store, tmp_path / "index", on_progress=more)
        found = SpeakerIndex.open(tmp_path / "index", CALIBRATED, store)
        assert found.changes(store.contents).since == (first, last)
        assert (first in found.head.names, last in found.head.names) == (True, False)
        scorer = IndexScorer.within(CALIBRATED, store, found)
        order, exact = np.argsort(scorer.models.names), Scorer.of(CALIBRATED, store)
        test = spoken(CALIBRATED)
        close(scorer.score_test(test).normalized[order], exact.score_test(test).normalized, atol=2e-3)  # type: ignore[index]


def test_identify_by_an_index(filled: Path, system: System, corpus: Corpus, tmp_path: Path) -> None:
    files = [r for r in corpus.where(split="test") if r.speaker in ("rms", "slt")][:2]
    with SpeakerStore(filled, system) as store:
        with_index = identify(system, store, files, index=written(system, store, tmp_path))
        for a, b in zip(with_index, identify(system, store, files), strict=True):
            assert [c.name for c in a.candidates] == [c.name for c in b.candidates]
            close([c.score for c in a.candidates], [c.score for c in b.candidates], atol=1e-3)
            assert (a.status, a.decision) == (b.status, b.decision)


def test_damaged_sessions_are_left_out_and_named(people: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(people.read_bytes())
    flip(copy, "speaker = 'p07'")
    with SpeakerStore(copy, CALIBRATED) as store:
        with pytest.warns(DamagedSessionWarning, match="session a of p07 is damaged") as told:
            SpeakerIndex.write(CALIBRATED, store, tmp_path / "index")
        assert len(told) == 1
        found = SpeakerIndex.open(tmp_path / "index", CALIBRATED, store)
        assert len(found.head.names) == 20
        assert "p07" not in found.head.names
    change(copy, "update speechgmm_sessions set value = ?", b"nothing")
    with SpeakerStore(copy, CALIBRATED) as store, pytest.raises(InvalidInput, match="sessions to index must be whole"):
        SpeakerIndex.write(CALIBRATED, store, tmp_path / "index")
    with (
        SpeakerStore(tmp_path / "none.db", CALIBRATED, create=True) as store,
        pytest.raises(InvalidInput, match=r"speakers to index must be at least one; got none\. Enroll somebody first"),
    ):
        SpeakerIndex.write(CALIBRATED, store, tmp_path / "index")


def test_it_appears_whole_or_not_at_all_and_tells_how_far_it_is(
    store: SpeakerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_BLOCK", 8)
    told: list[tuple[str, int, int]] = []
    SpeakerIndex.write(CALIBRATED, store, tmp_path / "index", on_progress=lambda *x: told.append(x))
    assert told == [("indexed", n, 21) for n in (8, 16, 21)]

    def stop(stage: str, done: int, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SpeakerIndex.write(CALIBRATED, store, tmp_path / "other", on_progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["index"]
    (tmp_path / "speech.wav").write_bytes(b"RIFF")
    with pytest.raises(
        InvalidInput, match=r"must be new, empty or an index of speakers; got .*, which holds something else"
    ):
        SpeakerIndex.write(CALIBRATED, store, tmp_path / "speech.wav")


def test_files_that_are_not_right(store: SpeakerStore, tmp_path: Path) -> None:
    written(CALIBRATED, store, tmp_path)
    whole = (tmp_path / "index").read_bytes()
    flipped = bytearray(whole)
    flipped[-300] ^= 1
    head = len(index._MARK) + 22 * 6 * 5 * 4 + 21 * 6 * (8 + 4)
    longer = whole[:head] + bytes(4) + whole[head:]
    for data, told in (
        (b"", "be a file that SpeakerIndex.write made"),
        (whole[1:], "be a file that SpeakerIndex.write made"),
        (whole.replace(b", 2", b", 1", 1), "be of the form that this version writes; got another. Write it anew"),
        (whole[: len(index._MARK)], "be whole; got .* bytes, whose head is not there. Write it anew"),
        (whole[:-20], "be whole|bytes of models|must be a|safetensors|model file"),
        (bytes(flipped), "must be"),
        (longer, f"hold {head} bytes of models; got {head + 4} bytes before its head"),
    ):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(InvalidInput, match=told):
            read_index(tmp_path / "bad")
    with pytest.raises(InvalidInput, match=r"an index must be a file that can be read; got .*nothing .No such file"):
        read_index(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="an index must be a file that can be read"):
        read_index(tmp_path)


def test_what_goes_to_another_process_is_arrays_alone(store: SpeakerStore, tmp_path: Path) -> None:
    found = IndexScorer.within(CALIBRATED, store, written(CALIBRATED, store, tmp_path)).search(spoken(CALIBRATED))
    assert isinstance(found, Searched)
    held = dataclasses.asdict(found)
    assert isinstance(held.pop("start"), int)
    assert all(type(x) is np.ndarray for x in held.values())
