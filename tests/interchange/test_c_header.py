"""C headers, compiled with all warnings as errors: densities, scores, LLRs and posteriors are those of Python."""

from __future__ import annotations

import dataclasses
import json
import re
from ctypes import POINTER, c_char_p
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from speechgmm.classification import AudioClassifier
from speechgmm.errors import InvalidInput
from speechgmm.interchange import c_header, exported_scorer, write_c_header
from speechgmm.mixture import GMM, Diagonal, Ensemble
from speechgmm.speakers import Scorer
from tests.interchange.conftest import PEOPLE
from tests.interchange.mixtures import (
    KINDS,
    WITHIN,
    Array,
    Compiled,
    a_mixture,
    expected,
    off,
    one_recording,
    problems,
    some_frames,
    told,
)


def compiled(thing: Any, folder: Path, prefix: str = "gmm") -> Compiled:
    """Write a header to a folder, and compile it."""
    exported = write_c_header(thing, folder / f"{prefix}.h")
    text = (folder / f"{prefix}.h").read_text()
    scorer = text[text.index(c_header.SCORER_BEGINS) : text.rindex("#endif")]
    assert len([line for line in scorer.splitlines()[1:] if line.strip()]) <= 60
    assert "malloc" not in text
    return Compiled(folder / f"{prefix}.h", prefix, exported.outputs, len(exported.labels))


@given(problems())
@settings(max_examples=12)
def test_any_mixture_has_its_density(tmp_path_factory: Any, problem: Any) -> None:
    gmm, x = problem
    assert off(compiled(gmm, tmp_path_factory.mktemp("c")).log_density(x), expected(gmm, x)) < WITHIN


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_difference(tmp_path: Path, kind: str, record_property: Any) -> None:
    gmm, x = a_mixture(kind), some_frames(4)
    told(record_property, f"C, {kind}", most := off(compiled(gmm, tmp_path).log_density(x), expected(gmm, x)))
    assert most < 1e-9


def test_frames_that_are_far_away(tmp_path: Path, cut: GMM) -> None:
    gmm = a_mixture("diag")
    made = compiled(gmm, tmp_path)
    x = some_frames(4) * np.float32(1e4)
    assert off(made.log_density(x), expected(gmm, x.astype(np.float64))) < WITHIN
    huge = np.full((1, 4), 3e38, np.float32)
    wanted = expected(gmm, huge.astype(np.float64))
    assert made.log_density(huge) == pytest.approx(wanted, rel=1e-12)
    narrow = GMM([1.0], [[0.0]], Diagonal([[1e-240]]))
    assert compiled(narrow, tmp_path, "narrow").log_density(np.full((1, 1), 3e38, np.float32)) == -np.inf
    assert (
        off(compiled(cut, tmp_path, "cut").log_density(x[:, :2]), expected(cut, x[:, :2].astype(np.float64))) < WITHIN
    )


def test_ensembles_and_mixed_kinds(tmp_path: Path, classes: AudioClassifier) -> None:
    one, two = (dataclasses.replace(a_mixture(kind, 3, 2), origin=np.ones(2)) for kind in ("diag", "spherical"))
    both, x = Ensemble((one, two, one), (0, 1, 1)), some_frames(4)
    wanted = both.shares @ [expected(p, y) for p, y in zip(both.parts, both.seen(x.astype(np.float64)), strict=True)]
    assert off(compiled(both, tmp_path).log_density(x), wanted) < WITHIN
    mixtures = tuple(a_mixture(kind, k) for k, kind in enumerate(("full", "diag", "tied"), 2))
    mixed = dataclasses.replace(classes, mixtures=mixtures)
    wanted = np.array([expected(m, x).mean() for m in mixtures])
    assert off(compiled(mixed, tmp_path, "mixed")("scores", x), wanted) < WITHIN


