"""What is familiar to a model: the measures of a recording, what is learned of them, and what is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, Acoustics, Corpus, FrontEnd, Recording, Signal, extract, training_frames
from speechgmm.features.acoustics import NAMES
from speechgmm.mixture import GMM
from speechgmm.speakers import System, Training, load_system, train_system
from speechgmm.speakers.familiarity import MEASURES, Familiarity, joint, measures, measures_of
from speechgmm.speakers.train_familiarity import HeldOutMeasures, fit_familiarity
from tests.sounds import voice

Array = NDArray[Any]
M = len(MEASURES)
RATE = 16000


def usual(**changed: Any) -> Familiarity:
    fields = {"center": np.zeros(M), "below": np.ones(M), "above": np.ones(M), "limit": 4.0, "recordings": 50}
    return Familiarity(**{**fields, **changed})


def sounds(signal: Array, frontend: FrontEnd | None = None) -> Acoustics:
    found = extract(frontend or MFCC(), Signal(signal.astype(np.float32), RATE))
    assert found.acoustics is not None, found.error
    return found.acoustics


def off(name: str, by: float) -> Array:
    x = np.zeros(M)
    x[[m.name for m in MEASURES].index(name)] = by
    return x


# ---------------------------------------------------------------- how a recording sounds


def test_measures_are_the_fields_of_acoustics() -> None:
    assert tuple(m.name for m in MEASURES) == ("density", *NAMES)


def test_what_a_sound_does_to_the_measures() -> None:
    """Each measure answers to what it is for, by a clear step."""
    clean = voice(2.0, RATE, seed=3)
    rng = np.random.default_rng(0)
    plain = sounds(clean)
    noise = sounds(0.1 * rng.standard_normal(len(clean)))
    assert noise.periodicity < plain.periodicity - 0.2
    assert noise.swing < plain.swing - 0.5
    assert noise.pauses < plain.pauses - 0.5
    assert sounds(np.clip(10 * clean, -0.3, 0.3)).at_peak > plain.at_peak + 1
    spectrum = np.fft.rfft(clean + 0.002 * rng.standard_normal(len(clean)))
    narrow = np.fft.irfft(np.where(np.arange(len(spectrum)) < len(spectrum) // 2, spectrum, 0), len(clean))
    assert sounds(narrow).upper < sounds(np.fft.irfft(spectrum, len(clean))).upper - 6
    t = np.arange(len(clean)) / RATE
    steady = 0.2 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 660 * t)
    assert sounds(steady).unevenness > noise.unevenness + 1


def test_changing_shapes_are_detail_and_fine_structure_and_how_fast_they_change_is_speed() -> None:
    rng = np.random.default_rng(0)
    steady = sounds(0.1 * rng.standard_normal(3 * RATE))
    ripple = {}
    for waves, seconds in ((8, 0.1), (8, 0.5), (15, 0.1)):
        n, pieces = round(seconds * RATE), []
        mel = np.linspace(0, 1, n // 2 + 1) ** 0.6
        for _ in range(round(3 / seconds)):
            shape = np.exp(1.5 * np.cos(np.pi * waves * mel) * rng.choice([-1, 1]))
            pieces.append(np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n))
        ripple[waves, seconds] = sounds(0.02 * np.concatenate(pieces))
    assert ripple[8, 0.1].detail > steady.detail + 0.3
    assert ripple[15, 0.1].fine > steady.fine + 0.3
    assert ripple[8, 0.5].speed < ripple[8, 0.1].speed - 0.1


def test_level_hardly_matters() -> None:
    """Half as loud is the same speech: what dither adds moves the measures by little."""
    clean = voice(2.0, RATE, seed=5)
    for a, b in zip(dataclasses.astuple(sounds(clean)), dataclasses.astuple(sounds(clean / 2)), strict=True):
        assert a == pytest.approx(b, abs=0.12)


@pytest.mark.parametrize("size", [1000, 7000])
def test_blocks_of_any_size_give_the_same_bits(size: int) -> None:
    clean = voice(1.0, RATE, seed=1).astype(np.float32)
    (x, whole), (y, parts) = (MFCC().listened([clean[i : i + n] for i in range(0, RATE, n)]) for n in (RATE, size))
    np.testing.assert_array_equal(x, y)
    assert whole == parts


def test_a_long_recording_in_blocks_is_heard_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only sums over blocks are rounded differently."""
    clean = voice(6.0, RATE, seed=2).astype(np.float32)
    whole = sounds(clean)
    monkeypatch.setattr("speechgmm.features.mfcc._SAMPLES", 1 << 13)
    monkeypatch.setattr("speechgmm.features.mfcc._ROWS", 37)
    for a, b in zip(dataclasses.astuple(whole), dataclasses.astuple(sounds(clean)), strict=True):
        assert a == pytest.approx(b, abs=1e-4)


