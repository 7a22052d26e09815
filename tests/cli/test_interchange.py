"""Exports and imports: what the commands write is what the functions write, and what they refuse is kept."""

import json
import shutil

import numpy as np
import onnx
import pytest

from speechgmm.evaluation import read_scores
from speechgmm.features import extract
from speechgmm.interchange import read_htk, read_kaldi
from speechgmm.mixture import GMM
from speechgmm.speakers import default_system, load_system
from speechgmm.storage import load
from tests.cli.running import DATA, MANIFEST, run
from tests.interchange.mixtures import Compiled, a_mixture
from tests.interchange.test_onnx_graph import run as run_graph

RMS = DATA / "rms" / "s2_1.flac"


@pytest.fixture
def x(made):
    """The features of a test."""
    return np.array(extract(load_system(made.model).frontend, RMS).usable())


def test_a_mixture_goes_to_kaldi_and_htk_and_comes_back_as_a_model(made, x, tmp_path):
    ubm = load_system(made.model).ubm
    for toolkit, name, read in (("kaldi", "final.dubm", read_kaldi), ("htk", "gmm.mmf", read_htk)):
        done = run(f"export-{toolkit}", made.model, "-o", tmp_path / name, "--json")
        told = {"output": str(tmp_path / name), "toolkit": {"kaldi": "Kaldi", "htk": "HTK"}[toolkit]}
        assert (done.status, done.document) == (0, told | {"components": 16, "dimensions": 60, "covariance": "diag"})
        np.testing.assert_allclose(read(tmp_path / name).log_density(x), ubm.log_density(x), atol=1e-4)
        model = tmp_path / f"{toolkit}.sgmm"
        done = run("import-mixture", tmp_path / name, "-o", model, "--hop-length", 0.02, "--json")
        assert (done.status, done.document["model"], done.document["calibrated"]) == (0, str(model), False)
        assert done.document["frontend"] == {"kind": "features", "dimensions": 60, "hop_length": 0.02}
        told = run("info", model, "--json").document
        assert told["info"]["about"] == {
            "imported from": f"{told['info']['about']['imported from'].split(':')[0]}: {name}"
        }
        shown = run("info", model)
        assert (shown.status, shown.err) == (0, "")
        assert f": {name}" in shown.out
        assert "features (.npy files, Kaldi archives), no sound" in shown.out
        np.save(tmp_path / "a.npy", x)
        using = ("--model", model, "--store", tmp_path / f"{toolkit}.db")
        assert run("enroll", *using, "ann", tmp_path / "a.npy").status == 0
    assert "16 components of 60 features" in run("import-mixture", tmp_path / name, "-o", model).out
    assert "Kaldi" in run("export-kaldi", made.model, "-o", tmp_path / "final.dubm").out


def test_a_graph_and_a_header_of_the_background(made, x, tmp_path):
    done = run("export-onnx", made.model, "-o", tmp_path / "a.onnx", "--json")
    system = load_system(made.model)
    told = {"output": str(tmp_path / "a.onnx"), "fingerprint": system.fingerprint, "outputs": ["log_density"]}
    assert (done.status, done.document) == (0, told | {"labels": [], "dimensions": 60, "components": 16})
    wanted = system.ubm.log_density(x.astype(np.float64))
    np.testing.assert_allclose(run_graph(tmp_path / "a.onnx", x)["log_density"], wanted, atol=1e-5)
    done = run("export-c", made.model, "-o", tmp_path / "a.h", "--prefix", "ubm", "--json")
    assert (done.status, done.document) == (0, told | done.document | {"output": str(tmp_path / "a.h")})
    compiled = Compiled(tmp_path / "a.h", "ubm", ("log_density",), 0)
    np.testing.assert_allclose(compiled.log_density(x), wanted, atol=1e-5)
    shown = run("export-c", made.model, "-o", tmp_path / "b.h")
    assert "labels       none" in shown.out


def test_speakers_of_a_store_have_the_scores_that_score_writes(made, using, x, tmp_path):
    store = ("--store", made.store)
    done = run("export-onnx", made.model, *store, "-o", tmp_path / "s.onnx", "--json")
    assert (done.status, done.document["damaged"], len(done.document["labels"])) == (0, [], 10)
    done = run("export-c", made.model, *store, "-o", tmp_path / "s.h", "--json")
    outputs = tuple(done.document["outputs"])
    assert outputs == ("scores", "llr")  # ten people have a calibration, if only a borrowed one
    table = read_scores(made.scores)
    mine = table.test == "rms/s2_1.flac"
    wanted = dict(zip(table.speaker[mine].tolist(), table.score[mine].tolist(), strict=True))
    found = run_graph(tmp_path / "s.onnx", x)["llr"]
    in_c = Compiled(tmp_path / "s.h", "s", outputs, 10)("llr", x)
    for label, graph, header in zip(done.document["labels"], found, in_c, strict=True):
        assert (graph, header) == (pytest.approx(wanted[label], abs=1e-3), pytest.approx(wanted[label], abs=1e-3))


