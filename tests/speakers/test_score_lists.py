"""Scores of whole test lists: who is tested against whom, what the table says, and what is left out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import InvalidInput, UnknownSpeaker
from speechgmm.evaluation import Failures, Scores, Trials, read_scores, write_scores
from speechgmm.features import Corpus, Recording, extract, extract_all, read_corpus
from speechgmm.speakers import (
    SpeakerStore,
    System,
    enrolled_models,
    log_likelihood_ratios,
    score_corpus,
    score_trials,
    verify,
)
from speechgmm.speakers.domain import People
from speechgmm.speakers.models import speaker_models
from speechgmm.speakers.score import Scorer
from tests.laws import close
from tests.sounds import DATA, steps, voice, write
from tests.speakers.conftest import ENROLLED

STRANGER = "es_m3"
"""A voice that is tested and not enrolled."""


@pytest.fixture(scope="module")
def tested(corpus: Corpus) -> Corpus:
    """Two test files of two enrolled voices, and of a stranger."""
    chosen = corpus.where(split="test", speaker=("rms", "slt", STRANGER))
    return dataclasses.replace(chosen, recordings=tuple(r for r in chosen if not r.name.endswith("s2_3.flac")))


def expected(system: System, store: SpeakerStore, path: str) -> dict[str, float]:
    models = enrolled_models(system, store)
    x = system.frontend.from_file(path)
    return dict(zip(models.names, log_likelihood_ratios(system, models, x).tolist(), strict=True))


def bad_recordings(tmp_path: Path) -> list[Recording]:
    silent = write(tmp_path / "silent.wav", np.zeros(16000))
    return [
        Recording(str(tmp_path / "none.wav"), "rms", "none.wav", "s2"),
        Recording(str(silent), "rms", "silent.wav", "s2"),
    ]


@pytest.mark.parametrize("n", [1, 3])
def test_every_file_against_every_speaker(system: System, store: SpeakerStore, tested: Corpus, n: int) -> None:
    seen: list[tuple[str, int, int]] = []
    scored = score_corpus(system, store, tested, n_threads=n, on_progress=lambda *args: seen.append(args))
    assert seen == [("recordings", i, 6) for i in (1, 2, 3, 4, 5, 6)]
    assert scored.skipped == ()
    s = scored.scores
    assert len(s) == 6 * 3
    assert list(zip(s.test, s.speaker, strict=True)) == [(r.name, e) for r in tested for e in ENROLLED]
    by_name = {r.name: r for r in tested}
    models = enrolled_models(system, store)
    seconds = dict(zip(models.names, models.speech_seconds, strict=True))
    assert s.test_speaker is not None
    assert s.session is not None
    assert s.enroll_seconds is not None
    assert s.test_seconds is not None
    for i, (speaker, test) in enumerate(zip(s.speaker, s.test, strict=True)):
        r = by_name[test]
        assert s.target[i] == (r.speaker == speaker)
        assert (s.test_speaker[i], s.session[i]) == (r.speaker, "s2")
        assert s.enroll_seconds[i] == seconds[speaker] > 1
        assert s.score[i] == expected(system, store, r.path)[speaker]
        assert s.test_seconds[i] == pytest.approx(0.010 * len(system.frontend.from_file(r.path)))
    assert s.target.sum() == 4, "nobody claims the stranger"


def test_a_session_is_the_mean_over_its_frames(system: System, store: SpeakerStore, tested: Corpus) -> None:
    scored = score_corpus(system, store, tested, by="session").scores
    assert list(dict.fromkeys(scored.test.tolist())) == [f"{s}/s2" for s in dict.fromkeys(r.speaker for r in tested)]
    assert len(scored) == 9
    for speaker, test, score in zip(scored.speaker, scored.test, scored.score, strict=True):
        files = [r.path for r in tested if f"{r.speaker}/s2" == test]
        assert len(files) == 2
        close(score, verify(system, store, str(speaker), files).candidates[0].score, atol=1e-12)
    assert scored.test_seconds is not None
    assert scored.test_seconds.min() > 2


def test_recordings_without_a_session_are_their_own(system: System, store: SpeakerStore, tested: Corpus) -> None:
    bare = [dataclasses.replace(r, session=None) for r in tested]
    files, sessions = (score_corpus(system, store, bare, by=by).scores for by in ("file", "session"))
    assert files.session is None
    np.testing.assert_array_equal(sessions.score, files.score)
    assert sessions.test[0] == f"{bare[0].speaker}/{bare[0].name}"


def test_order_does_not_matter(system: System, store: SpeakerStore, tested: Corpus) -> None:
    def table(recordings: list[Recording]) -> dict[tuple[str, str], float]:
        s = score_corpus(system, store, recordings).scores
        return dict(zip(zip(s.speaker.tolist(), s.test.tolist(), strict=True), s.score.tolist(), strict=True))

    assert table(list(tested)[::-1]) == table(list(tested))


@pytest.mark.parametrize("by", ["file", "session"])
def test_bad_recordings_are_left_out_and_reported(
    system: System, store: SpeakerStore, tested: Corpus, corpus: Corpus, tmp_path: Path, by: str
) -> None:
    enrolled = corpus.where(split="enroll", speaker="rms").recordings[0]
    bad = [*bad_recordings(tmp_path), enrolled]
    clean = score_corpus(system, store, tested, by=by)
    found = score_corpus(system, store, [bad[0], *tested, *bad[1:]], by=by)
    assert [s.name for s in found.skipped] == ["none.wav", "silent.wav", enrolled.name]
    for skipped, words in zip(found.skipped, ["must exist", "s of speech", "another recording than"], strict=True):
        assert words in skipped.reason
    np.testing.assert_array_equal(found.scores.test, clean.scores.test)
    np.testing.assert_array_equal(found.scores.score, clean.scores.score)
    assert clean.scores.failures == Failures()
    failures = found.scores.failures
    assert failures is not None
    assert failures.speakers is None
    if by == "session":  # which holds other recordings
        assert failures.tests is None
    else:  # who is enrolled has been acquired
        assert failures.tests is not None
        assert failures.tests.tests.names.tolist() == ["none.wav", "silent.wav"]
        assert len(failures.tests) == 2 * len(clean.scores.speakers.names)
        np.testing.assert_array_equal(failures.tests.target == 1, failures.tests.speaker == "rms")


def test_columns_are_kept_as_conditions(system: System, store: SpeakerStore, tested: Corpus) -> None:
    rooms = ["hall", "", "car", "hall", "hall", "hall"]
    some = [
        dataclasses.replace(r, columns={"Room": room, "split": "test"})
        for r, room in zip(tested, rooms, strict=True)
    ]  # fmt: skip
    found = score_corpus(system, store, some, keep=["room", "split"]).scores
    assert found.conditions.keys() == {"Room", "split"}
    of_test = dict(zip(found.test.tolist(), found.conditions["Room"].tolist(), strict=True))
    assert of_test == dict(zip([r.name for r in some], rooms, strict=True))
    pooled = score_corpus(system, store, some, by="session", keep=["room"]).scores
    assert set(pooled.conditions["Room"].tolist()) == {"car+hall", "hall"}
    first = some[0]
    listed = score_trials(system, store, Trials(["rms"], [first.name], [1]), some, keep=["Room"]).scores
    assert listed.conditions["Room"].tolist() == ["hall"]
    with pytest.raises(InvalidInput, match="a column that is kept must be one of the recordings: Room, split; got 'x'"):
        score_corpus(system, store, some, keep=["x"])
    with pytest.raises(InvalidInput, match="be one of the recordings: they have none; got 'Room'"):
        score_trials(system, store, Trials(["rms"], [first.path], [1]), keep=["Room"])


def test_attacks_are_kept_also_where_they_failed(
    system: System, store: SpeakerStore, tested: Corpus, tmp_path: Path
) -> None:
    silent = bad_recordings(tmp_path)[-1]
    every = [*tested, dataclasses.replace(silent, speaker="rms", name="lost")]
    told = ["replayed", "", *["none"] * (len(every) - 3), "synthetic"]
    some = [dataclasses.replace(r, columns={"Attack": kind}) for r, kind in zip(every, told, strict=True)]
    found = score_corpus(system, store, some, keep=["ATTACK"]).scores
    assert (found.conditions, found.attack is None) == ({}, False)
    of_test = dict(zip(found.test.tolist(), found.attack.tolist(), strict=True))  # type: ignore[union-attr]
    assert of_test == dict(zip([r.name for r in some[:-1]], told[:-1], strict=True))
    assert found.failures is not None
    assert found.failures.tests is not None
    assert set(found.failures.tests.attack.tolist()) == {"synthetic"}  # type: ignore[union-attr]
    pairs = Trials([every[1].name, "lost"], [every[0].name, every[0].name], [1, 1])
    listed = score_trials(system, None, pairs, some, keep=["attack"]).scores
    assert listed.attack.tolist() == ["replayed"]  # type: ignore[union-attr]
    assert listed.failures is not None
    assert listed.failures.speakers is not None
    assert listed.failures.speakers.attack.tolist() == ["replayed"]  # type: ignore[union-attr]


def test_nothing_to_score_is_refused(system: System, store: SpeakerStore, tmp_path: Path) -> None:
    rule = r"tests must be at least one recording that can be scored; got none of "
    with pytest.raises(InvalidInput, match=rule + r"2; the first: a recording must exist"):
        score_corpus(system, store, bad_recordings(tmp_path))
    with pytest.raises(InvalidInput, match=rule + r"0\.$"):
        score_corpus(system, store, [])
    with pytest.raises(InvalidInput, match=rule + "1; the first: a recording must exist"):
        score_trials(system, store, Trials(["rms"], ["none.wav"], [1]), folder=tmp_path)


def test_by_is_file_or_session(system: System, store: SpeakerStore, tested: Corpus) -> None:
    with pytest.raises(InvalidInput, match="by must be one of 'file', 'session'; got 'speaker'"):
        score_corpus(system, store, tested, by="speaker")


@pytest.fixture(scope="module")
def trials(tested: Corpus) -> Trials:
    """Some pairs of the tests, in no order, one of them without a label."""
    names = [r.name for r in tested]
    return Trials(["slt", "rms", "slt", "es_f1"], [names[5], names[0], names[0], names[2]], [1, 0, -1, 0])


def check_trials(system: System, store: SpeakerStore, trials: Trials, scores: Scores, paths: dict[str, str]) -> None:
    for column in ("speaker", "test", "target"):
        np.testing.assert_array_equal(getattr(scores, column), getattr(trials, column))
    for speaker, test, score in zip(scores.speaker, scores.test, scores.score, strict=True):
        assert score == expected(system, store, paths[test])[speaker]
    assert scores.enroll_seconds is not None
    assert scores.test_seconds is not None
    assert (scores.test_seconds > 0.5).all()


def test_trials_of_a_manifest(system: System, store: SpeakerStore, tested: Corpus, trials: Trials) -> None:
    seen: list[tuple[str, int, int]] = []
    scored = score_trials(system, store, trials, tested, on_progress=lambda *args: seen.append(args))
    assert seen == [("recordings", i, 3) for i in (1, 2, 3)], "each test is read once"
    check_trials(system, store, trials, scored.scores, {r.name: r.path for r in tested})
    speakers = {r.name: r.speaker for r in tested}
    assert scored.scores.test_speaker is not None
    assert scored.scores.test_speaker.tolist() == [speakers[t] for t in trials.test]
    assert scored.skipped == ()


def test_trials_of_paths(system: System, store: SpeakerStore, tested: Corpus, trials: Trials) -> None:
    scores = score_trials(system, store, trials, folder=DATA).scores
    check_trials(system, store, trials, scores, {r.name: r.path for r in tested})
    assert scores.test_speaker is None
    assert scores.session is None


def test_trials_of_absolute_paths(system: System, store: SpeakerStore, tested: Corpus) -> None:
    path = tested.recordings[0].path
    scores = score_trials(system, store, Trials(["rms"], [path], [1]), folder="/nowhere").scores
    assert scores.score[0] == expected(system, store, path)["rms"]


def test_trials_of_a_kaldi_directory(system: System, store: SpeakerStore, tested: Corpus, tmp_path: Path) -> None:
    paths = {f"utt-{i}": r.path for i, r in enumerate(tested)}
    (tmp_path / "wav.scp").write_text("".join(f"{u} {p}\n" for u, p in paths.items()))
    (tmp_path / "utt2spk").write_text("".join(f"utt-{i} {r.speaker}\n" for i, r in enumerate(tested)))
    trials = Trials(["slt", "rms"], ["utt-5", "utt-2"], [1, 0])
    scores = score_trials(system, store, trials, read_corpus(tmp_path)).scores
    check_trials(system, store, trials, scores, paths)


def test_parts_of_one_file_are_tests_of_their_own(system: System, store: SpeakerStore, tmp_path: Path) -> None:
    signal = np.concatenate([voice(1.0, seed=1), voice(1.0, seed=2)])
    write(tmp_path / "a.wav", signal, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text("call a.wav\n")
    (tmp_path / "segments").write_text("u1 call 0 1\nu2 call 1 2\n")
    (tmp_path / "utt2spk").write_text("u1 x\nu2 y\n")
    scores = score_corpus(system, store, read_corpus(tmp_path)).scores
    models = enrolled_models(system, store)
    for test, part in (("u1", signal[:16000]), ("u2", signal[16000:])):
        x = system.frontend(part.astype(np.float32))
        np.testing.assert_array_equal(scores.score[scores.test == test], log_likelihood_ratios(system, models, x))


def test_trials_of_bad_recordings_are_left_out(
    system: System, store: SpeakerStore, tested: Corpus, tmp_path: Path
) -> None:
    bad, good = bad_recordings(tmp_path), tested.recordings[0]
    trials = Trials(["rms", "slt", "rms"], ["none.wav", good.name, "silent.wav"], [1, 0, 1])
    scored = score_trials(system, store, trials, [*bad, *tested])
    assert scored.scores.test.tolist() == [good.name]
    assert [s.name for s in scored.skipped] == ["none.wav", "silent.wav"]
    assert scored.scores.failures is not None
    assert scored.scores.failures.tests is not None
    assert scored.scores.failures.tests.test.tolist() == ["none.wav", "silent.wav"]


def test_unknown_speakers_and_tests_are_named(
    system: System, store: SpeakerStore, tested: Corpus, trials: Trials
) -> None:
    strange = Trials(["zoe", "rms", STRANGER], ["x", "x", "x"], [0, 0, 0])
    rule = rf"the speakers of a trial list must be enrolled; got '{STRANGER}' \(2 in all\)\. Enroll them first"
    with pytest.raises(UnknownSpeaker, match=rule):
        score_trials(system, store, strange, tested)
    lost = Trials(["rms", "slt"], ["lost.wav", tested.recordings[0].name], [1, 0])
    with pytest.raises(
        InvalidInput, match=r"tests of a trial list must be recordings of the manifest; got 'lost\.wav' \(1"
    ):
        score_trials(system, store, lost, tested)


@pytest.mark.parametrize("name", ["scores.tsv", "scores.npz"])
def test_scores_are_written_and_read_back(
    system: System, store: SpeakerStore, tested: Corpus, tmp_path: Path, name: str
) -> None:
    scores = score_corpus(system, store, tested).scores
    write_scores(scores, tmp_path / name)
    found = read_scores(tmp_path / name)
    assert found.failures == scores.failures == Failures()
    assert found.conditions == {}
    for field in dataclasses.fields(Scores)[:-2]:
        np.testing.assert_array_equal(getattr(found, field.name), getattr(scores, field.name))


def test_a_recording_counts_once_in_a_session(system: System, store: SpeakerStore, tested: Corpus) -> None:
    twice = [*tested, dataclasses.replace(next(iter(tested)), name="again")]
    found, once = (score_corpus(system, store, r, by="session") for r in (twice, tested))
    np.testing.assert_array_equal(found.scores.score, once.scores.score)
    assert [s.name for s in found.skipped] == ["again"]


@pytest.mark.parametrize("wild", [np.nan, 1e200])
def test_a_recording_without_finite_scores_is_left_out(
    system: System, store: SpeakerStore, tested: Corpus, wild: float
) -> None:
    good, bad = extract_all(system.frontend, list(tested)[:2])
    assert bad.features is not None
    bad = dataclasses.replace(bad, features=np.full(bad.features.shape, wild))
    scorer = Scorer.of(system, store)
    with np.errstate(over="ignore", invalid="ignore"):  # of 1e200, squared
        found, alone = scorer.score_test([bad, good]), scorer.score_test([good])
    assert [s.name for s in found.skipped] == [bad.name]
    assert "must be finite" in found.skipped[0].reason
    assert found.speech_seconds == alone.speech_seconds
    np.testing.assert_array_equal(found.scores, alone.scores)
    assert found.error is not None


def test_a_session_has_one_name_for_one_speaker(system: System, store: SpeakerStore, tested: Corpus) -> None:
    first, *rest = tested
    same = dataclasses.replace(first, session="another")
    found = score_corpus(system, store, [dataclasses.replace(first, session="one"), same, *rest])
    assert [s.name for s in found.skipped] == [first.name]


# Recordings against recordings


def by_hand(system: System, corpus: Corpus, trials: Trials) -> list[float]:
    """Raw scores of trials of recordings, whose models are adapted in the domain of all that are enrolled."""
    heard = {r.name: extract(system.frontend, r) for r in corpus}
    statistics = {n: system.statistics(heard[n].usable()) for n in trials.speaker.tolist()}
    names = sorted(statistics, key=lambda n: heard[n].digest)
    people = People(tuple(names), tuple(statistics[n] for n in names), np.ones(len(names)))
    models = speaker_models(system, statistics, ubm=people.domain(system.ubm))
    return [
        float(models.ratios(heard[test].usable())[models.names.index(enrolled)])
        for enrolled, test in zip(trials.speaker.tolist(), trials.test.tolist(), strict=True)
    ]


def test_trials_of_recordings_are_as_if_each_had_been_enrolled(system: System, corpus: Corpus) -> None:
    some = Corpus(corpus.where(speaker=["rms", "slt", "awb"]).recordings[:9], "some")
    a, b, c, d = (some.recordings[i].name for i in (0, 2, 5, 8))
    trials = Trials([a, c, a, b, d, c], [b, b, c, a, a, d], [1, 0, 0, 1, 0, 0])
    seen: list[tuple[str, int, int]] = []
    found = score_trials(system, None, trials, some, on_progress=lambda *args: seen.append(args))
    assert found.skipped == ()
    assert found.scores.speaker.tolist() == trials.speaker.tolist()
    assert found.scores.test.tolist() == trials.test.tolist()
    assert found.scores.target.tolist() == trials.target.tolist()
    np.testing.assert_allclose(found.scores.score, by_hand(system, some, trials), rtol=1e-6, atol=1e-6)
    assert {stage for stage, *_ in seen} == {"enrolled", "recordings"}
    again = score_trials(system, None, trials, some, n_threads=3)
    np.testing.assert_array_equal(again.scores.score, found.scores.score)
    assert found.scores.test_speaker is None  # speakers are recordings here: nobody is their name


def test_trials_of_recordings_by_their_paths(system: System, tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "x" / f"{i}.wav", steps(voice(1.5, seed=i)))
    write(tmp_path / "copy.wav", steps(voice(1.5, seed=0)))
    write(tmp_path / "silent.wav", np.zeros(16000))
    names = [("x/0.wav", "x/1.wav"), ("x/0.wav", "x/0.wav"), ("x/0.wav", "copy.wav"), ("x/1.wav", "copy.wav")]
    names += [("silent.wav", "x/2.wav"), ("x/2.wav", "none.wav"), ("x/2.wav", "silent.wav")]
    trials = Trials(*zip(*names, strict=True), [0] * len(names))
    found = score_trials(system, None, trials, folder=tmp_path)
    kept = list(zip(found.scores.speaker.tolist(), found.scores.test.tolist(), strict=True))
    assert kept == [names[0], names[3]]
    reasons = {s.name: s.reason for s in found.skipped}
    assert set(reasons) == {"silent.wav", "x/0.wav", "copy.wav", "none.wav"}
    assert found.scores.failures is not None
    pairs = {
        what: list(zip(lost.speaker.tolist(), lost.test.tolist(), strict=True))
        for what, lost in found.scores.failures.lists.items()
    }
    assert pairs == {"test": names[5:], "speaker": [names[4]]}  # a recording against itself is no failure
    for name in ("x/0.wav", "copy.wav"):
        assert "must be another recording than the one that is enrolled; got the same samples" in reasons[name]
    with pytest.raises(
        InvalidInput, match=r"recordings to enroll must be at least one that can be used; got none; .*store"
    ):
        score_trials(system, None, Trials(["silent.wav"], ["x/0.wav"], [0]), folder=tmp_path)
    with pytest.raises(InvalidInput, match=r"tests must be at least one recording that can be scored; got none of 1"):
        score_trials(system, None, Trials(["x/0.wav"], ["x/0.wav"], [1]), folder=tmp_path)
    with pytest.raises(InvalidInput, match="enrolled recordings of a trial list must be recordings of the manifest"):
        score_trials(system, None, Trials(["y"], ["x"], [1]), [Recording(str(tmp_path / "x/0.wav"), "", "x")])
