"""Score normalization against its closed forms, on matrices whose sides differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.speakers import s_norm, t_norm, z_norm, zt_norm

S, T, Z, C = 3, 7, 20, 25
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def m() -> dict[str, Array]:
    """Scores, models against impostor tests, cohort models against the tests and against the impostor tests."""
    rng = np.random.default_rng(0)
    shapes = {"scores": (S, T), "z": (S, Z), "t": (C, T), "zt": (C, Z)}
    return {name: rng.normal(rng.uniform(-2, 2), 3, shape) for name, shape in shapes.items()}


def closed_form(values: Array, center: str, top: int | None) -> tuple[float, float]:
    """The location and scale of one model's or test's cohort, written out."""
    v = sorted(values.tolist(), reverse=True)[:top]
    if center == "trimmed":
        out = len(v) // 10
        v = v[out : len(v) - out]
    if center == "median":
        middle = float(np.median(v))
        return middle, 1.482602218505602 * float(np.median([abs(x - middle) for x in v]))
    mean = sum(v) / len(v)
    return mean, (sum((x - mean) ** 2 for x in v) / len(v)) ** 0.5


WAYS = [(c, t) for c in ("mean", "trimmed", "median") for t in (None, 5, 12)]


@pytest.mark.parametrize(("center", "top"), WAYS)
def test_every_norm_is_its_closed_form(m: dict[str, Array], center: str, top: int | None) -> None:
    how: Any = {"center": center, "top": top}
    z, t, s, zt = np.empty((4, S, T))
    for i in range(S):
        for j in range(T):
            a, b = closed_form(m["z"][i], center, top)
            z[i, j] = (m["scores"][i, j] - a) / b
            a, b = closed_form(m["t"][:, j], center, top)
            t[i, j] = (m["scores"][i, j] - a) / b
            s[i, j] = (z[i, j] + t[i, j]) / 2
            others = [(m["t"][k, j] - a) / b for k in range(C) for a, b in [closed_form(m["zt"][k], center, top)]]
            a, b = closed_form(np.array(others), center, top)
            zt[i, j] = (z[i, j] - a) / b
    np.testing.assert_allclose(z_norm(m["scores"], m["z"], **how), z, rtol=1e-12)
    np.testing.assert_allclose(t_norm(m["scores"], m["t"], **how), t, rtol=1e-12)
    np.testing.assert_allclose(s_norm(m["scores"], m["z"], m["t"], **how), s, rtol=1e-12)
    np.testing.assert_allclose(zt_norm(m["scores"], m["z"], m["t"], m["zt"], **how), zt, rtol=1e-11, atol=1e-12)


def test_z_norm_of_impostors_has_mean_0_and_deviation_1_a_row(m: dict[str, Array]) -> None:
    found = z_norm(m["z"], m["z"])
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, rtol=1e-12)
    found = t_norm(m["t"], m["t"])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-12)


def test_what_each_norm_takes_out(m: dict[str, Array]) -> None:
    rng = np.random.default_rng(1)
    shift, scale = rng.normal(size=(S, 1)), rng.uniform(0.5, 2, (S, 1))
    moved = z_norm(m["scores"] * scale + shift, m["z"] * scale + shift)
    np.testing.assert_allclose(moved, z_norm(m["scores"], m["z"]), rtol=1e-10)
    shift, scale = rng.normal(size=(1, T)), rng.uniform(0.5, 2, (1, T))
    moved = t_norm(m["scores"] * scale + shift, m["t"] * scale + shift)
    np.testing.assert_allclose(moved, t_norm(m["scores"], m["t"]), rtol=1e-10)


def test_the_whole_cohort_is_the_adaptive_choice_of_all(m: dict[str, Array]) -> None:
    np.testing.assert_allclose(z_norm(m["scores"], m["z"], top=Z), z_norm(m["scores"], m["z"]), rtol=1e-12)


def test_the_median_does_not_mind_one_wild_score(m: dict[str, Array]) -> None:

    def location(cohort: Array, **how: str) -> Array:
        """The score of each row that becomes 0."""
        zero, one = (z_norm(np.full((S, 1), float(x)), cohort, **how) for x in (0, 1))
        return -zero / (one - zero)

    wild = m["z"].copy()
    wild[:, 0] = 1e9
    for center in ("median", "trimmed"):
        a, b = (location(x, center=center) for x in (m["z"], wild))
        assert np.abs(a - b).max() < 2
    assert np.abs(location(wild) - location(m["z"])).min() > 1e6


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({"z": np.zeros((S + 1, Z))}, {}, f"cohort scores must have a row for each model, {S}; got {S + 1}"),
        ({"z": np.ones((S, Z))}, {}, "the scores of a cohort must differ; got the same throughout in row 0"),
        ({"z": np.ones((S, 1))}, {}, "a cohort must be at least two people; got 1"),
        ({"z": np.full((S, Z), np.nan)}, {}, "cohort scores must be finite"),
        ({"scores": np.zeros(S)}, {}, "scores must be a matrix with a row for each model"),
        ({}, {"center": "mode"}, "center must be one of 'mean', 'trimmed', 'median'"),
        ({}, {"top": 1}, "top must be at least 2"),
        ({}, {"top": Z + 1}, "top must be at least 2 and at most 20"),
    ],
)
def test_bad_matrices_are_refused(m: dict[str, Array], change: Any, how: Any, message: str) -> None:
    given = m | change
    with pytest.raises(InvalidInput, match=message):
        z_norm(given["scores"], given["z"], **how)
