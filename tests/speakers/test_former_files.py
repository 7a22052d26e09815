"""A model, a store and an export that version 0.1.0 wrote before types and fields had their names of today.

In `data/`: a calibrated system of four components, trained on made voices at 8 kHz; ann with two sessions and bob with
one, enrolled by it; and both of them exported.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from speechgmm import storage
from speechgmm.mixture import Statistics
from speechgmm.speakers import Session, SessionSummary, SpeakerExport, SpeakerStore, identify, load_system
from tests.sounds import steps, voice, write

FILES = Path(__file__).parent / "data"


def test_a_former_store_answers_as_it_did(tmp_path: Path) -> None:
    system = load_system(FILES / "system.sgmm")
    test = write(tmp_path / "test.wav", steps(voice(3.0, 8000, seed=1)), 8000)
    with SpeakerStore(shutil.copy(FILES / "store.db", tmp_path / "store.db"), system) as store:
        (answer,) = identify(system, store, [test])
        assert (answer.status, answer.decision) == ("accepted", "ann")
        assert [c.score for c in answer.candidates] == pytest.approx([6.175843846, -4.907826120], rel=1e-3)
        assert answer.threshold == pytest.approx(3.513297611)
        store.rename("ann", "zoe")  # which writes the sessions anew
        (again,) = identify(system, store, [test])
        assert [c.score for c in again.candidates] == [c.score for c in answer.candidates]
        assert store.overview("zoe") == (
            SessionSummary("zoe", "s0", pytest.approx(1.14), ("ann_0.wav",)),
            SessionSummary("zoe", "s1", pytest.approx(1.36), ("ann_1.wav",)),
        )


def test_a_former_export_is_read() -> None:
    export: SpeakerExport = storage.load(FILES / "speakers.sgmm", SpeakerExport, Session, Statistics)
    assert export.fingerprint == load_system(FILES / "system.sgmm").fingerprint
    assert [s.summary.speaker for s in export.sessions] == ["ann", "ann", "bob"]
    assert [s.speech_seconds for s in export.sessions] == pytest.approx([1.14, 1.36, 1.1])
