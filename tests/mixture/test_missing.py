"""Missing values: the marginal density, expected moments, training and imputation."""

import re

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.checks import matrix
from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Floor, Full, Incomplete, Stop, fit_gmm, impute, maximize
from speechgmm.mixture.covariance import COVARIANCES
from tests import laws, oracle

KEEP = Floor(absolute=1e-9, relative=0.0, occupancy=0.0, reseed=False)
family = pytest.mark.parametrize(("kind", "k", "d"), laws.FAMILY)
kinds = pytest.mark.parametrize("kind", COVARIANCES)


def holes(x, share=0.3, seed=0):
    """The same frames with so much missing, but something left in every row."""
    rng = np.random.default_rng(seed)
    hole = rng.random(x.shape) < share
    hole[np.arange(len(x)), rng.integers(x.shape[1], size=len(x))] = False
    return np.where(hole, np.nan, x)


def problem(kind, k, d, n=60):
    gmm = laws.family_gmm(kind, k, d)
    return gmm, holes(1.3 * gmm.sample(n, seed=2).frames + 0.3)


@family
def test_densities_and_posteriors_are_those_of_what_was_observed(kind, k, d):
    gmm, x = problem(kind, k, d)
    expected = [oracle.gaussian_posteriors(row, laws.gaussians(gmm)) for row in oracle.rows(x)]
    laws.close(Incomplete(gmm).log_density(x), [density for _, density in expected])
    laws.close(Incomplete(gmm).posteriors(x), [p for p, _ in expected])


@family
def test_a_step_of_em_equals_the_oracle(kind, k, d):
    gmm, x = problem(kind, k, d)
    s = Incomplete(gmm).statistics(x)
    laws.close(s.log_likelihood, Incomplete(gmm).log_density(x).sum())
    step = maximize(s, gmm, floor=KEEP).model
    laws.same_mixture(step, oracle.gaussian_step(oracle.rows(x), laws.gaussians(gmm), kind))
    times = np.random.default_rng(1).integers(0, 3, len(x))
    weighted = Incomplete(gmm).statistics(x, sample_weight=times)
    laws.same_statistics(weighted, Incomplete(gmm).statistics(np.repeat(x, times, axis=0)))


@family
def test_without_any_hole_it_is_the_plain_e_step_to_the_bit(kind, k, d):
    gmm, _ = problem(kind, k, d)
    x = gmm.sample(100).frames.astype(np.float32)
    plain, behind = gmm.statistics(x), Incomplete(gmm).statistics(x)
    for name in ("counts", "first", "second"):
        assert getattr(plain, name).tobytes() == getattr(behind, name).tobytes()
    assert plain.log_likelihood == behind.log_likelihood
    assert gmm.log_density(x).tobytes() == Incomplete(gmm).log_density(x).tobytes()
    assert gmm.posteriors(x).tobytes() == Incomplete(gmm).posteriors(x).tobytes()
    np.testing.assert_array_equal(impute(gmm, x), x)


@family
def test_the_order_and_the_partition_of_rows_do_not_matter(kind, k, d):
    gmm, x = problem(kind, k, d)
    whole = Incomplete(gmm).statistics(x)
    turned = np.random.default_rng(0).permutation(len(x))
    laws.same_statistics(Incomplete(gmm).statistics(x[turned]), whole)
    laws.same_statistics(Incomplete(gmm).statistics(x[:17]) + Incomplete(gmm).statistics(x[17:]), whole)


@kinds
def test_statistics_of_incomplete_rows_are_expectations_over_what_is_missing(kind):
    gmm = laws.family_gmm(kind, 3, 3)
    row = np.array([[0.5, np.nan, np.nan]])
    drawn = impute(gmm, np.repeat(row, 60_000, axis=0), seed=1)
    s, expected = gmm.statistics(drawn), Incomplete(gmm).statistics(row)
    for name in ("counts", "first", "second"):
        a, b = getattr(s, name) / len(drawn), getattr(expected, name)
        np.testing.assert_allclose(a, b, atol=0.06 * np.abs(b).max(), err_msg=name)


