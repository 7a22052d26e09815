"""ONNX graphs, run by onnxruntime: densities, scores, LLRs and posteriors are those of Python."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings

from speechgmm.classification import AudioClassifier
from speechgmm.errors import InvalidInput, MissingExtra
from speechgmm.interchange import exported_scorer, onnx_graph, write_onnx
from speechgmm.mixture import GMM, Diagonal, Ensemble
from speechgmm.speakers import Scorer, System
from tests.interchange.conftest import PEOPLE
from tests.interchange.mixtures import (
    KINDS,
    WITHIN,
    Array,
    a_mixture,
    expected,
    off,
    one_recording,
    problems,
    some_frames,
    told,
)


def run(path: Path, x: Array) -> dict[str, Array]:
    """What a graph gives for frames, by name."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"frames": x.astype(np.float64)}), strict=True))


@given(problems())
@settings(max_examples=25)
def test_any_mixture_has_its_density(tmp_path_factory: Any, problem: Any) -> None:
    gmm, x = problem
    path = tmp_path_factory.mktemp("onnx") / "g.onnx"
    assert write_onnx(gmm, path).outputs == ("log_density",)
    assert off(run(path, x)["log_density"], expected(gmm, x)) < WITHIN


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_difference(tmp_path: Path, kind: str, record_property: Any) -> None:
    gmm, x = a_mixture(kind), some_frames(4)
    write_onnx(gmm, tmp_path / "g.onnx")
    told(record_property, f"ONNX, {kind}", most := off(run(tmp_path / "g.onnx", x)["log_density"], expected(gmm, x)))
    assert most < 1e-9


def test_frames_and_means_that_are_far_away(tmp_path: Path) -> None:
    far = GMM([0.3, 0.7], [[1e6, 0.0], [-1e6, 3.0]], Diagonal([[1e-4, 1.0], [1.0, 1e-6]]), [0.0, 0.0])
    x = np.concatenate([far.sample(20).frames, [[3e3, -1e5], [1e6, 0.0]]])
    write_onnx(far, tmp_path / "far.onnx")
    assert "MatMul" not in {n.op_type for n in onnx.load(tmp_path / "far.onnx").graph.node}
    assert off(run(tmp_path / "far.onnx", x)["log_density"], expected(far, x)) < WITHIN
    near = a_mixture("diag")
    write_onnx(near, tmp_path / "near.onnx")
    assert "MatMul" in {n.op_type for n in onnx.load(tmp_path / "near.onnx").graph.node}
    x = some_frames(4) * 1e4  # each density but one underflows
    assert off(run(tmp_path / "near.onnx", x)["log_density"], expected(near, x.astype(np.float64))) < WITHIN


def test_weights_of_zero_and_ensembles(tmp_path: Path, cut: GMM) -> None:
    x = some_frames(2)
    write_onnx(cut, tmp_path / "g.onnx")
    assert off(run(tmp_path / "g.onnx", x)["log_density"], expected(cut, x)) < WITHIN
    one, two = (a_mixture("diag", k, 2, seed=k) for k in (2, 3))
    one, two = (dataclasses.replace(p, origin=np.ones(2)) for p in (one, two))
    both, x = Ensemble((one, two, one), (0, 1, 1)), some_frames(4)
    write_onnx(both, tmp_path / "g.onnx")
    wanted = both.shares @ [expected(p, y) for p, y in zip(both.parts, both.seen(x.astype(np.float64)), strict=True)]
    assert off(run(tmp_path / "g.onnx", x)["log_density"], wanted) < WITHIN


def test_speakers_have_the_scores_and_llrs_of_python(
    tmp_path: Path, calibrated: Scorer, raw: Scorer, record_property: Any
) -> None:
    exported = write_onnx(calibrated, tmp_path / "s.onnx")
    assert (exported.outputs, exported.labels) == (("scores", "llr"), tuple(sorted(PEOPLE)))
    frontend = calibrated.system.frontend
    ratios, llrs = [], []
    for n in (1, 40, 700, 30_000):  # amounts below, within and above those that the calibration knows
        x = some_frames(4, n)
        found = run(tmp_path / "s.onnx", x)
        ratios.append(off(found["scores"], calibrated.models.ratios(x.astype(np.float64))))
        wanted = calibrated.score_test([one_recording(x.astype(np.float64), frontend)])
        assert wanted.error is None
        llrs.append(off(found["llr"], wanted.scores))
    told(record_property, "ONNX, ratios of speakers", max(ratios))
    told(record_property, "ONNX, calibrated LLRs", max(llrs))
    assert max(ratios) < WITHIN
    assert max(llrs) < WITHIN
    exported = write_onnx(raw, tmp_path / "r.onnx")
    assert exported.outputs == ("scores",)
    x = some_frames(4)
    found = run(tmp_path / "r.onnx", x)
    assert set(found) == {"scores"}
    assert off(found["scores"], raw.models.ratios(x.astype(np.float64))) < WITHIN


