"""From recordings to the store: pooled by session, reported where bad, refused where twice."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput, SameRecording
from speechgmm.features import Corpus, Recording, read, spool
from speechgmm.mixture import GMM, Statistics
from speechgmm.speakers import SpeakerStore, System, enroll, enroll_features
from speechgmm.speakers.recording_weights import contribution
from tests.laws import same_statistics
from tests.sounds import Array, cut, steps, voice, write


@pytest.fixture
def empty(system: System, tmp_path: Path) -> SpeakerStore:
    return SpeakerStore(tmp_path / "empty.db", system, create=True)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Ann in two named sessions, bob in two recordings without one."""
    root = tmp_path_factory.mktemp("recordings")
    rows = [("ann", "s1"), ("ann", "s1"), ("ann", "s2"), ("bob", None), ("bob", None)]
    return [
        Recording(str(write(root / f"{i}.wav", steps(voice(1.0, seed=i)))), speaker, f"{i}.wav", session)
        for i, (speaker, session) in enumerate(rows)
    ]


def features(system: System, *recordings: Recording) -> Array:
    return np.concatenate([system.frontend.from_file(r.path) for r in recordings])


def content(store: SpeakerStore) -> list[bytes]:
    return [storage.dumps(s) for s in store.sessions()]


def test_recordings_are_pooled_by_session(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    seen: list[tuple[str, int, int]] = []
    done = enroll(system, empty, recordings, on_progress=lambda *args: seen.append(args))
    assert seen == [("recordings", i, 5) for i in (1, 2, 3, 4, 5)]
    assert done.skipped == ()
    parts = {
        ("ann", "s1"): recordings[:2],
        ("ann", "s2"): recordings[2:3],
        ("bob", "3.wav"): recordings[3:4],
        ("bob", "4.wav"): recordings[4:],
    }
    assert [(s.speaker, s.name) for s in done.sessions] == list(parts)
    found = {(s.speaker, s.name): s for s in empty.sessions()}
    assert set(found) == set(parts)
    for told, members in zip(done.sessions, parts.values(), strict=True):
        kept, x = found[told.speaker, told.name], features(system, *members)
        assert told.recordings == tuple(r.name for r in members)
        each = (contribution(system.statistics(features(system, r))) for r in members)
        same_statistics(kept.statistics, functools.reduce(operator.add, each), rtol=1e-5, atol=1e-3)  # float32
        assert kept.speech_seconds == told.speech_seconds == pytest.approx(0.010 * len(x))
        assert kept.recordings == {read(r.path).digest: r.name for r in members}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_threads_do_not_matter(
    empty: SpeakerStore, system: System, recordings: list[Recording], tmp_path: Path, n: int
) -> None:
    enroll(system, empty, recordings, n_threads=n)
    with SpeakerStore(tmp_path / "one.db", system, create=True) as one:
        for r in recordings:
            enroll(system, one, [r])
        assert content(one) == content(empty)


def test_bad_recordings_are_left_out_and_reported(
    empty: SpeakerStore, system: System, recordings: list[Recording], tmp_path: Path
) -> None:
    bad = [
        Recording(str(tmp_path / "none.wav"), "ann", "none.wav", "s1"),
        Recording(str(write(tmp_path / "silent.wav", np.zeros(16000))), "cid", "silent.wav"),
        Recording(str(cut(write(tmp_path / "cut.flac", voice()), 0.5)), "ann", "cut.flac", "s1"),
        Recording(str(write(tmp_path / "low.wav", voice(1.0, 8000), 8000)), "ann", "low.wav", "s1"),
    ]
    done = enroll(system, empty, [bad[0], *recordings, *bad[1:]])
    assert [s.name for s in done.skipped] == [r.name for r in bad]
    for skipped, reason in zip(
        done.skipped, ["must exist", "s of speech", "must be whole", "at least the model's rate"], strict=True
    ):
        assert reason in skipped.reason
    assert empty.speakers == ("ann", "bob")
    assert len(empty.sessions()) == 4


def test_nothing_good_changes_nothing(empty: SpeakerStore, system: System, tmp_path: Path) -> None:
    done = enroll(system, empty, [Recording(str(tmp_path / "none.wav"), "ann", "none.wav")], replace=True)
    assert done.sessions == ()
    assert len(done.skipped) == 1
    assert empty.speakers == ()


@pytest.mark.parametrize("speaker", ["ann", "cid"])
@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_24"), ("CAF", "FLOAT")]
)
def test_a_copy_in_another_format_is_the_same_recording(
    empty: SpeakerStore,
    system: System,
    recordings: list[Recording],
    tmp_path: Path,
    speaker: str,
    form: str,
    subtype: str,
) -> None:
    enroll(system, empty, recordings)
    before = content(empty)
    samples, rate = sf.read(recordings[1].path)
    copy = write(tmp_path / "copy", samples, rate, format=form, subtype=subtype)
    other = write(tmp_path / "other.wav", voice(1.0, seed=77))
    rule = r"the recording copy must be enrolled once; got the same samples, enrolled as 'ann' from 1\.wav"
    with pytest.raises(SameRecording, match=rule):
        enroll(system, empty, [Recording(str(copy), speaker, "copy")])
    assert content(empty) == before
    batch = [Recording(str(copy), speaker, "copy"), Recording(str(other), speaker, "other.wav")]
    done = enroll(system, empty, batch)
    assert [(s.speaker, s.name) for s in done.sessions] == [(speaker, "other.wav")]
    (left_out,) = done.skipped
    assert left_out.name == "copy"
    assert re.match(rule, left_out.reason)