@kinds
def test_rows_without_any_value_say_nothing(kind):
    gmm, x = problem(kind, 4, 5)
    empty = np.full((3, 5), np.nan)
    incomplete = Incomplete(gmm)
    np.testing.assert_array_equal(incomplete.log_density(empty), np.zeros(3))
    np.testing.assert_array_equal(incomplete.posteriors(empty), np.tile(gmm.weights, (3, 1)))
    laws.same_statistics(incomplete.statistics(np.concatenate([empty, x])), incomplete.statistics(x))
    assert incomplete.statistics(empty).frames == 0.0
    laws.close(impute(gmm, empty), np.tile(gmm.weights @ gmm.means, (3, 1)))
    many = impute(gmm, np.full((20_000, 5), np.nan), seed=0)
    laws.close(many.mean(axis=0), gmm.weights @ gmm.means, rtol=0, atol=0.2)


@kinds
def test_the_likelihood_rises_at_every_iteration_with_missing_values(kind):
    x = holes(laws.family_gmm(kind, 4, 5).sample(300, seed=3).frames)
    x[5] = np.nan
    result = fit_gmm(x, 4, covariance=kind, missing=True, stop=Stop(0.0, 25), floor=Floor(relative=1e-3))
    laws.never_falls(result)
    assert type(result.model) is GMM
    assert result.objective[-1] > result.objective[0]
    assert all("reseeded" not in notes for notes in result.notes)


@kinds
def test_training_finds_the_mixture_again_and_no_thread_changes_a_bit(kind):
    true = laws.family_gmm(kind, 2, 3)
    true = GMM(true.weights, [[-8.0, 0.0, 4.0], [8.0, 5.0, -4.0]], true.covariance)
    x = holes(true.sample(4000, seed=1).frames)
    fits = [
        fit_gmm(np.array_split(x, 3), 2, covariance=kind, missing=True, stop=Stop(0.0, 10), n_threads=n).model
        for n in (1, 2)
    ]
    assert storage.dumps(fits[0]) == storage.dumps(fits[1])
    found = fits[0].take(np.argsort(fits[0].means[:, 0]))
    laws.close(found.weights, true.weights, rtol=0, atol=0.03)
    laws.close(found.means, true.means, rtol=0, atol=0.2)
    laws.close(laws.matrices(found), laws.matrices(true), rtol=0.15, atol=0.15)


@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_every_start_works_and_a_start_may_be_given(init):
    x = holes(laws.family_gmm("full", 3, 4).sample(200).frames)
    model = fit_gmm(x, 3, init=init, covariance="full", missing=True, stop=Stop(0.0, 2), seed=4).model
    assert model.n_components == 3
    given = fit_gmm(x, 3, init=model, missing=True, stop=Stop(0.0, 2)).model
    np.testing.assert_array_equal(given.origin, model.origin)


@kinds
def test_imputation_is_the_conditional_expectation(kind):
    gmm, x = problem(kind, 4, 5)
    mixture = laws.gaussians(gmm)
    expected = []
    for row in oracle.rows(x):
        p, _ = oracle.gaussian_posteriors(row, mixture)
        filled = [oracle.conditional(row, m, c)[1] for m, c in zip(mixture.means, mixture.covariances, strict=True)]
        expected.append(np.einsum("k,kd->d", p, filled))
    found = impute(gmm, x)
    laws.close(found, expected)
    seen = ~np.isnan(x)
    np.testing.assert_array_equal(found[seen], x[seen])