def test_a_borrowed_calibration_has_no_cohort(tmp_path: Path, calibrated: Scorer) -> None:
    borrowing = dataclasses.replace(calibrated, system=dataclasses.replace(calibrated.system, calibration=None))
    assert borrowing.cohort is None
    write_onnx(borrowing, tmp_path / "b.onnx")
    x = some_frames(4, 300)
    wanted = borrowing.score_test([one_recording(x.astype(np.float64), borrowing.system.frontend)]).scores
    assert off(run(tmp_path / "b.onnx", x)["llr"], wanted) < WITHIN


def test_where_recordings_count_there_are_no_llrs(calibrated: Scorer) -> None:
    counting = dataclasses.replace(calibrated, by_recording=object())  # type: ignore[arg-type]
    assert exported_scorer(counting).outputs == ("scores",)


def test_classes_have_the_scores_and_posteriors_of_python(
    tmp_path: Path, classes: AudioClassifier, record_property: Any
) -> None:
    x = some_frames(4)
    assert write_onnx(classes, tmp_path / "c.onnx").outputs == ("scores", "log_posteriors")
    found, wanted = run(tmp_path / "c.onnx", x), classes.scores(x.astype(np.float64)).classes
    assert classes.calibration is not None
    posteriors = classes.calibration.log_posteriors(wanted)[0]
    most = max(off(found["scores"], wanted[0]), off(found["log_posteriors"], posteriors))
    told(record_property, "ONNX, classes", most)
    assert most < WITHIN
    write_onnx(dataclasses.replace(classes, calibration=None), tmp_path / "u.onnx")
    assert set(run(tmp_path / "u.onnx", x)) == {"scores"}


def test_what_the_graph_says_of_itself(tmp_path: Path, system: System, calibrated: Scorer) -> None:
    write_onnx(system, tmp_path / "a.onnx")
    write_onnx(calibrated, tmp_path / "s.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", onnx_graph.OPSET)]
    assert [(i.name, i.type.tensor_type.shape.dim[1].dim_value) for i in model.graph.input] == [("frames", 4)]
    facts = {p.key: p.value for p in model.metadata_props}
    assert set(facts) == {"fingerprint", "frontend", "symbols"}
    assert facts["fingerprint"] == system.fingerprint
    assert json.loads(facts["frontend"]) == system.frontend.settings
    facts = {p.key: p.value for p in onnx.load(tmp_path / "s.onnx").metadata_props}
    assert json.loads(facts["labels"]) == sorted(PEOPLE)
    before = (tmp_path / "s.onnx").read_bytes()
    write_onnx(calibrated, tmp_path / "s.onnx")
    assert (tmp_path / "s.onnx").read_bytes() == before


def test_what_is_refused(
    tmp_path: Path, classes: AudioClassifier, calibrated: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="must be a mixture, a System, a Scorer or an AudioClassifier; got list"):
        write_onnx([], tmp_path / "a")  # type: ignore[arg-type]
    with_machine = dataclasses.replace(classes)
    vars(with_machine)["machine"] = object()
    with pytest.raises(
        InvalidInput, match=r"by mixtures alone; got one with a linear machine\. Train it with --backend"
    ):
        write_onnx(with_machine, tmp_path / "a")
    (tmp_path / "theirs.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    with pytest.raises(InvalidInput, match="must be new, empty or a graph in ONNX that speechgmm wrote; got"):
        write_onnx(classes, tmp_path / "theirs.onnx")
    monkeypatch.setattr(onnx_graph, "_LARGEST", 1000)
    with pytest.raises(InvalidInput, match=r"a graph in ONNX must take at most 0\.0 GB; got 0\.0 GB\. Export fewer"):
        write_onnx(calibrated, tmp_path / "a")
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"onnx must be installed for this; .* 'speechgmm\[onnx\]'"):
        write_onnx(classes, tmp_path / "a")
    assert not (tmp_path / "a").exists()
