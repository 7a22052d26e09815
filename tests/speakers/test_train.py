"""A System from a corpus: the same bytes for the same seed, whatever the machine does beside it."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from speechgmm import __version__, storage
from speechgmm.errors import AudioError, InvalidInput, SpeechGMMWarning
from speechgmm.features import MFCC, Corpus, Recording, common_rate, training_frames
from speechgmm.mixture import Stop, fit_gmm, initialize, maximize, stepwise_passes
from speechgmm.speakers import System, Training, held_out, load_system, train, train_system
from speechgmm.speakers.train import UNCALIBRATED
from speechgmm.speakers.train_ubm import FLOOR, STOP
from tests.laws import same_bits
from tests.sounds import ROOT, steps, voice, write

Recordings = tuple[Recording, ...]


@pytest.mark.parametrize("n_threads", [1, 2, 3, None])
def test_the_same_seed_gives_the_same_bytes(background: Recordings, training: Training, n_threads: int | None) -> None:
    again = train_system(background, n_components=8, n_threads=n_threads)
    assert storage.dumps(again.system) == storage.dumps(training.system)


def test_another_seed_gives_another_ubm(background: Recordings, system: System) -> None:
    other = train_system(background, n_components=8, seed=1).system
    assert not np.array_equal(other.ubm.means, system.ubm.means)
    assert other.info["seed"] == 1
    assert other.fingerprint != system.fingerprint


def test_saved_and_loaded_it_is_the_same(system: System, tmp_path: Path) -> None:
    system.save(tmp_path / "a")
    loaded = load_system(tmp_path / "a")
    same_bits(loaded.ubm, system.ubm)
    assert loaded.fingerprint == system.fingerprint
    assert (tmp_path / "a").read_bytes() == storage.dumps(loaded)


def test_what_it_is_made_of(system: System) -> None:
    assert [p.n_components for p in system.ubm.parts] == [8, 8]
    assert system.ubm.n_dimensions == system.frontend.n_dimensions
    assert dataclasses.replace(system.frontend, averages=None) == MFCC(sample_rate=16000, kind="mfcc+lfcc")
    assert system.frontend.averages is not None
    assert system.relevance == 8.0
    assert system.calibration is None


def test_info_says_how_it_was_made_and_not_where(background: Recordings, training: Training) -> None:
    info = training.system.info
    assert training.skipped == ()
    frames = info["data"]["frames"]
    assert info["data"] == {
        "recordings": len(background),
        "skipped": 0,
        "speakers": 8,
        "speech_seconds": round(frames * training.system.frontend.hop_length, 2),
        "frames": frames,
    }
    assert info["seed"] == 0
    assert info["versions"]["speechgmm"] == __version__
    assert set(info["versions"]) == {"speechgmm", "python", "numpy", "scikit-learn", "scipy"}
    objective = info["em"]["objective"]
    assert len(objective) > 2
    assert objective[-1] > objective[0]
    assert isinstance(info["em"]["reason"], str)
    assert str(ROOT) not in json.dumps(info)


def test_order_of_the_recordings_is_data_but_names_are_not(background: Recordings, system: System) -> None:
    renamed = [Recording(r.path, r.speaker, f"other {i}") for i, r in enumerate(background)]
    same_bits(train_system(renamed, n_components=8).system.ubm, system.ubm)


def test_bad_recordings_are_skipped_and_reported(background: Recordings, system: System, tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.wav", np.zeros(16000))
    bad = [
        Recording(str(tmp_path / "none.wav"), "x", "none.wav"),
        Recording(str(silent), "x", "silent.wav"),
    ]
    found = train_system([bad[0], *background, bad[1]], n_components=8)
    same_bits(found.system.ubm, system.ubm)
    assert [s.name for s in found.skipped] == ["none.wav", "silent.wav"]
    assert "must exist" in found.skipped[0].reason
    assert "s of speech" in found.skipped[1].reason
    assert found.system.info["data"]["skipped"] == 2
    assert found.system.info["data"]["recordings"] == len(background)


ANY_RATES = pytest.mark.filterwarnings("ignore:the sampling rates are mixed")


@pytest.fixture
def mixed(tmp_path: Path) -> list[Recording]:
    """Voices at three rates, and one file that is missing."""
    rates = {"high": 44100, "low": 8000, "wide": 16000}
    paths = {n: write(tmp_path / f"{n}.wav", steps(voice(1.5, rate)), rate) for n, rate in rates.items()}
    return [*(Recording(str(p), n, n) for n, p in paths.items()), Recording(str(tmp_path / "none"), "x", "none")]


def test_the_lowest_rate_is_chosen(mixed: list[Recording]) -> None:
    assert common_rate(mixed) == 8000
    assert common_rate([mixed[0], mixed[3]]) == 44100
    with pytest.warns(
        SpeechGMMWarning, match=r"mixed: 8000 Hz 1 .*; 16000 Hz 1 .*; 44100 Hz 1\. All are taken at 8000 Hz"
    ):
        found = train_system(mixed, n_components=2)
    assert dataclasses.replace(found.system.frontend, averages=None) == MFCC(sample_rate=8000, kind="mfcc+lfcc")
    assert [s.name for s in found.skipped] == ["none"]


def test_a_front_end_of_ones_own_skips_lower_rates(mixed: list[Recording]) -> None:
    frontend = MFCC(sample_rate=16000, n_mfcc=5, deltas=0, normalization="mean_variance")
    found = train_system(mixed, n_components=2, frontend=frontend, relevance=5, seed=5)
    assert found.system.frontend is frontend
    assert found.system.relevance == 5.0
    assert [s.name for s in found.skipped] == ["low", "none"]
    assert "at least the model's rate of 16000 Hz; got 8000 Hz" in found.skipped[0].reason


@ANY_RATES
def test_progress_is_reported_in_stages(mixed: list[Recording]) -> None:
    seen: list[tuple[str, int, int]] = []
    train_system(mixed, n_components=2, on_progress=lambda *args: seen.append(args))
    assert seen[:4] == [("features", i, 4) for i in (1, 2, 3, 4)]
    start = [s for s in seen if s[0] == "start"]
    assert start == [("start", 0, 2), ("start", 1, 2), ("start", 1, 2), ("start", 2, 2)]
    em = [s for s in seen[4:] if s not in start]
    assert {(stage, whole) for stage, _, whole in em} == {("EM", 2 * STOP.max_iterations)}
    done = [d for _, d, _ in em]
    assert done == sorted(set(done))
    assert 0 < done[-1] <= em[0][2]


@ANY_RATES
def test_of_many_frames_stepwise_em_comes_first(mixed: list[Recording], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechgmm.speakers.train_ubm.MANY_FRAMES", 100)
    seen: list[tuple[str, int, int]] = []
    front = MFCC(sample_rate=8000)
    made = train_system(mixed, n_components=2, frontend=front, on_progress=lambda *args: seen.append(args)).system
    frames = training_frames(front, mixed).blocks
    rule = functools.partial(maximize, floor=FLOOR)
    start = stepwise_passes(initialize(frames, 2, floor=FLOOR), frames, 2, m_step=rule)
    found = fit_gmm(frames, 2, init=start, floor=FLOOR, stop=Stop(2e-3, 4))
    np.testing.assert_array_equal(made.ubm.means, found.model.means)
    assert made.info["em"]["objective"] == list(found.objective)
    start_told = [(done, whole) for stage, done, whole in seen if stage == "start"]
    assert start_told[0] == (0, 1)
    assert start_told[-1] == (1, 1)
    assert [done for done, whole in start_told if whole > 1] == list(range(1, max(d for d, _ in start_told) + 1))


@ANY_RATES
def test_fewer_frames_than_components_are_refused(mixed: list[Recording]) -> None:
    with pytest.raises(InvalidInput, match=r"must .*; got \d+"):
        train_system(mixed, n_components=5000)


@ANY_RATES
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "n_components must be at least 1; got 0"),
        ({"n_components": 2.5}, r"n_components must be a whole number; got 2\.5"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        ({"relevance": -1.0}, "relevance must be at least 0 frames"),
        ({"n_threads": 0}, "n_threads must be at least 1; got 0"),
    ],
)
def test_bad_settings_are_refused(mixed: list[Recording], settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        train_system(mixed, **{"n_components": 2} | settings)  # type: ignore[arg-type]


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"sounds must be at least one, with a rate"):
        train_system([])
    with pytest.raises(AudioError, match=r"a recording must exist; got .*none\.wav"):
        train_system([Recording(str(tmp_path / "none.wav"), "x", "none.wav")])
    silent = write(tmp_path / "silent.wav", np.zeros(16000))
    with pytest.raises(
        InvalidInput, match=r"at least one usable recording; got none of 1; the first: .*silent\.wav must"
    ):
        train_system([Recording(str(silent), "x", "silent.wav")])


def test_speakers_enough_make_a_calibration(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty recordings under twenty names, of eight voices: a calibration is made, if not a good one."""
    found = corpus.where(split="ubm").recordings
    named = [Recording(r.path, f"{i // 2}", r.name) for i, r in enumerate(found)]
    stages: list[str] = []
    monkeypatch.setattr(held_out, "SEARCHES", 10)
    made = train_system(named, n_components=4, on_progress=lambda stage, done, total: stages.append(stage))
    calibration = made.system.calibration
    assert calibration is not None
    assert calibration.measured["by"] == "recordings"
    assert calibration.cohort.shape == (calibration.measured["speakers"], 8, 60)
    assert not any("not calibrated" in w for w in made.warnings)
    assert list(dict.fromkeys(stages))[3:] == [f"fold {i} of 4" for i in (1, 2, 3, 4)]
    made.system.save(tmp_path / "m")
    assert storage.dumps(load_system(tmp_path / "m")) == storage.dumps(made.system)
    plain = train_system(named, n_components=4, calibrated=False)
    assert plain.system.calibration is None
    assert plain.system.fingerprint == made.system.fingerprint

    def fail(*_: object, **__: object) -> None:
        raise InvalidInput("scores must be higher for targets.")

    monkeypatch.setattr(train, "calibrate", fail)
    failed = train_system(named, n_components=4)
    assert failed.system.calibration is None
    assert failed.warnings[-1] == "not calibrated: scores must be higher for targets."


def test_too_few_speakers_are_said_plainly(training: Training) -> None:
    assert training.system.calibration is None
    assert training.warnings[-1] == UNCALIBRATED
    assert "fewer than 20" in UNCALIBRATED