def test_speakers_have_the_scores_and_llrs_of_python(
    tmp_path: Path, calibrated: Scorer, raw: Scorer, record_property: Any
) -> None:
    made = compiled(calibrated, tmp_path)
    ratios, llrs = [], []
    for n in (1, 40, 700, 30_000):
        x = some_frames(4, n)
        ratios.append(off(made("scores", x), calibrated.models.ratios(x.astype(np.float64))))
        wanted: Array | None = calibrated.score_test(
            [one_recording(x.astype(np.float64), calibrated.system.frontend)]
        ).scores
        assert wanted is not None
        llrs.append(off(made("llr", x), wanted))
    told(record_property, "C, ratios of speakers", max(ratios))
    told(record_property, "C, calibrated LLRs", max(llrs))
    assert max(ratios) < WITHIN
    assert max(llrs) < WITHIN
    x = some_frames(4)
    assert off(compiled(raw, tmp_path, "raw")("scores", x), raw.models.ratios(x.astype(np.float64))) < WITHIN
    borrowing = dataclasses.replace(calibrated, system=dataclasses.replace(calibrated.system, calibration=None))
    scores = borrowing.score_test([one_recording(x.astype(np.float64), borrowing.system.frontend)]).scores
    assert off(compiled(borrowing, tmp_path, "borrowing")("llr", x), scores) < WITHIN


def test_classes_have_the_scores_and_posteriors_of_python(
    tmp_path: Path, classes: AudioClassifier, record_property: Any
) -> None:
    x = some_frames(4)
    made, wanted = compiled(classes, tmp_path), classes.scores(x.astype(np.float64)).classes
    assert classes.calibration is not None
    posteriors = classes.calibration.log_posteriors(wanted)[0]
    most = max(off(made("scores", x), wanted[0]), off(made("log_posteriors", x), posteriors))
    told(record_property, "C, classes", most)
    assert most < WITHIN


def test_labels_are_those_of_the_model_whatever_they_hold(tmp_path: Path, calibrated: Scorer) -> None:
    write_c_header(calibrated, tmp_path / "gmm.h")
    with (tmp_path / "gmm.h").open("a") as file:
        file.write("const char *const *ask_labels(void);\n")
        file.write("const char *const *ask_labels(void) { return gmm_labels; }\n")
    found = Compiled(tmp_path / "gmm.h", "gmm", ("scores",), len(PEOPLE))._library.ask_labels
    found.restype = POINTER(c_char_p)
    labels = found()
    assert [labels[i].decode() for i in range(len(PEOPLE))] == sorted(PEOPLE)


def test_what_is_said_of_a_model_ends_no_comment(tmp_path: Path, classes: AudioClassifier) -> None:
    exported = exported_scorer(classes)
    facts = exported.facts | {"frontend": json.dumps({"name": "*/ int @; /* ???/\n \u00e9"})}
    text = "".join(c_header._parts(dataclasses.replace(exported, facts=facts)))
    (told,) = re.findall("frontend: (.*)", text)
    assert json.loads(told)["name"] == "*/ int @; /* ???/\n \u00e9"
    assert text.count("*/") == 2
    assert not re.search("[@?/]", told)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("gmm.h", "gmm"), ("2 my-UBM.v1.h", "my_UBM_v1"), ("\u00e9.h", "gmm"), ("a" * 90 + ".h", "a" * 40)],
)
def test_names_begin_with_the_name_of_the_file(tmp_path: Path, name: str, prefix: str) -> None:
    write_c_header(a_mixture("diag"), tmp_path / name)
    text = (tmp_path / name).read_text()
    assert set(re.findall(r"(\w+)_log_density", text)) == {prefix}
    assert f"#define {prefix.upper()}_DIMENSIONS 4" in text
    assert "@" not in text


def test_a_prefix_of_your_own_and_the_same_bytes(tmp_path: Path) -> None:
    gmm = a_mixture("diag")
    write_c_header(gmm, tmp_path / "gmm.h", prefix="voice")
    before = (tmp_path / "gmm.h").read_bytes()
    assert b"static inline double voice_log_density(const float *frame)" in before
    write_c_header(gmm, tmp_path / "gmm.h", prefix="voice")
    assert (tmp_path / "gmm.h").read_bytes() == before


def test_what_is_refused(tmp_path: Path, calibrated: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("", "1a", "a-b", "a" * 42, "a\n"):
        with pytest.raises(
            InvalidInput, match="prefix must be a letter, then up to 40 letters, digits and underscores"
        ):
            write_c_header(calibrated, tmp_path / "a.h", prefix=prefix)
    (tmp_path / "mine.h").write_text("#pragma once\n")
    with pytest.raises(InvalidInput, match="must be new, empty or a C header that speechgmm wrote; got"):
        write_c_header(calibrated, tmp_path / "mine.h")
    monkeypatch.setattr(c_header, "MOST_NUMBERS", 100)
    with pytest.raises(
        InvalidInput, match=r"a C header must hold at most 100 numbers; got \d+\. Export fewer speakers"
    ):
        write_c_header(calibrated, tmp_path / "a.h")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.h"]