@pytest.mark.parametrize(
    "frontend",
    [
        MFCC(kind="mel"),
        MFCC(deltas=0),
        MFCC(deltas=1, n_mfcc=13),
        MFCC(win_length=0.004, hop_length=0.002, n_mels=8, n_mfcc=8, fmin=200.0),
        MFCC(speech="none", normalization="none"),
    ],
)
def test_other_front_ends(frontend: MFCC) -> None:
    found = dataclasses.astuple(sounds(voice(2.0, RATE), frontend))
    assert np.isfinite(found).all()


def test_bands_and_cepstra_sound_alike() -> None:
    """All cepstra of all bands are the same spectrum."""
    clean = voice(2.0, RATE)
    bands = dataclasses.astuple(sounds(clean, MFCC(kind="mel", n_mfcc=30, deltas=0)))
    cepstra = dataclasses.astuple(sounds(clean, MFCC(n_mfcc=30, deltas=0)))
    assert bands == pytest.approx(cepstra, abs=1e-3)


def test_hardly_any_cepstra_have_no_sound() -> None:
    assert extract(MFCC(n_mfcc=3), Signal(voice(1.0, RATE).astype(np.float32), RATE)).acoustics is None


def test_silence_and_loud_samples_are_heard() -> None:
    quiet = np.zeros(RATE, np.float32)
    quiet[4000:12000] = voice(0.5, RATE)
    assert np.isfinite(dataclasses.astuple(sounds(quiet))).all()
    assert np.isfinite(dataclasses.astuple(sounds(2.0**31 * voice(1.0, RATE), MFCC(dither=0.0)))).all()


# ---------------------------------------------------------------- what is usual


@given(st.lists(st.floats(-9, 9), min_size=M, max_size=M))
def test_the_joint_distance_is_led_by_the_largest(x: list[float]) -> None:
    apart = usual().distances(x)
    assert apart.max() <= joint(apart) + 1e-9
    assert joint(apart) <= apart.max() * M ** (1 / 6) + 1e-9


def test_only_the_bad_direction_counts() -> None:
    for m in MEASURES:
        for by, words in ((-5.0, m.low), (5.0, m.high)):
            found = usual().assess(off(m.name, by))
            assert (found is None) == (not words), m.name
            if found:
                assert found.value == pytest.approx(5.0)
                assert found.limit == 4.0
                assert found.reason.startswith(words.split("{}")[0])
                assert "usual is" in found.reason


def test_words_hold_numbers_that_people_know() -> None:
    f = usual(center=off("at_peak", -5.5) + off("pauses", np.log(0.4)) + off("density", -80.0) + off("swing", 2.0))
    found = f.assess(f.center + off("at_peak", 5.0))
    assert found is not None
    assert found.reason == (
        "clipped, or peaks of one height: 32 % of its samples lie there; usual is 3.2e-06 % to 0.032 %"
    )
    found = dataclasses.replace(f, below=f.below / 5).assess(f.center + off("pauses", np.log(0.1) - np.log(0.4)))
    assert found is not None
    assert found.reason.startswith("hardly any pauses: 100 % of it is speech; usual is")
    found = f.assess(f.center + off("density", -6.0))
    assert found is not None
    assert found.reason == (
        "its frames are unlike the background's: log density -86.0 nats per frame; usual is -82.0 nats to -78.0 nats"
    )


def test_features_without_sound_have_their_density_alone() -> None:
    assert usual().assess([-5.0]) is not None
    assert usual().assess([-3.0]) is None
    assert usual(center=[0.0], below=[1.0], above=[1.0]).assess(off("swing", -9.0)) is None


@given(st.integers(0, 99), st.integers(1, 12))
def test_enrolled_speakers_come_in_any_order(seed: int, s: int) -> None:
    rng = np.random.default_rng(seed)
    rows = list(rng.normal(0, 3, (s, M)))
    a, b = usual().among(rows), usual().among(rows[::-1])
    assert storage.dumps(a) == storage.dumps(b)
    assert a.speakers == s


def test_a_domain_becomes_what_is_usual() -> None:
    """With many it is theirs alone; with few it reaches from the background to them; with none it stays."""
    rng = np.random.default_rng(0)
    people = rng.normal(0, 1, (400, M)) - 9.0
    far, f = np.full(M, -9.0), usual()
    assert f.among([]) is f
    assert f.assess(far) is not None
    for n in (2, 5, 20, 400):
        assert f.among(people[:n]).assess(far) is None
    assert f.among(people[:5]).assess(np.zeros(M)) is None
    many = f.among(people)
    np.testing.assert_allclose(many.center, -9, atol=0.3)
    assert many.assess(off("density", 0.0) - 30.0) is not None


def test_fitting_knows_its_own_and_not_others() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((400, M))
    f = fit_familiarity(list(np.split(rows[:200], 4)))
    assert f.recordings == 200
    assert np.mean([f.assess(x) is not None for x in rows[200:]]) <= 0.02
    assert f.assess(np.full(M, 6.0)) is not None
    few = fit_familiarity([rows[:2], rows[2:4]])
    assert np.mean([few.assess(x) is not None for x in rows[200:]]) <= 0.25


