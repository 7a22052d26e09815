"""HTK's text: what is written is what HTK computes with, what is read is what the HTK Book describes."""

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
from speechgmm.interchange import read_htk, write_htk
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full
from tests.interchange.mixtures import KINDS, WITHIN, a_mixture, expected, off, problems, some_frames, told

ONE = f"""~o
<STREAMINFO> 1 2
<VECSIZE> 2<NULLD><MFCC_0><DIAGC>
~h "proto"
<BEGINHMM>
<NUMSTATES> 3
<STATE> 2
<NUMMIXES> 3
<MIXTURE> 1 4.000000e-01
<MEAN> 2
 0.000000e+00 1.000000e+00
<VARIANCE> 2
 1.000000e+00 2.000000e+00
<GCONST> {2 * math.log(2 * math.pi) + math.log(2):e}
<MIXTURE> 3 6.000000e-01
<MEAN> 2
 -2.000000e+00 5.000000e-01
<VARIANCE> 2
 3.000000e+00 1.000000e+00
<TRANSP> 3
 0.0 1.0 0.0
 0.0 0.9 0.1
 0.0 0.0 0.0
<ENDHMM>
"""
"""As HTK prints it, with a component that was pruned."""
FULL = """~o <VecSize> 2 <User> <FullC> ~h "a b" <BeginHMM> <NumStates> 3 <State> 2
<Mean> 2 1 0 <InvCovar> 2 2 1 2 <TransP> 3 0 1 0 0 .5 .5 0 0 0 <EndHMM>"""


def as_htk_does(text: str, x: Any) -> Any:
    """The log density with the constants of a file: log weight - (gconst + squares) / 2, HTK Book (7.2)."""
    joint = []
    for part in text.split("<MIXTURE>")[1:]:
        weight = float(part.split()[1])
        mean, spread = ([float(w) for w in part.split(n)[1].split("<")[0].split()] for n in ("<MEAN>", _spread(part)))
        d, constant = int(mean[0]), float(part.split("<GCONST>")[1].split("<")[0])
        precision = np.zeros((d, d))
        if "<VARIANCE>" in part:
            precision = np.diag(1 / np.array(spread[1:]))
        else:
            precision[np.triu_indices(d)] = spread[1:]
            precision = precision + precision.T - np.diag(np.diag(precision))
        y = x - np.array(mean[1:])
        joint.append(math.log(weight) - 0.5 * (constant + np.einsum("ni,ij,nj->n", y, precision, y)))
    top = np.max(joint, axis=0)
    return top + np.log(np.exp(joint - top).sum(axis=0))


def _spread(part: str) -> str:
    return "<VARIANCE>" if "<VARIANCE>" in part else "<INVCOVAR>"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "gmm.mmf").write_bytes(text.encode("latin-1"))
        return str(tmp_path / "gmm.mmf")

    return write


@given(problems())
def test_any_mixture_comes_back_and_htk_computes_its_density(tmp_path_factory: Any, problem: Any) -> None:
    gmm, x = problem
    path = tmp_path_factory.mktemp("htk") / "gmm.mmf"
    write_htk(gmm, path)
    read = read_htk(path)
    wanted = expected(gmm, x)
    assert type(read.covariance) is (Diagonal if gmm.covariance.independent else Full)
    assert off(read.log_density(x), wanted) < WITHIN
    assert off(as_htk_does(path.read_text(), x), wanted) < WITHIN


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_difference(tmp_path: Path, kind: str, record_property: Any) -> None:
    gmm, x = a_mixture(kind), some_frames(4).astype(np.float64)
    write_htk(gmm, tmp_path / "a")
    told(record_property, f"HTK, {kind}", most := off(read_htk(tmp_path / "a").log_density(x), expected(gmm, x)))
    assert most < 1e-9