@kinds
def test_draws_have_the_conditional_mean_and_covariance(kind):
    gmm = laws.family_gmm(kind, 1, 3)
    row, n = np.array([1.0, np.nan, np.nan]), 40_000
    drawn = impute(gmm, np.tile(row, (n, 1)), seed=2)
    _, mean, rest = oracle.conditional(row.tolist(), gmm.means[0].tolist(), laws.matrices(gmm)[0].tolist())
    v = np.diag(rest)[1:]
    assert (np.abs(drawn[:, 1:].mean(axis=0) - mean[1:]) < 5 * np.sqrt(v / n)).all()
    laws.close(np.cov(drawn[:, 1:].T), np.array(rest)[1:, 1:], rtol=0.05, atol=0.05 * v.max())
    np.testing.assert_array_equal(drawn[:, 0], 1.0)
    same, other = impute(gmm, [row], seed=np.random.default_rng(7)), impute(gmm, [row], seed=7)
    assert same.tobytes() == other.tobytes()
    assert impute(gmm, [row], seed=8).tobytes() != other.tobytes()


def test_draws_choose_components_by_their_posteriors():
    gmm = GMM([0.2, 0.8], [[0.0, -50.0], [0.0, 50.0]], Diagonal(np.ones((2, 2))))
    drawn = impute(gmm, np.tile([0.3, np.nan], (20_000, 1)), seed=0)[:, 1]
    assert abs((drawn > 0).mean() - 0.8) < 0.02
    laws.close(np.abs(drawn).mean(), 50.0, rtol=1e-3)


def test_imputing_iris_errs_less_than_scikit_learns_imputers():
    from sklearn.datasets import load_iris
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    x = load_iris().data
    errors = {"ours": [], "iterative": [], "neighbors": []}
    for seed in range(3):
        y = holes(x, seed=seed)
        hole = np.isnan(y)
        fitted = fit_gmm(y, 3, covariance="full", missing=True, floor=Floor(relative=1e-3), stop=Stop(1e-4, 100))
        filled = {
            "ours": impute(fitted.model, y),
            "iterative": IterativeImputer(random_state=0, max_iter=30, tol=1e-2).fit_transform(y),
            "neighbors": KNNImputer().fit_transform(y),
        }
        for name, z in filled.items():
            errors[name].append(np.sqrt(((z - x)[hole] ** 2).mean()))
    means = {name: np.mean(e) for name, e in errors.items()}
    assert means["ours"] < means["iterative"]
    assert means["ours"] < means["neighbors"]


GAPS = [[1.0, np.nan], [2.0, np.nan], [4.0, np.nan]]
NARROW = GMM([1.0], [[0.0, 0.0]], Full(1e-12 * np.eye(2)[None]))
ONE = GMM([1.0], [[0.0, 0.0]], Full(np.eye(2)[None]))
REFUSED = {
    "a column": (
        lambda: fit_gmm(GAPS, 1, missing=True),
        "frames must have every feature observed in some of the frames; got none of feature 1. Leave that feature out.",
    ),
    "only NaN": (lambda: fit_gmm(np.full((3, 2), np.nan), 1, missing=True), "every feature observed"),
    "not asked for": (lambda: fit_gmm(GAPS, 1), "frames must be finite; got 3 NaN or infinite of 6 entries"),
    "the mixture itself": (lambda: ONE.statistics([[np.nan, 0.0]]), "frames must be finite"),
    "infinite": (lambda: Incomplete(ONE).statistics([[np.nan, np.inf]]), "frames must be finite; got 1 NaN or inf"),
    "infinite too": (lambda: impute(ONE, [[-np.inf, np.nan]]), "frames must be finite"),
    "dimensions": (lambda: impute(ONE, [[np.nan]]), "frames must have 2 features per frame, as the model has"),
    "weights": (lambda: Incomplete(ONE).statistics(GAPS, sample_weight=[1, 1]), "sample weights must have shape (3,)"),
    "out of reach": (lambda: Incomplete(NARROW).log_density([[np.nan, 1e150]]), "be within reach of the model"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()


def test_the_door_lets_nan_pass_and_nothing_else():
    x = matrix([[np.nan, 1.0]], missing=True)
    assert np.isnan(x[0, 0])
    assert matrix(np.full((2, 2), np.nan), missing=True).shape == (2, 2)
    for wrong in ([[np.nan, np.inf]], [[-np.inf, 1.0]]):
        with pytest.raises(InvalidInput, match="frames must be finite"):
            matrix(wrong, missing=True)
