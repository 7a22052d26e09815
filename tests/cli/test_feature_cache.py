"""`features --cache-info` and `--cache-clear`, and commands that read no audio twice."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from speechgmm.features import feature_cache
from tests.cli.running import run


@pytest.fixture
def wav(tmp_path, monkeypatch):
    monkeypatch.setenv(feature_cache.VARIABLE, str(tmp_path / "kept"))
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    return tmp_path / "a.wav"


def test_what_is_kept_is_shown_and_removed(wav, tmp_path):
    document = run("features", "--cache-info", "--json").document
    assert document == {
        "cleared": False,
        "folder": str(tmp_path / "kept"),
        "recordings": 0,
        "bytes": 0,
        "limit": feature_cache.LIMIT,
    }
    written = [run("features", wav, "--preset", "speech", "-o", tmp_path / f"{i}.npz") for i in range(2)]
    assert [w.status for w in written] == [0, 0]
    assert (tmp_path / "0.npz").read_bytes() == (tmp_path / "1.npz").read_bytes()
    shown = run("features", "--cache-info")
    assert "1 recording" in shown.out
    assert "0.0 MB of at most 20 GB" in shown.out
    cleared = run("features", "--cache-clear", "--json").document
    assert (cleared["cleared"], cleared["recordings"]) == (True, 1)
    assert run("features", "--cache-info", "--json").document["recordings"] == 0


def test_wrong_usage(wav, monkeypatch, tmp_path):
    for wrong in (
        ("--cache-info", "--cache-clear"),
        ("--cache-info", wav),
        ("--cache-clear", "-o", tmp_path / "x.npz"),
    ):
        done = run("features", *wrong)
        assert done.status == 2
        assert "give --cache-info or --cache-clear alone" in done.err
    assert run("features", wav).status == 2
    monkeypatch.delenv(feature_cache.VARIABLE)
    done = run("features", "--cache-info")
    assert done.status == 2
    assert "set the environment variable SPEECHGMM_CACHE to a folder" in " ".join(done.err.split())