def test_one_call_takes_a_recording_once(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    again = dataclasses.replace(recordings[0], name="again", session="s9")
    (left_out,) = enroll(system, empty, [*recordings, again]).skipped
    assert left_out.name == "again"
    assert re.match(r"the recording again must be enrolled once; .* as 'ann' from 0\.wav", left_out.reason)
    assert "s9" not in {s.name for s in empty.sessions()}


def test_parts_of_a_recording_are_recordings(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    halves = [
        dataclasses.replace(recordings[0], name=f"half {i}", session=None, start=0.5 * i, end=0.5 * i + 0.5)
        for i in (0, 1)
    ]
    enroll(system, empty, halves)
    assert [s.name for s in empty.sessions("ann")] == ["half 0", "half 1"]


def test_replace_forgets_the_named_sessions(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    enroll(system, empty, recordings)
    enroll(system, empty, recordings[1:2], replace=True)
    found = {(s.speaker, s.name): list(s.recordings.values()) for s in empty.sessions()}
    assert found == {
        ("ann", "s1"): ["1.wav"],
        ("ann", "s2"): ["2.wav"],
        ("bob", "3.wav"): ["3.wav"],
        ("bob", "4.wav"): ["4.wav"],
    }


def test_replace_without_sessions_leaves_the_other_recordings(
    empty: SpeakerStore, system: System, recordings: list[Recording]
) -> None:
    enroll(system, empty, recordings)
    before = content(empty)
    enroll(system, empty, recordings[4:], replace=True)
    assert content(empty) == before


def test_replacing_twice_is_replacing_once(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    enroll(system, empty, recordings)
    before = content(empty)
    for group in (recordings[:3], recordings[3:]):
        enroll(system, empty, group, replace=True)
        enroll(system, empty, group, replace=True)
    assert content(empty) == before


def test_removing_a_session_is_as_if_it_had_never_been(
    empty: SpeakerStore, system: System, recordings: list[Recording]
) -> None:
    enroll(system, empty, recordings[:2])
    before = content(empty)
    enroll(system, empty, recordings[2:])
    empty.remove("ann", "s2")
    empty.remove("bob")
    assert content(empty) == before


def test_a_store_of_another_system_is_refused_before_any_work(
    empty: SpeakerStore, system: System, recordings: list[Recording]
) -> None:
    other = dataclasses.replace(system, frontend=dataclasses.replace(system.frontend, dither=0.0))
    seen: list[object] = []
    with pytest.raises(IncompatibleModel, match=r"same front end: dither=0\.0; got dither=1\.0"):
        enroll(other, empty, recordings, on_progress=lambda *args: seen.append(args))
    assert seen == []
    assert empty.speakers == ()


def test_bad_names_are_refused(empty: SpeakerStore, system: System, recordings: list[Recording]) -> None:
    with pytest.raises(InvalidInput, match=r"a speaker's name must hold no control or format characters; got U\+0009"):
        enroll(system, empty, [dataclasses.replace(recordings[0], speaker="a\tb")])
    assert empty.speakers == ()


def test_features_are_enrolled_like_their_recording(
    empty: SpeakerStore, system: System, recordings: list[Recording], tmp_path: Path
) -> None:
    x = features(system, recordings[0])
    made = enroll_features(system, empty, "ann", x, session="s1")
    assert (made.speaker, made.name) == ("ann", "s1")
    with SpeakerStore(tmp_path / "sound.db", system, create=True) as store:
        enroll(system, store, recordings[:1])
        sound, given = store.sessions()[0], empty.sessions()[0]
    same_statistics(given.statistics, sound.statistics, atol=0)
    assert given.speech_seconds == sound.speech_seconds
    with pytest.raises(SameRecording, match="enrolled as 'ann'"):
        enroll_features(system, empty, "bob", x)
    with pytest.raises(
        IncompatibleModel, match=r"frames must have 120 features, as this UBM .*Extract them with its front end"
    ):
        enroll_features(system, empty, "bob", x[:, :40])


def test_a_corpus_is_enrolled_as_it_is(empty: SpeakerStore, system: System, corpus: Corpus) -> None:
    done = enroll(system, empty, corpus.where(split="enroll", speaker="slt"))
    assert [(s.speaker, s.name) for s in done.sessions] == [("slt", "s1")]
    assert 2 < done.sessions[0].speech_seconds < 15


def test_a_long_recording_is_enrolled_block_by_block(
    empty: SpeakerStore, system: System, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contribution(system.statistics(features(system, recordings[0])))
    monkeypatch.setattr(spool.in_blocks, "__defaults__", (7,))
    taken: list[int] = []
    whole = GMM.statistics

    def counted(self: GMM, x: Array) -> Statistics:
        taken.append(len(x))
        return whole(self, x)

    monkeypatch.setattr(GMM, "statistics", counted)
    enroll(system, empty, recordings[:1])
    (kept,) = empty.sessions()
    same_statistics(kept.statistics, expected, rtol=1e-4, atol=1e-3)  # float32 sums in another order
    assert max(taken) == 7
    assert sum(taken) == expected.frames * len(system.ubm.parts)
