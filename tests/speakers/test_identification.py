"""Who speaks, and is it they: answers of a small system on voices that it was not trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput, UnknownSpeaker
from speechgmm.evaluation import Answer, Rule
from speechgmm.features import Corpus
from speechgmm.speakers import (
    SpeakerStore,
    System,
    enrolled_models,
    identify,
    log_likelihood_ratios,
    verify,
)
from tests.laws import close
from tests.sounds import Array, cut, voice, write
from tests.speakers.conftest import ENROLLED


@pytest.fixture(scope="module")
def tested(corpus: Corpus) -> dict[str, list[str]]:
    """Test files of each enrolled voice."""
    return {s: [r.path for r in corpus.where(split="test", speaker=s)] for s in ENROLLED}


@pytest.fixture(scope="module")
def enrolled(corpus: Corpus) -> str:
    """A file that is enrolled itself, by rms."""
    return corpus.where(split="enroll", speaker="rms").recordings[0].path


def score_of(answer: Answer) -> float:
    """Return the score of the one candidate of a verification."""
    (candidate,) = answer.candidates
    return candidate.score


def llr(system: System, store: SpeakerStore, x: Array) -> dict[str, float]:
    models = enrolled_models(system, store)
    return dict(zip(models.names, log_likelihood_ratios(system, models, x).tolist(), strict=True))


def test_everybody_is_recognized(system: System, store: SpeakerStore, tested: dict[str, list[str]]) -> None:
    for speaker, files in tested.items():
        for found in identify(system, store, files):
            assert found.candidates[0].name == speaker


def test_all_candidates_are_ranked_by_their_score(
    system: System, store: SpeakerStore, tested: dict[str, list[str]]
) -> None:
    path = tested["slt"][0]
    (found,) = identify(system, store, [Path(path)])
    assert (found.name, found.status, found.error, found.decision) == (path, "ranked", None, None)
    x = system.frontend.from_file(path)
    assert found.speech_seconds == pytest.approx(0.010 * len(x))
    expected = sorted(llr(system, store, x).items(), key=lambda item: -item[1])
    assert [(c.name, c.score) for c in found.candidates] == expected
    assert all(c.posterior is None for c in found.candidates)


@pytest.mark.parametrize("top", [1, 2, 3, 50])
def test_top_gives_the_best(system: System, store: SpeakerStore, tested: dict[str, list[str]], top: int) -> None:
    (every,) = identify(system, store, tested["rms"][:1])
    (found,) = identify(system, store, tested["rms"][:1], top=top)
    assert found.candidates == every.candidates[:top]
    assert len(found.candidates) == min(top, 3)


@pytest.mark.parametrize("top", [0, -1, 1.5])
def test_bad_top_is_refused(system: System, store: SpeakerStore, tested: dict[str, list[str]], top: int) -> None:
    with pytest.raises(InvalidInput, match="top must be"):
        identify(system, store, tested["rms"], top=top)


@pytest.fixture
def bad(tmp_path: Path, enrolled: str) -> dict[str, tuple[str, str]]:
    """Files that cannot be tested -> status and words."""
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    return {
        str(tmp_path / "none.wav"): ("error", "a recording must exist"),
        str(tmp_path): ("error", "a recording must be a file"),
        str(text): ("error", "must be a sound file"),
        str(cut(write(tmp_path / "cut.flac", voice()), 0.5)): ("error", "must be whole"),
        str(write(tmp_path / "low.wav", voice(1.0, 8000), 8000)): ("error", "at least the model's rate of 16000 Hz"),
        str(write(tmp_path / "silent.wav", np.zeros(16000))): ("too_little_speech", "s of speech"),
        str(write(tmp_path / "short.wav", voice(0.05))): ("too_little_speech", "s of speech"),
        enrolled: ("error", "must be another recording than those enrolled; got the samples of rms/s1_1.flac"),
    }


@pytest.mark.parametrize("n", [1, 3])
def test_bad_files_are_reported_in_their_place(
    system: System, store: SpeakerStore, tested: dict[str, list[str]], bad: dict[str, tuple[str, str]], n: int
) -> None:
    files = [tested["rms"][0], *bad, tested["slt"][0]]
    found = identify(system, store, files, n_threads=n)
    assert [f.name for f in found] == files
    assert found[0] == identify(system, store, files[:1])[0]
    assert found[-1] == identify(system, store, files[-1:])[0]
    for result, (status, words) in zip(found[1:-1], bad.values(), strict=True):
        assert result.status == status
        assert words in (result.error or "")
        assert result.candidates == ()
        assert result.decision is None


def test_a_copy_of_an_enrolled_recording_is_refused_too(
    system: System, store: SpeakerStore, enrolled: str, tmp_path: Path
) -> None:
    import soundfile as sf

    samples, rate = sf.read(enrolled)
    copy = write(tmp_path / "copy.wav", samples, rate, subtype="FLOAT")
    (found,) = identify(system, store, [copy])
    assert found.status == "error"
    assert "enrolled as 'rms'" in (found.error or "")
    store.remove("rms", "s1")
    assert identify(system, store, [copy])[0].status == "ranked"


def test_progress_is_reported(system: System, store: SpeakerStore, tested: dict[str, list[str]]) -> None:
    seen: list[tuple[str, int, int]] = []
    identify(system, store, tested["rms"], on_progress=lambda *args: seen.append(args))
    verify(system, store, "rms", tested["rms"], on_progress=lambda *args: seen.append(args))
    assert seen == 2 * [("recordings", i, 3) for i in (1, 2, 3)]


def test_verify_takes_the_mean_over_all_files(
    system: System, store: SpeakerStore, tested: dict[str, list[str]]
) -> None:
    files = tested["rms"]
    parts = [system.frontend.from_file(f) for f in files]
    for speaker in ENROLLED:
        found = verify(system, store, speaker, files)
        (candidate,) = found.candidates
        scores, weights = [llr(system, store, x)[speaker] for x in parts], [np.sqrt(len(x)) for x in parts]
        close(candidate.score, np.average(scores, weights=weights), atol=1e-12)
        assert found.speech_seconds == pytest.approx(0.010 * sum(len(x) for x in parts))
        assert (found.name, candidate.name) == ("all files together", speaker)
        assert (found.status, found.threshold, found.decision) == ("ranked", None, None)
        assert found.skipped == ()


def test_verify_accepts_from_the_threshold_on(
    system: System, store: SpeakerStore, tested: dict[str, list[str]]
) -> None:
    score = score_of(verify(system, store, "slt", tested["slt"]))
    for threshold, accepted in ((score, True), (np.nextafter(score, np.inf), False), (-100.0, True), (100.0, False)):
        found = verify(system, store, "slt", tested["slt"], rule=Rule(threshold=float(threshold)))
        assert score_of(found) == score
        assert found.threshold == threshold
        assert found.decision == ("slt" if accepted else None)
        assert found.status == ("accepted" if accepted else "rejected")


def test_verify_tells_targets_from_impostors(system: System, store: SpeakerStore, tested: dict[str, list[str]]) -> None:
    scores = {(s, t): score_of(verify(system, store, s, tested[t])) for s in ENROLLED for t in ENROLLED}
    targets = [v for (s, t), v in scores.items() if s == t]
    impostors = [v for (s, t), v in scores.items() if s != t]
    assert min(targets) > max(impostors)


def test_verify_leaves_bad_files_out_and_names_them(
    system: System, store: SpeakerStore, tested: dict[str, list[str]], bad: dict[str, tuple[str, str]]
) -> None:
    files = tested["rms"]
    found = verify(system, store, "rms", [*list(bad)[:4], *files, *list(bad)[4:]])
    clean = verify(system, store, "rms", files)
    assert dataclasses.replace(found, skipped=()) == clean
    assert [s.name for s in found.skipped] == list(bad)
    for skipped, (_, words) in zip(found.skipped, bad.values(), strict=True):
        assert words in skipped.reason


def test_verify_with_no_good_file(system: System, store: SpeakerStore, bad: dict[str, tuple[str, str]]) -> None:
    for path, (status, _) in bad.items():
        found = verify(system, store, "rms", [path], rule=Rule(threshold=0.0))
        assert (found.name, found.status, found.candidates) == (path, status, ())
        assert (found.threshold, found.decision) == (0.0, None)
        assert found.speech_seconds == 0.0
        assert [s.reason for s in found.skipped] == [found.error]


def test_verify_needs_an_enrolled_speaker(system: System, store: SpeakerStore, tested: dict[str, list[str]]) -> None:
    with pytest.raises(UnknownSpeaker, match=r"a speaker must be enrolled \(es_f1, rms, slt\); got 'nobody'"):
        verify(system, store, "nobody", tested["rms"])


def test_no_files_and_nobody_enrolled_are_refused(
    system: System, store: SpeakerStore, tested: dict[str, list[str]]
) -> None:
    with pytest.raises(InvalidInput, match="must be at least one; got none"):
        identify(system, store, [])
    with pytest.raises(InvalidInput, match="must be at least one; got none"):
        verify(system, store, "rms", [])
    for speaker in ENROLLED:
        store.remove(speaker)
    with pytest.raises(InvalidInput, match=r"speakers to score against must be at least one; got none\. Enroll"):
        identify(system, store, tested["rms"])


def test_another_system_is_refused(system: System, store: SpeakerStore, tested: dict[str, list[str]]) -> None:
    other = dataclasses.replace(system, frontend=dataclasses.replace(system.frontend, dither=0.0))
    with pytest.raises(IncompatibleModel, match=r"same front end: dither=0\.0; got dither=1\.0"):
        identify(other, store, tested["rms"])
    with pytest.raises(IncompatibleModel, match=r"same front end: dither=0\.0; got dither=1\.0"):
        verify(other, store, "rms", tested["rms"])


def test_a_threshold_decides_without_a_calibration(
    system: System, store: SpeakerStore, tested: dict[str, list[str]]
) -> None:
    (ranked,) = identify(system, store, tested["slt"][:1])
    best = ranked.candidates[0].score
    for threshold, status, decision in ((best, "accepted", "slt"), (float(np.nextafter(best, 9)), "unknown", None)):
        (found,) = identify(system, store, tested["slt"][:1], rule=Rule(threshold=threshold))
        assert (found.status, found.decision, found.threshold) == (status, decision, threshold)
        assert found.candidates == ranked.candidates


def test_decisions_without_a_calibration_are_refused(system: System, store: SpeakerStore) -> None:
    for rule, word in ((Rule(far=0.1), "far"), (Rule(prior=0.1, cost_fa=10), "prior")):
        with pytest.raises(InvalidInput, match=f"a model must be calibrated for decisions by {word}; got one of raw"):
            identify(system, store, ["a.wav"], rule=rule)
        with pytest.raises(
            InvalidInput,
            match="Train on more background speakers, enroll five people or more, or give verify a threshold",
        ):
            verify(system, store, "slt", ["a.wav"], rule=rule)


def test_a_recording_counts_once_in_a_test(
    system: System, store: SpeakerStore, tested: dict[str, list[str]], tmp_path: Path
) -> None:
    first, second = tested["rms"][:2]
    copy = tmp_path / "copy.flac"
    copy.write_bytes(Path(first).read_bytes())
    once = verify(system, store, "rms", [first, second])
    for again in (first, str(copy)):
        found = verify(system, store, "rms", [first, second, again])
        assert dataclasses.replace(found, skipped=()) == once
        assert [s.name for s in found.skipped] == [again]
        assert "must be given once in a test; got the same samples again" in found.skipped[0].reason
