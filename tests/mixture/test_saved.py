"""Mixtures in files: the same value back, the same bytes, and refusals that say what a file holds instead."""

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import MFCC
from speechgmm.mixture import GMM, Diagonal, Full, Spherical, Tied
from speechgmm.storage import save

WEIGHTS, MEANS = [0.25, 0.75], [[0.0, 1e6], [1.0, 1e6 + 1]]
KINDS = (
    Diagonal([[1.0, 2.0], [3.0, 4.0]]),
    Spherical([1.0, 2.0]),
    Tied([[2.0, 0.5], [0.5, 1.0]]),
    Full([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]]]),
)


@pytest.mark.parametrize("covariance", KINDS, ids=lambda c: type(c).__name__)
def test_a_mixture_comes_back_as_it_was(tmp_path, covariance):
    made = GMM(WEIGHTS, MEANS, covariance, origin=[5.0, 1e6])
    made.save(tmp_path / "a")
    back = GMM.load(tmp_path / "a")
    assert type(back.covariance) is type(covariance)
    for name in ("weights", "means", "origin"):
        np.testing.assert_array_equal(getattr(back, name), getattr(made, name))
    np.testing.assert_array_equal(back.covariance.parameters, covariance.parameters)
    back.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_mixture_is_refused(tmp_path):
    save(MFCC(), tmp_path / "frontend")
    with pytest.raises(IncompatibleModel, match=r"frontend must hold a GMM; got an MFCC"):
        GMM.load(tmp_path / "frontend")
    (tmp_path / "text").write_text("a pickle, perhaps")
    with pytest.raises(InvalidInput, match="be a speechgmm file"):
        GMM.load(tmp_path / "text")
    with pytest.raises(InvalidInput, match="the model file must exist"):
        GMM.load(tmp_path / "none")