def test_what_htk_printed(written: Callable[[str], str]) -> None:
    gmm = read_htk(written(ONE))
    np.testing.assert_allclose(gmm.weights, [0.4, 0.6])
    assert gmm.means.tolist() == [[0.0, 1.0], [-2.0, 0.5]]
    assert gmm.covariance.parameters.tolist() == [[1.0, 2.0], [3.0, 1.0]]
    np.testing.assert_array_equal(read_htk(written(ONE.lower())).means, gmm.means)
    np.testing.assert_array_equal(read_htk(written(ONE[ONE.index("~h") :])).means, gmm.means)
    full = read_htk(written(FULL))
    np.testing.assert_allclose(full.covariance_matrices, [np.array([[2, -1], [-1, 2]]) / 3])
    assert (full.means.tolist(), full.weights.tolist()) == ([[1.0, 0.0]], [1.0])
    streamed = ONE.replace("<MIXTURE> 1", "<SWEIGHTS> 1\n 1.0\n<STREAM> 1\n<MIXTURE> 1")
    np.testing.assert_array_equal(read_htk(written(streamed)).means, gmm.means)
    several = ONE.replace("<NULLD>", "<NULLD><HMMSETID> a")
    np.testing.assert_array_equal(read_htk(written(several)).means, gmm.means)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (":\0\1", r"must be text; got a binary file\. Make it text: HHEd"),
        ("", "must hold <BEGINHMM> here, as the definition of one mixture; got the end of the file"),
        (ONE[:60], r"must name its model in quotes behind ~h; got something else\. Is it whole\?"),
        (ONE[: ONE.index("<TRANSP>")], "must hold <ENDHMM> here, .*; got the end of the file"),
        (ONE[: ONE.index("<TRANSP>") + 20], "must hold 9 numbers for <TransP>; got 2 and the end of the file"),
        (ONE + '~h "b"', "must end with <EndHMM>, as the definition of one mixture; got ~h behind it"),
        (
            ONE.replace("~h", '~v "floor" ~h'),
            r"must hold ~o and ~h alone; got the macro ~v\. Write the mixture without",
        ),
        (ONE.replace('"proto"', "proto"), "must name its model in quotes behind ~h; got something else"),
        (
            ONE.replace("<NUMSTATES> 3", "<NUMSTATES> 5"),
            "must hold one emitting state, <NumStates> 3; got <NumStates> 5",
        ),
        (ONE.replace("<STATE> 2", "<STATE> 3"), "must hold the state 2; got 3"),
        (ONE.replace("INFO> 1 2", "INFO> 2 1 1"), "must hold one stream; got 2"),
        (ONE.replace("<MIXTURE> 1", "<STREAM> 2 <MIXTURE> 1"), "must hold one stream; got the stream 2"),
        (ONE.replace("<MIXTURE> 1", "<SWEIGHTS> 1 0.5 <MIXTURE> 1"), r"one stream, of weight 1; got weights 0\.5"),
        (
            ONE.replace("<DIAGC>", "<INVDIAGC>"),
            "must hold diagonal variances or inverse covariances, .*; got <INVDIAGC>",
        ),
        (
            FULL.replace("<InvCovar>", "<LLTCovar>"),
            "must hold diagonal variances or inverse covariances; got <LLTCOVAR>",
        ),
        (ONE.replace("<MIXTURE> 3", "<MIXTURE> 4"), "must hold mixtures from 1 to 3, ascending; got 4 behind 1"),
        (ONE.replace("<MIXTURE> 3", "<MIXTURE> 1"), "must hold mixtures from 1 to 3, ascending; got 1 behind 1"),
        (
            ONE.replace("<NUMMIXES> 3", "<NUMMIXES> x"),
            "must hold a whole number of at least 1 behind <NUMMIXES>; got x",
        ),
        (ONE.replace("<MEAN> 2", '~u "tied"', 1), r"must hold all numbers in one model; got the macro ~u\. Write"),
        (
            ONE.replace("<MEAN> 2", "<MEAN> 999999999", 1),
            "must hold a whole number of at least 1 behind <MEAN>; got 99999",
        ),
        (ONE.replace("<MEAN> 2", "<MEAN> 99999999", 1), "must hold 99999999 numbers for <Mean>; got .* and the end"),
        (
            ONE.replace("<VARIANCE> 2", "<VARIANCE> 1", 1),
            "must hold <VARIANCE> of 2 dimensions, as the mean has; got 1",
        ),
        (ONE.replace("1.000000e+00 2.0", "0 2.0"), r"gmm\.mmf: variances must be above 0; got 0 at component 0"),
        (ONE.replace("1.000000e+00 2.0", "nan 2.0"), "must hold finite numbers as <Variance>; got 1 of 2 that are not"),
        (ONE.replace("4.000000e-01", "4"), "must hold weights of at least 0 with sum 1; got 2 of them"),
        (re.sub("<GCONST> .*", "<GCONST> 9", ONE), "must hold <GConst> that follow from the other .*; got one that is"),
        (
            ONE.replace("2\n -2.000000e+00 5.0", "1\n 5.0").replace("2\n 3.000000e+00 1.0", "1\n 1.0"),
            "one length; got 2",
        ),
        (
            FULL.replace("2 2 1 2 <", "2 2 3 2 <"),
            "must hold positive definite matrices as <InvCovar>; got one that is not",
        ),
    ],
)
def test_what_is_refused(written: Callable[[str], str], text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        read_htk(path := written(text))
    assert str(refused.value).startswith(path)


def test_what_is_not_written(tmp_path: Path) -> None:
    one = GMM([1.0], [[0.0]], Diagonal([[1.0]]), [0.0])
    with pytest.raises(InvalidInput, match=r"must be a GMM; got an Ensemble\. Give one mixture"):
        write_htk(Ensemble((one, one)), tmp_path / "a")  # type: ignore[arg-type]
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InvalidInput, match="must be new, empty or the definition of a mixture in HTK's text format"):
        write_htk(one, tmp_path / "notes")