def test_classes_and_mixtures_by_themselves(tmp_path):
    train = ("classify", "train", MANIFEST, "--label", "gender", "--components", 2, "--where", "split=ubm")
    for backend in ("gmm", "svm"):
        assert run(*train, "--backend", backend, "-o", tmp_path / backend).status == 0
    done = run("export-onnx", tmp_path / "gmm", "-o", tmp_path / "c.onnx", "--json")
    assert (done.document["labels"], done.document["outputs"]) == (["f", "m"], ["scores", "log_posteriors"])
    facts = {p.key: p.value for p in onnx.load(tmp_path / "c.onnx").metadata_props}
    assert json.loads(facts["labels"]) == ["f", "m"]
    assert run("export-c", tmp_path / "gmm", "-o", tmp_path / "c.h").status == 0
    run("export-c", tmp_path / "svm", "-o", tmp_path / "d.h").refused("by mixtures alone", "--backend gmm")
    run("export-kaldi", tmp_path / "gmm", "-o", tmp_path / "d").refused("hold one mixture for Kaldi; got several")
    gmm = a_mixture("full")
    gmm.save(tmp_path / "mixture")
    assert run("export-htk", tmp_path / "mixture", "-o", tmp_path / "a.mmf", "--json").document["covariance"] == "full"
    np.testing.assert_allclose(read_htk(tmp_path / "a.mmf").means, gmm.means)
    assert run("export-onnx", tmp_path / "mixture", "-o", tmp_path / "m.onnx").status == 0
    assert load(tmp_path / "mixture", GMM, type(gmm.covariance)).n_components == 5


def test_what_is_refused_and_kept(made, other, tmp_path):
    notes = tmp_path / "notes"
    notes.write_text("mine")
    for command, kind in (
        ("export-onnx", "a graph in ONNX that speechgmm wrote"),
        ("export-c", "a C header that speechgmm wrote"),
        ("export-kaldi", "a mixture in Kaldi's text format"),
        ("export-htk", "the definition of a mixture in HTK's text format"),
    ):
        run(command, made.model, "-o", notes).refused(f"must be new, empty or {kind}", notes)
        run(command, made.model, "-o", tmp_path / "no" / "a").refused("in a folder that exists")
        run(command, made.scores, "-o", tmp_path / "a").refused("be a speechgmm file")
    run("import-mixture", notes, "-o", tmp_path / "m").refused("in the text of Kaldi", "got 'mine'")
    run("import-mixture", tmp_path / "none", "-o", tmp_path / "m").refused("must exist")
    run("import-mixture", made.model, "-o", notes).refused("must be new, empty or a model of speakers")
    run("import-mixture", notes, "-o", tmp_path / "m", "--hop-length", 0).misused("hop_length must be at least")
    run("export-c", made.model, "-o", tmp_path / "a.h", "--prefix", "1").misused("prefix must be a letter")
    store = shutil.copy(made.store, tmp_path / "s.db")
    run("export-onnx", other, "--store", store, "-o", tmp_path / "a").refused("store")
    assert run("train", MANIFEST, "--where", "speaker=awb", "--components", 2, "-o", tmp_path / "e").status == 0
    run("export-kaldi", tmp_path / "e", "-o", tmp_path / "a").refused(
        "hold one mixture for Kaldi; got 2, an ensemble", "--preset speech --components 64"
    )
    assert notes.read_text() == "mine"
    assert not (tmp_path / "a").exists()


def test_an_encrypted_store_of_the_packaged_model_needs_its_key_alone(tmp_path):
    (tmp_path / "key").write_bytes(bytes(range(32)))
    store = ("--store", tmp_path / "s.db")
    key = ("--key-file", tmp_path / "key")
    assert run("enroll", *store, *key, "rms", DATA / "rms" / "s1_1.flac").status == 0
    run("export-onnx", *store, "-o", tmp_path / "a.onnx").refused("key")
    done = run("export-onnx", *store, *key, "-o", tmp_path / "a.onnx", "--json")
    assert (done.status, done.document["labels"], done.document["outputs"]) == (0, ["rms"], ["scores", "llr"])
    assert done.document["fingerprint"] == default_system().fingerprint
    alone = run("export-onnx", "-o", tmp_path / "b.onnx", "--json").document
    assert (alone["fingerprint"], alone["outputs"]) == (done.document["fingerprint"], ["log_density"])
