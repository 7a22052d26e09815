"""Whose text a file is, told by its content, and the model of speakers that is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import OwnFeatures
from speechgmm.interchange import imported_system, read_mixture, write_htk, write_kaldi
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import load_system
from tests.interchange.mixtures import KINDS, a_mixture, off, some_frames


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_told_by_their_content(tmp_path: Path, kind: str) -> None:
    gmm, x = a_mixture(kind), some_frames(4).astype(np.float64)
    for toolkit, write in (("Kaldi", write_kaldi), ("HTK", write_htk)):
        write(gmm, tmp_path / toolkit)
        read = read_mixture(tmp_path / toolkit)
        assert (read.toolkit, read.name) == (toolkit, toolkit)
        assert off(read.mixture.log_density(x), gmm.log_density(x)) < 1e-9


def test_a_model_takes_features_and_ranks(tmp_path: Path) -> None:
    write_kaldi(a_mixture("full"), tmp_path / "final.ubm")
    imported_system(read_mixture(tmp_path / "final.ubm"), hop_length=0.02).save(tmp_path / "m.sgmm")
    system = load_system(tmp_path / "m.sgmm")
    assert system.frontend == OwnFeatures(dimensions=4, hop_length=0.02)
    assert system.calibration is None
    assert system.info["about"] == {"imported from": "Kaldi: final.ubm"}
    assert system.statistics(some_frames(4)).frames == 50
    with pytest.raises(
        IncompatibleModel,
        match=r"must have 4 features, as this UBM was trained with OwnFeatures.*; got shape \(50, 3\)",
    ):
        system.statistics(some_frames(3))


def test_what_is_neither(tmp_path: Path) -> None:
    for content, found in ((b"RIFF\0\0", r"'RIFF\\x00\\x00'"), (b" \n", "an empty file")):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(
            InvalidInput, match=rf"must be a mixture in the text of Kaldi .* or HTK \(~o, ~h\); got {found}"
        ):
            read_mixture(tmp_path / "a")
    with pytest.raises(InvalidInput, match=r"must exist; got .*none, which does not\. Check the path"):
        read_mixture(tmp_path / "none")
    with pytest.raises(InvalidInput, match="a mixture of another toolkit must be a readable file; got"):
        read_mixture(tmp_path)
    write_kaldi(GMM([1.0], [[1e30]], Diagonal([[1.0]]), [0.0]), tmp_path / "far")
    imported_system(read_mixture(tmp_path / "far"))  # its mean is its origin
    write_kaldi(GMM([1.0], [[0.0]], Diagonal([[1e-30]]), [0.0]), tmp_path / "narrow")
    with pytest.raises(InvalidInput, match="the UBM must have deviations from 1e-12 to 1e"):
        imported_system(read_mixture(tmp_path / "narrow"))
    with pytest.raises(InvalidInput, match=r"hop_length must be at least 0\.0001 s"):
        imported_system(read_mixture(tmp_path / "far"), hop_length=0.0)
