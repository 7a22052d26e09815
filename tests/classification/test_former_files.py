"""A classifier that an earlier version wrote, when the type of its calibration was named otherwise, answers as then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from speechgmm import storage
from speechgmm.classification import load_classifier
from speechgmm.features import Signal
from tests.kinds import KINDS, sound

DATA = Path(__file__).parent / "data"


def test_an_older_file_gives_the_same_answers(tmp_path: Path) -> None:
    header = storage.read_header(DATA / "kinds.sgmm")
    assert header["fields"]["calibration"]["$type"] == "Calibration"
    made = load_classifier(DATA / "kinds.sgmm")
    expected = json.loads((DATA / "kinds.json").read_text(encoding="utf-8"))
    assert made.fingerprint == expected["fingerprint"]
    signals = [Signal(sound(kind, 8), 8000) for kind in KINDS]
    for signal, answer, told in zip(signals, made.classify(signals), expected["answers"], strict=True):
        assert answer.decision == told["label"]
        found = [[c.name, c.posterior, c.score] for c in answer.candidates]
        assert [row[0] for row in found] == [row[0] for row in told["candidates"]]
        for row, other in zip(found, told["candidates"], strict=True):
            np.testing.assert_allclose(row[1:], other[1:], rtol=1e-4, atol=1e-6)  # features are float32
        assert made.rejection is not None
        value = made.rejection.values(made.scores(made.frontend.from_signal(signal)).evidence)[0]
        np.testing.assert_allclose(value, told["value"], rtol=1e-4)
    made.save(tmp_path / "again.sgmm")
    assert storage.read_header(tmp_path / "again.sgmm")["fields"]["calibration"]["$type"] == "ClassCalibration"