REFUSED: dict[str, Callable[[], Any]] = {
    r"what is usual must be a vector of 1 to 10 measures; got shape \(0,\)": lambda: usual(
        center=[], below=[], above=[]
    ),
    r"what is usual must be a vector of 1 to 10 measures; got shape \(11,\)": lambda: usual(center=np.zeros(11)),
    r"spreads must have shape \(10,\)": lambda: usual(below=[1.0]),
    r"spreads must be from 1e-06 to 1e\+12; got 0 to 1": lambda: usual(above=np.zeros(M)),
    r"what is usual must be finite": lambda: usual(center=np.full(M, np.nan)),
    r"the limit of what is familiar must be above 0": lambda: usual(limit=0.0),
    r"recordings must be at least 1": lambda: usual(recordings=0),
    r"speakers must be at least 0": lambda: usual(speakers=-1),
    r"the measures of a recording must be finite": lambda: usual().assess([np.nan]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_forged_values_are_refused(words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        REFUSED[words]()


# ---------------------------------------------------------------- of a system


def test_a_system_learns_carries_and_keeps_it(training: Training, tmp_path: Path) -> None:
    system = training.system
    assert system.familiarity is not None
    system.save(tmp_path / "a.sgmm")
    again = load_system(tmp_path / "a.sgmm")
    assert storage.dumps(again) == storage.dumps(system)
    with pytest.raises(InvalidInput, match="what is familiar must be a Familiarity; got a str"):
        dataclasses.replace(system, familiarity="yes")


def test_fingerprints_do_not_depend_on_it(system: System) -> None:
    assert dataclasses.replace(system, familiarity=None).fingerprint == system.fingerprint


def test_a_model_may_have_none(training: Training, tmp_path: Path) -> None:
    dataclasses.replace(training.system, familiarity=None).save(tmp_path / "m.sgmm")
    assert load_system(tmp_path / "m.sgmm").familiarity is None


def test_threads_change_nothing(training: Training, background: tuple[Recording, ...]) -> None:
    two = train_system(background, n_components=8, n_threads=2).system
    assert storage.dumps(two.familiarity) == storage.dumps(training.system.familiarity)


def test_strange_sounds_are_unfamiliar_and_own_ones_are_not(system: System, corpus: Corpus) -> None:
    """The corpus is of synthetic voices, so that these are familiar here."""
    assert system.familiarity is not None
    rate = system.frontend.sample_rate
    rng = np.random.default_rng(0)
    t = np.arange(3 * rate) / rate
    for strange in (0.1 * rng.standard_normal(len(t)), 0.3 * np.sin(2 * np.pi * 440 * t)):
        e = extract(system.frontend, Signal(strange.astype(np.float32), rate))
        assert system.familiarity.assess(measures_of(system.ubm, e)) is not None
    own = [extract(system.frontend, r) for r in corpus.where(split="enroll")]
    found = [system.familiarity.assess(measures_of(system.ubm, e)) for e in own]
    assert sum(u is not None for u in found) <= len(own) / 10


def test_fewer_than_four_speakers_teach_nothing(background: tuple[Recording, ...]) -> None:
    frames = training_frames(MFCC(sample_rate=8000), background[:3], n_threads=1)

    def never(blocks: Any, fold: str) -> GMM:
        raise AssertionError

    assert HeldOutMeasures(frames).learn(never) is None


def test_folds_too_small_for_their_components_teach_nothing(background: tuple[Recording, ...]) -> None:
    frames = training_frames(MFCC(sample_rate=8000), background[:4], n_threads=1)

    def fails(blocks: Any, fold: str) -> GMM:
        raise InvalidInput(fold)

    assert HeldOutMeasures(frames).learn(fails) is None


def test_uncalibrated_by_wish_has_none(background: tuple[Recording, ...]) -> None:
    assert train_system(background[:4], n_components=2, calibrated=False).system.familiarity is None


def test_each_recording_is_measured_by_a_ubm_that_did_not_know_its_speaker(
    background: tuple[Recording, ...], system: System
) -> None:
    frames = training_frames(system.frontend, background[:8], n_threads=1)
    held_out = HeldOutMeasures(frames, n_threads=1)
    seen: list[set[str]] = []

    def train(blocks: Any, fold: str) -> GMM:
        seen.append({p.recording.speaker for p in frames.parts if blocks.keep[p.start]})
        return system.ubm

    found = held_out.learn(train)
    assert found is not None
    assert found.recordings == 8
    assert set.intersection(*seen) == set()
    assert all(len(s) == 6 for s in seen)
    expected = [measures(float(system.ubm.log_density(frames.of(p)).mean()), p.acoustics) for p in frames.parts]
    np.testing.assert_allclose(found.center, np.median(expected, axis=0))


def test_values_far_beyond_any_recording_are_told_too() -> None:
    told = {m.name: m.shown(1e9) for m in MEASURES}
    assert told["at_peak"] == "100 %"
    assert all(told.values())
