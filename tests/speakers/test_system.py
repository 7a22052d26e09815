"""System: one value that says what fits to it, saved and loaded to the bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import MFCC
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import System, load_system
from tests.laws import close, float32_loss, random_gmm, same_bits, same_statistics


@pytest.fixture(scope="module")
def sixty() -> System:
    return System(MFCC(sample_rate=16000, n_mfcc=20, deltas=2), random_gmm(3, 60))


def test_wrong_dimensions_name_the_front_end(sixty: System) -> None:
    message = (
        r"^frames must have 60 features, as this UBM was trained with MFCC\(sample_rate=16000, n_mfcc=20, deltas=2\); "
        r"got shape \(412, 40\)\. Extract them with its front end\.$"
    )
    for refused in (sixty.statistics, sixty.check_features):
        with pytest.raises(IncompatibleModel, match=message):
            refused(np.zeros((412, 40)))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(60), r"got shape \(60,\)"),
        (np.zeros((2, 2, 60)), r"got shape \(2, 2, 60\)"),
        (np.zeros((0, 60)), r"hold at least 1 frame"),
        (np.full((2, 60), np.nan), "be finite"),
        (np.full((2, 60), "a"), "hold real numbers"),
    ],
    ids=["1-D", "3-D", "empty", "NaN", "text"],
)
def test_bad_features_are_refused(sixty: System, features: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"frames must .*{message}"):
        sixty.statistics(features)


def test_statistics_are_the_ubms_own(sixty: System) -> None:
    x = np.random.default_rng(0).normal(size=(50, 60)).astype(np.float32)
    same_statistics(sixty.statistics(x), sixty.ubm.statistics(x), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_of_parts_add_up(sixty: System, dtype: type) -> None:
    x = np.random.default_rng(0).normal(size=(50, 60)).astype(dtype)
    # parts go through matrix products of other shapes: log densities are off by rounding, posteriors by that share
    off = 2 * float32_loss(sixty.ubm) if dtype == np.float32 else 1e-10
    whole, parts = sixty.statistics(x), sixty.statistics(x[:20]) + sixty.statistics(x[20:])
    close(parts.counts, whole.counts, rtol=off)
    close(parts.second, whole.second, rtol=off)
    absolute = np.sqrt(whole.counts[:, None] * whole.second)  # no less than the sum of posterior * |x|
    close(parts.first / absolute, whole.first / absolute, rtol=0, atol=off)
    close(parts.log_likelihood, whole.log_likelihood, rtol=0, atol=50 * off)
    assert parts.frames == whole.frames == 50


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(IncompatibleModel, match=r"the UBM must have 60 features, as the front end gives; got 5\."):
        System(MFCC(), random_gmm(2, 5))


@pytest.mark.parametrize("relevance", [-1.0, np.nan, np.inf, 1e10, "4", None])
def test_bad_relevance_is_refused(sixty: System, relevance: float) -> None:
    with pytest.raises(InvalidInput, match=r"^relevance must be"):
        dataclasses.replace(sixty, relevance=relevance)


def test_fingerprint_is_that_of_front_end_and_ubm(sixty: System) -> None:
    assert dataclasses.replace(sixty, relevance=16.0, info={"a": 1}).fingerprint == sixty.fingerprint
    same = System(MFCC(sample_rate=16000, n_mfcc=20, deltas=2), random_gmm(3, 60))
    assert same.fingerprint == sixty.fingerprint
    ubm = sixty.ubm
    assert isinstance(ubm.covariance, Diagonal)
    others = [
        dataclasses.replace(sixty, frontend=dataclasses.replace(sixty.frontend, dither=0.5)),
        dataclasses.replace(sixty, ubm=dataclasses.replace(ubm, weights=ubm.weights[::-1])),
        dataclasses.replace(sixty, ubm=dataclasses.replace(ubm, means=ubm.means + 1e-12)),
        dataclasses.replace(sixty, ubm=dataclasses.replace(ubm, covariance=Diagonal(ubm.covariance.variances * 2))),
        dataclasses.replace(sixty, ubm=dataclasses.replace(ubm, origin=ubm.origin + 1)),
    ]
    assert len({s.fingerprint for s in [sixty, *others]}) == 6


@pytest.mark.parametrize("relevance", [4, 0.0, np.float64(7.25), np.float32(0.5), np.int64(16)])
def test_loaded_is_saved_to_the_bit(sixty: System, tmp_path: Path, relevance: float) -> None:
    info = {"seed": 3, "trace": [1.5, -np.inf], "data": {"speech_seconds": 0.25, "note": "Ünal", "x": None}}
    system = dataclasses.replace(sixty, relevance=relevance, info=info)
    system.save(tmp_path / "a.model")
    loaded = load_system(tmp_path / "a.model")
    same_bits(loaded.ubm, system.ubm)
    assert loaded.frontend == system.frontend
    assert loaded.relevance == relevance
    assert loaded.calibration is None
    assert loaded.fingerprint == system.fingerprint
    assert loaded.info == info | {"trace": (1.5, -np.inf)}
    loaded.save(tmp_path / "b.model")
    assert (tmp_path / "b.model").read_bytes() == (tmp_path / "a.model").read_bytes()
    x = np.random.default_rng(0).normal(size=(9, 60)).astype(np.float32)
    close(loaded.ubm.log_density(x), system.ubm.log_density(x), rtol=0, atol=0)


def test_a_fortran_ordered_or_strided_ubm_is_saved_as_it_is(tmp_path: Path) -> None:
    means = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    ubm = GMM(np.full(4, 0.25), means[::-1], Diagonal(np.asfortranarray(np.arange(1.0, 13).reshape(4, 3))[:, ::-1]))
    System(MFCC(n_mfcc=3, deltas=0), ubm).save(tmp_path / "m")
    same_bits(load_system(tmp_path / "m").ubm, ubm)


@pytest.mark.parametrize("where", [0.02, 0.5, 0.999])
def test_damaged_files_are_refused(sixty: System, tmp_path: Path, where: float) -> None:
    path = tmp_path / "a.model"
    sixty.save(path)
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(
        InvalidInput, match=r"a\.model must (be a speechgmm file|be unchanged since it was saved|be a whole)"
    ):
        load_system(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_files_are_refused(sixty: System, tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.model"
    sixty.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InvalidInput, match=r"a\.model must (be a speechgmm file|be a whole model file)"):
        load_system(path)


def test_other_files_are_refused(sixty: System, tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    with pytest.raises(InvalidInput, match=r"the model file must exist; got .*a\.model, which does not"):
        load_system(path)
    with pytest.raises(InvalidInput, match="the model file must be a readable file"):
        load_system(tmp_path)
    path.write_text("not a model\n")
    with pytest.raises(
        InvalidInput, match=r"must be a speechgmm file .*; got 12 other bytes\. Give a file that speechgmm"
    ):
        load_system(path)
    path.unlink()
    storage.save(sixty.frontend, path)
    with pytest.raises(IncompatibleModel, match=r"a\.model must hold a System; got an MFCC\."):
        load_system(path)
    with pytest.raises(InvalidInput, match=r"the file to write must be new, empty or a model of speakers; got"):
        sixty.save(path)
    path.unlink()
    sixty.save(path)
    with pytest.raises(IncompatibleModel, match=r"a\.model must hold an MFCC; got a System\."):
        storage.load(path, MFCC)
