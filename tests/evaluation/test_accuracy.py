"""Accuracy and its interval."""

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import accuracy, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)]
)
def test_wilsons_interval_against_published_values(k, n, low, high):
    found = wilson(k, n)  # Newcombe, Statistics in Medicine 17 (1998), table I; 10 trials by hand
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilsons_bounds_solve_its_equation():
    for k, n, level in [(3, 17, 0.9), (16, 17, 0.95), (40, 41, 0.99)]:
        found = wilson(k, n, level=level)
        z = {0.9: 1.644854, 0.95: 1.959964, 0.99: 2.575829}[level]
        for bound in (found.low, found.high):
            assert abs(k / n - bound) == pytest.approx(z * np.sqrt(bound * (1 - bound) / n), rel=1e-5)


def test_with_groups_the_interval_is_wider_where_they_differ():
    right = np.repeat([1, 1, 1, 0, 1, 0], 50)
    groups = np.repeat(list("abcdef"), 50)
    alone, grouped = accuracy(right), accuracy(right, groups)
    assert alone.estimate == grouped.estimate == pytest.approx(2 / 3)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)
    assert accuracy(np.ones(9), list("abcabcabc")) == wilson(9, 9)
    assert accuracy(right, [""] * 300) == alone


def test_what_is_refused():
    with pytest.raises(InvalidInput, match=r"decisions must be at least one; got an array of shape \(0,\)"):
        accuracy([])
    with pytest.raises(InvalidInput, match="groups must be 2, one for each decision; got 1"):
        accuracy([True, False], ["a"])
    with pytest.raises(InvalidInput, match="successes must be at least 0 and at most 3; got 4"):
        wilson(4, 3)
    with pytest.raises(InvalidInput, match=r"level must be at least 0\.01"):
        wilson(1, 3, level=0.0)
