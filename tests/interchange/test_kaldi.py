"""Kaldi's text: what is written is what Kaldi computes with, what is read is what it printed; all else is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from speechgmm.errors import InvalidInput
from speechgmm.interchange import read_kaldi, write_kaldi
from speechgmm.interchange import text as reading
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full
from tests.interchange.mixtures import KINDS, WITHIN, a_mixture, expected, off, problems, some_frames, told

_FIRST, _SECOND = (math.log(w / 2 / math.pi) - far for w, far in ((0.5475, 0.0), (0.4525, 2.5)))
DIAGONAL = (
    f"<DiagGMM> \n<GCONSTS>  [ {_FIRST:.7g} {_SECOND:.7g} ]\n<WEIGHTS>  [ 0.5475 0.4525 ]\n"
    "<MEANS_INVVARS>  [\n  0 0 \n  1 2 ]\n<INV_VARS>  [\n  1 1 \n  1 1 ]\n</DiagGMM> \n"
)
"""As Kaldi prints it."""
FULL = "<FullGMM> \n<WEIGHTS>  [ 1 ]\n<MEANS_INVCOVARS>  [\n  2 1 ]\n<INV_COVARS>  [\n 2 \n 1 2 ]\n</FullGMM> \n"


def as_kaldi_does(text: str, x: Any) -> Any:
    """The log density as `DiagGmm::LogLikelihood` and `FullGmm::LogLikelihood` compute it from a file."""
    blocks = re.findall(r"\[([^\]]*)\]", text)
    numbers = [np.array([float(w) for w in block.split()]) for block in blocks]
    constants, scaled = numbers[0], numbers[2].reshape(len(numbers[0]), -1)
    k, d = scaled.shape
    joint = constants + x @ scaled.T
    if "<DiagGMM>" in text:
        joint = joint - 0.5 * x**2 @ numbers[3].reshape(k, d).T
    else:
        for c, lower in enumerate(numbers[3:]):
            matrix = np.zeros((d, d))
            matrix[np.tril_indices(d)] = lower
            matrix = matrix + matrix.T - np.diag(np.diag(matrix))
            joint[:, c] -= 0.5 * np.einsum("ni,ij,nj->n", x, matrix, x)
    top = joint.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(joint - top).sum(axis=1))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "final.dubm").write_bytes(text.encode("latin-1"))
        return str(tmp_path / "final.dubm")

    return write


@given(problems())
def test_any_mixture_comes_back_and_kaldi_computes_its_density(tmp_path_factory: Any, problem: Any) -> None:
    gmm, x = problem
    path = tmp_path_factory.mktemp("kaldi") / "final.dubm"
    write_kaldi(gmm, path)
    read = read_kaldi(path)
    wanted = expected(gmm, x)
    assert type(read.covariance) is (Diagonal if gmm.covariance.independent else Full)
    assert read.n_components == np.count_nonzero(gmm.weights)
    assert off(read.log_density(x), wanted) < WITHIN
    assert off(as_kaldi_does(path.read_text(), x), wanted) < WITHIN


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_difference(tmp_path: Path, kind: str, record_property: Any) -> None:
    gmm, x = a_mixture(kind), some_frames(4).astype(np.float64)
    write_kaldi(gmm, tmp_path / "a")
    told(record_property, f"Kaldi, {kind}", most := off(read_kaldi(tmp_path / "a").log_density(x), expected(gmm, x)))
    assert most < 1e-9


def test_what_kaldi_printed_with_few_digits(written: Callable[[str], str]) -> None:
    gmm = read_kaldi(written(DIAGONAL))
    np.testing.assert_allclose(gmm.weights, [0.5475, 0.4525])
    np.testing.assert_allclose(gmm.means, [[0, 0], [1, 2]])
    x = np.array([[0.5, -1.0]])
    assert off(gmm.log_density(x), as_kaldi_does(DIAGONAL, x)) < 1e-5
    # as published of a flat start: 39 features of mean 0 and variance 1, and one constant
    flat = f"<DiagGMM> \n<GCONSTS>  [ -36.75754 ]\n<WEIGHTS>  [ 1 ]\n<MEANS_INVVARS>  [\n {'0 ' * 40}]\n"
    read = read_kaldi(written(flat + f"<INV_VARS>  [\n {'1 ' * 40}]\n</DiagGMM> \n"))
    assert off(read.log_density(np.zeros((1, 40))), np.array([-36.75754])) < 1e-5
    full = read_kaldi(written(FULL))
    np.testing.assert_allclose(full.covariance_matrices, [np.array([[2, -1], [-1, 2]]) / 3])
    np.testing.assert_allclose(full.means, [[1, 0]], atol=1e-15)
    older = DIAGONAL.replace("<DiagGMM>", "<DiagGMMBegin>").replace("</DiagGMM>", "<DiagGMMEnd>")
    np.testing.assert_array_equal(read_kaldi(written(older)).means, gmm.means)


def test_weights_of_zero_are_left_out_and_read(tmp_path: Path, written: Callable[[str], str]) -> None:
    gmm = GMM([0.0, 1.0], [[0.0], [3.0]], Diagonal([[1.0], [2.0]]))
    write_kaldi(gmm, tmp_path / "a")
    assert read_kaldi(tmp_path / "a").means.tolist() == [[3.0]]
    text = "<DiagGMM> <GCONSTS> [ -inf -0.918938 ] <WEIGHTS> [ 0 1 ] <MEANS_INVVARS> [\n 5\n 0 ] <INV_VARS> [\n 1\n 1 ]"
    assert read_kaldi(written(f"{text} </DiagGMM>")).weights.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\0B<DiagGMM> ", r"must be text; got a binary file of Kaldi\. Make it text: gmm-global-copy --binary=false"),
        ("", r"must begin with <DiagGMM> or <FullGMM>, one mixture; got ''"),
        ("<TransitionModel> ", "must begin with <DiagGMM> or <FullGMM>, one mixture; got <TransitionModel>"),
        (DIAGONAL[:40], r"must hold <GCONSTS> between brackets; got .*Is it whole\?"),
        (DIAGONAL[:66], "must hold <WEIGHTS> between brackets; got"),
        (DIAGONAL[:-30], "must hold <INV_VARS> between brackets; got"),
        (DIAGONAL.replace("</DiagGMM>", ""), "must end with </DiagGMM>; got the end of the file"),
        (DIAGONAL.replace("</DiagGMM>", "</FullGMM>"), "must end with </DiagGMM>; got </FullGMM>"),
        (DIAGONAL + "<DiagGMM>", "must end with </DiagGMM>; got </DiagGMM> and 9 characters"),
        (DIAGONAL.replace("<WEIGHTS>", "<W>"), "must hold <WEIGHTS> here; got <W>"),
        (DIAGONAL.replace("0.5475", "0.9"), "must hold weights of at least 0 with sum 1; got 2 of them, the least 0.4"),
        (DIAGONAL.replace("0.5475 0.4525", ""), "must hold weights of at least 0 with sum 1; got none"),
        (DIAGONAL.replace("0.5475", "x"), "must hold numbers as <WEIGHTS>; got this: could not convert"),
        (DIAGONAL.replace("0.5475", "0_5"), "must hold numbers as <WEIGHTS>; got this: an underscore"),
        (DIAGONAL.replace("1 2 ]", "1 nan ]"), "must hold finite numbers as <MEANS_INVVARS>; got 1 of 4"),
        (
            DIAGONAL.replace("1 2 ]", "1 2 3 ]"),
            "must hold 2 rows of one length as <MEANS_INVVARS>, .*; got 2 of 2 and 3",
        ),
        (DIAGONAL.replace("  0 0 \n", "  0 0 0 0\n"), "must hold 2 rows of one length .* got 2 of 2 and 4 numbers"),
        (
            DIAGONAL.replace("  1 1 ]", "  1 0 ]"),
            r"must hold positive <INV_VARS> of shape \(2, 2\); got shape \(2, 2\), m",
        ),
        (DIAGONAL.replace("  1 1 ]", "  1 1e-320 ]"), "final.dubm: variances must have magnitudes of at most|finite"),
        (
            re.sub(r"GCONSTS>  \[ \S+", "GCONSTS>  [ 7", DIAGONAL),
            "must hold <GCONSTS> that follow .*; got one that is off",
        ),
        (re.sub(r"GCONSTS>  \[ \S+", "GCONSTS>  [", DIAGONAL), "must hold 2 <GCONSTS>, as there are weights; got 1"),
        (FULL.replace("1 2 ]\n</", "1 ]\n</"), "must hold 3 numbers for each matrix of <INV_COVARS>; got 2"),
        (
            FULL.replace("1 2 ]\n</", "3 2 ]\n</"),
            "must hold positive definite matrices as <INV_COVARS>; got one that is",
        ),
        ("<DiagGMM> <WEIGHTS> [ 1 ] <MEANS_INVVARS> [\n ]", "must hold 1 rows of one length .*; got 0 of "),
    ],
)
def test_what_is_refused(written: Callable[[str], str], text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        read_kaldi(path := written(text))
    assert str(refused.value).startswith(path)


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"must exist; got .*none, which does not\. Check the path"):
        read_kaldi(tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"must be a readable file; got .* directory"):
        read_kaldi(tmp_path)
    with pytest.raises(InvalidInput, match="must be a regular file; got /dev/zero, which is a device"):
        read_kaldi("/dev/zero")
    monkeypatch.setattr(reading, "LARGEST_FILE", 3 << 20)
    (tmp_path / "large").write_bytes(b" " * (4 << 20))
    with pytest.raises(InvalidInput, match="must be a mixture in Kaldi's text format of at most 3 MB; got one of 4 MB"):
        read_kaldi(tmp_path / "large")


def test_what_is_not_written(tmp_path: Path) -> None:
    one = GMM([1.0], [[0.0]], Diagonal([[1.0]]), [0.0])
    with pytest.raises(InvalidInput, match=r"must be a GMM; got an Ensemble\. Give one mixture"):
        write_kaldi(Ensemble((one, one)), tmp_path / "a")  # type: ignore[arg-type]
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InvalidInput, match="must be new, empty or a mixture in Kaldi's text format; got"):
        write_kaldi(one, tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"
    write_kaldi(one, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    write_kaldi(one, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before
