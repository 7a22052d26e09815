"""A model, a store and an export that version 0.1.0 wrote before stores kept what they are tested with.

In `data/`: a calibrated system of four components, trained on made voices at 8 kHz; ann with two sessions and bob with
one, enrolled by it; and both of them exported.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import Statistics
from speechgmm.speakers import Session, SpeakerExport, SpeakerStore, System, load_system

FILES = Path(__file__).parent / "data"


def test_a_model_whose_calibration_was_another_is_to_be_trained_again() -> None:
    path = FILES / "system.sgmm"
    rule = (
        rf"{re.escape(str(path))} must hold a SystemCalibration as this version writes it; got one without levels, "
        r"owners\. It was written by an earlier version: train it again\."
    )
    with pytest.raises(IncompatibleModel, match=rule):
        load_system(path)
    assert storage.read_header(path)["$type"] == "System", "what it holds can still be told"


@pytest.mark.parametrize("create", [False, True])
def test_a_store_of_sessions_alone_is_to_be_enrolled_again(tmp_path: Path, tiny: System, create: bool) -> None:
    path = Path(shutil.copy(FILES / "store.db", tmp_path / "store.db"))
    before = path.read_bytes()
    words = r"store\.db must be of format 2; got format 1\. It keeps too little for decisions: enroll again\."
    with pytest.raises(InvalidInput, match=words):
        SpeakerStore(path, tiny, create=create)
    with pytest.raises(InvalidInput, match=words):
        SpeakerStore(path)
    assert path.read_bytes() == before


def test_a_former_export_is_read() -> None:
    export: SpeakerExport = storage.load(FILES / "speakers.sgmm", SpeakerExport, Session, Statistics)
    assert len(export.fingerprint) == 16
    assert [s.summary.speaker for s in export.sessions] == ["ann", "ann", "bob"]
    assert [s.speech_seconds for s in export.sessions] == pytest.approx([1.14, 1.36, 1.1])
