"""Which packaged model commands take where none is given: that of the store, or the one for the first recordings."""

import pytest

from speechgmm.features import read
from speechgmm.speakers import SpeakerStore, default_system
from tests.cli.running import DATA, MANIFEST, run
from tests.sounds import steps, voice, write


def of(store):
    """Return the rate of the model that a store is of."""
    with SpeakerStore(store) as opened:
        known = {default_system(rate).fingerprint: rate for rate in (8000, 16000)}
        return known[opened.fingerprint]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Recordings of two embedded voices, at 8 kHz."""
    folder = tmp_path_factory.mktemp("calls")
    for who in ("rms", "slt"):
        for name in ("s1_1", "s1_2", "s2_1"):
            signal = read(DATA / who / f"{name}.flac")
            write(folder / who / f"{name}.wav", steps(signal.samples[::2]), 8000)
    return folder


def test_a_store_of_telephone_recordings_takes_the_telephone_model_and_keeps_it(calls, tmp_path):
    store = ("--store", tmp_path / "s.db")
    for who in ("rms", "slt"):
        done = run("enroll", *store, who, calls / who / "s1_1.wav", calls / who / "s1_2.wav", "--json")
        assert (done.status, done.document["skipped"]) == (0, [])
    assert of(store[1]) == 8000
    wide = DATA / "rms" / "s2_2.flac"
    found = run("identify", *store, calls / "rms" / "s2_1.wav", wide, "--json").document
    assert found["calibrated"] is True
    assert [f["candidates"][0]["speaker"] for f in found["files"]] == ["rms", "rms"]
    assert run("enroll", *store, "rms", wide).status == 0
    assert run("verify", *store, "rms", calls / "rms" / "s2_1.wav", "--json").status in (0, 3)
    scored = run("score", *store, "--manifest", calls, "-o", tmp_path / "scores.tsv", "--json")
    assert scored.document["speakers"] == 2
    shown = run("info", store[1])
    assert "which comes with the package, for 8000 Hz" in shown.out
    assert run("info", store[1], "--json").document["packaged"] == 8000


def test_a_store_of_wider_recordings_takes_the_other_one_and_keeps_it(calls, tmp_path):
    store = ("--store", tmp_path / "s.db")
    assert run("enroll", *store, "rms", DATA / "rms" / "s1_1.flac").status == 0
    assert of(store[1]) == 16000
    low = run("enroll", *store, "rms", calls / "rms" / "s1_2.wav", "--json")
    assert low.status == 1
    rule = (
        "at least the model's rate of 16000 Hz; got 8000 Hz. Record at 16000 Hz or more, or use a model of at most 8000"
    )
    assert rule in low.err
    assert of(store[1]) == 16000


def test_one_low_recording_decides_for_all_the_first_ones(calls, tmp_path):
    manifest = tmp_path / "m.csv"
    rows = [f"{DATA}/rms/s1_1.flac,rms", f"{calls}/slt/s1_1.wav,slt", f"{tmp_path}/none.wav,slt"]
    manifest.write_text("\n".join(["path,speaker", *rows]))
    done = run("enroll", "--store", tmp_path / "s.db", "--manifest", manifest, "--json")
    assert [s["file"] for s in done.document["skipped"]] == [f"{tmp_path}/none.wav"]
    assert of(tmp_path / "s.db") == 8000
    url = f"sqlite:///{tmp_path}/u.db"
    assert run("enroll", "--store", url, "--manifest", manifest).status == 1
    assert of(url) == 8000
    assert run("enroll", "--store", url, "rms", DATA / "rms" / "s1_2.flac").status == 0


def test_a_store_of_another_model_asks_for_it(made, calls, tmp_path):
    for command in (("identify", calls / "rms" / "s2_1.wav"), ("verify", "rms", calls / "rms" / "s2_1.wav")):
        run(*command, "--store", made.store).refused(
            made.store, "be of a packaged model where no --model is given", "Give --model", "enroll again"
        )
    run("enroll", "--store", made.store, "x", calls / "rms" / "s2_1.wav").refused("Give --model")
    run("score", "--store", made.store, "--manifest", MANIFEST, "-o", tmp_path / "o").refused("Give --model")
    assert run("info", made.store, "--json").document["packaged"] is None
    assert "comes with the package" not in run("info", made.store).out


def test_a_store_that_cannot_be_opened_is_refused_as_ever(calls, tmp_path):
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("this is no database" * 100)
    run("identify", "--store", missing, calls / "rms" / "s2_1.wav").refused("a store must exist")
    assert not missing.exists()
    for command in (("identify",), ("enroll", "ann")):
        run(*command, "--store", text, calls / "rms" / "s2_1.wav").refused(text, "be a speechgmm store")
    assert text.read_text() == "this is no database" * 100


def test_trials_of_recordings_and_features_take_the_model_that_fits(calls, tmp_path):
    trials = calls / "trials.txt"
    trials.write_text("1 rms/s1_1.wav rms/s2_1.wav\n0 slt/s1_1.wav rms/s2_1.wav\n")
    done = run("score", "--trials", trials, "-o", tmp_path / "scores.tsv", "--json")
    assert (done.document["trials"], done.document["skipped"]) == (2, [])
    low = run("features", calls / "rms" / "s1_1.wav", DATA / "rms" / "s1_1.flac", "-o", tmp_path / "f.npz", "--json")
    assert low.document["fingerprint"] == default_system(8000).frontend.fingerprint
    assert [f["error"] for f in low.document["files"]] == [None, None]
    high = run("features", DATA / "rms" / "s1_1.flac", "-o", tmp_path / "g.npz", "--json")
    assert high.document["fingerprint"] == default_system().frontend.fingerprint
    slow = write(tmp_path / "slow.wav", voice(1.0, 4000), 4000)
    bad = run("features", slow, "-o", tmp_path / "h.npz")
    assert "at least the model's rate of 8000 Hz; got 4000 Hz" in bad.err
    assert "packaged" not in bad.err
