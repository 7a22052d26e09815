"""Variational Bayes: the bound, what vanishes, and scikit-learn's mixture from the same start."""

import re
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Floor, Full, Prior, Spherical, Stop, Tied, bayes, fit, fit_bayes, maximize
from speechgmm.mixture.bayes import Evidence, Variational, posterior
from speechgmm.mixture.covariance import COVARIANCES
from tests import laws

family = pytest.mark.parametrize(("kind", "k", "d"), laws.FAMILY)
kinds = pytest.mark.parametrize("kind", COVARIANCES)
both = pytest.mark.parametrize("process", [True, False], ids=["process", "distribution"])


def default_prior(x, kind, k, process):
    d = x.shape[1]
    one = GMM(np.ones(1), x.mean(axis=0)[None], COVARIANCES[kind].of(np.ones((1, d))), x.mean(axis=0))
    return Prior.of(one.statistics(x), COVARIANCES[kind], k, process=process)


def first(prior, statistics, model):
    return posterior(Evidence(statistics, 0.0), Variational(prior, model, statistics.counts)).model


def from_posteriors(x, shares, prior, kind):
    """The posterior of frames whose responsibilities are given."""
    k, d = shares.shape[1], x.shape[1]
    gmm = GMM(np.full(k, 1 / k), np.tile(x.mean(axis=0), (k, 1)), COVARIANCES[kind].of(np.ones((k, d))))
    return first(prior, gmm.assigned(x, shares), gmm)


@family
@both
def test_the_bound_never_falls(kind, k, d, process):
    x = laws.family_gmm(kind, 4, d).sample(150, seed=1).frames
    result = fit_bayes(x, k, covariance=kind, process=process, stop=Stop(0.0, 40))
    laws.never_falls(result, slack=1e-11)
    model = result.model.model
    laws.close(model.weights.sum(), 1.0)
    assert type(model.covariance) is COVARIANCES[kind]
    laws.close(result.model.counts.sum(), 150)


@family
@both
def test_at_its_end_the_bound_is_at_a_maximum(kind, k, d, process):
    x = laws.family_gmm(kind, 4, d).sample(80, seed=1).frames
    end = fit_bayes(x, k, covariance=kind, process=process, stop=Stop(1e-11, 300)).model
    best = end.statistics(x).mean_log_likelihood
    rng = np.random.default_rng(0)
    for _ in range(5):
        moved = GMM(
            end.model.weights,
            end.model.means + 1e-2 * rng.normal(size=(k, d)),
            type(end.model.covariance)(end.model.covariance.parameters * (1 + 0.03 * rng.normal())),
            end.model.origin,
        )
        assert Variational(end.prior, moved, end.counts).statistics(x).mean_log_likelihood < best


@kinds
@both
def test_superfluous_components_vanish(kind, process):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(m, 1.0, (200, 2)) for m in ([-12, 0], [0, 12], [12, -12])])
    result = fit_bayes(x, 8, covariance=kind, process=process, stop=Stop(1e-7, 500))
    rest = result.model.without(5.0)
    assert rest.n_components == 3
    laws.close(np.sort(rest.means[:, 0]), [-12, 0, 12], rtol=0, atol=0.3)
    laws.close(rest.weights, np.full(3, 1 / 3), rtol=0, atol=0.02)
    assert 1 <= result.model.without(1e9).n_components <= 3  # the heaviest always stays


def test_one_gaussian_has_its_exact_evidence():
    """One component with a conjugate prior: the bound is the log evidence itself, here by numerical integration."""
    x = np.array([[0.3], [1.1], [-0.4], [0.8]])
    m, t = np.meshgrid(np.linspace(-6, 7, 600), np.linspace(-12, 3.5, 600))
    rate = np.exp(t)  # the precision, on a logarithmic grid
    log = stats.gamma.logpdf(rate, 1.5, scale=2 / 1.7) + t + stats.norm.logpdf(m, 0.5, (0.6 * rate) ** -0.5)
    log = log + sum(stats.norm.logpdf(value, m, rate**-0.5) for value in x[:, 0])
    evidence = np.exp(log).sum() * (13 / 599) * (15.5 / 599)
    for covariance in (Full([[[1.7]]]), Diagonal([[1.7]]), Spherical([1.7]), Tied([[1.7]])):
        prior = Prior(np.array([0.5]), covariance, 1.0, 0.6, 3.0, process=False)
        start = GMM([1.0], [[0.0]], type(covariance).of(np.ones((1, 1))))
        end = fit(first(prior, start.statistics(x), start), [x], posterior, stop=Stop(0.0, 3))
        laws.close(len(x) * end.objective[-1], np.log(evidence), rtol=1e-4)


@kinds
def test_much_data_gives_maximum_likelihood(kind):
    x = laws.family_gmm(kind, 3, 2, seed=3).sample(400).frames
    shares = np.random.default_rng(0).dirichlet(np.ones(3), len(x))
    prior = default_prior(x, kind, 3, process=False)
    found = from_posteriors(np.tile(x, (500, 1)), np.tile(shares, (500, 1)), prior, kind).model
    gmm = GMM(np.full(3, 1 / 3), np.tile(x.mean(axis=0), (3, 1)), COVARIANCES[kind].of(np.ones((3, 2))))
    ml = maximize(gmm.assigned(x, shares), gmm, floor=Floor(absolute=0.0, relative=0.0)).model
    laws.same_mixture(found, ml, rtol=1e-3, atol=1e-3)


@kinds
def test_no_data_gives_the_prior(kind):
    x = laws.family_gmm(kind, 3, 2).sample(50).frames
    prior = default_prior(x, kind, 4, process=False)
    v = from_posteriors(x, np.zeros((50, 4)), prior, kind)
    laws.close(v.model.means, np.tile(prior.mean, (4, 1)))
    laws.close(v.model.weights, np.full(4, 0.25))
    laws.close(v.model.take([0]).covariance.parameters, prior.covariance.parameters / prior.degrees)
    laws.close(v.divergence(), 0.0)


def peer(x, k, kind, process, iterations):
    """scikit-learn's mixture and the responsibilities that it starts from."""
    weights = "dirichlet_process" if process else "dirichlet_distribution"
    model = BayesianGaussianMixture(
        n_components=k,
        covariance_type=kind,
        weight_concentration_prior_type=weights,
        init_params="random",
        random_state=0,
        reg_covar=0.0,
        tol=0.0,
        max_iter=iterations,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x)
    shares = np.random.RandomState(0).uniform(size=(len(x), k))
    return model, shares / shares.sum(axis=1, keepdims=True)


@kinds
@both
@pytest.mark.parametrize("name", ["iris", "wine"])
def test_twenty_iterations_equal_scikit_learns(name, kind, process, monkeypatch):
    """To 1e-8, once its two peculiarities are taken over.

    It takes the expected log determinant of a D-dimensional Wishart variable for variances too, and counts N / K frames
    for a tied covariance, which is our K times stronger prior.
    """
    x, k = getattr(datasets, f"load_{name}")().data, 5
    theirs, shares = peer(x, k, kind, process, 20)
    prior = default_prior(x, kind, k, process)
    if kind == "tied":
        stronger = Tied(k * prior.covariance.parameters)
        prior = Prior(prior.mean, stronger, prior.concentration, prior.mean_precision, k * prior.degrees, process)
    if kind in ("diag", "spherical"):

        def wishart(covariance, degrees, d):
            each = digamma(0.5 * (degrees[:, None] - np.arange(d))).sum(axis=1)
            return each + d * (np.log(2) - np.log(degrees))

        monkeypatch.setattr(bayes, "_log_determinants", wishart)
    found = fit(from_posteriors(x, shares, prior, kind), [x], posterior, stop=Stop(0.0, 20)).model.model
    pairs = (
        (found.weights, theirs.weights_),
        (found.means, theirs.means_),
        (found.covariance.parameters, theirs.covariances_),
    )
    for ours, other in pairs:
        assert np.linalg.norm(ours - other) < 1e-8 * np.linalg.norm(other)


@kinds
def test_the_number_of_threads_changes_no_bit_and_the_posterior_can_be_stored(kind):
    blocks = np.array_split(laws.family_gmm(kind, 3, 3).sample(600).frames, 5)
    ends = [fit_bayes(blocks, 4, covariance=kind, n_threads=n, stop=Stop(0.0, 5)).model for n in (1, 2)]
    assert storage.dumps(ends[0]) == storage.dumps(ends[1])
    again = storage.loads(storage.dumps(ends[0]), Variational, Prior, GMM, COVARIANCES[kind])
    assert again.statistics(blocks[0]).mean_log_likelihood == ends[0].statistics(blocks[0]).mean_log_likelihood


@kinds
@pytest.mark.parametrize("scale", [1e-140, 1e-20, 1.0, 1e140])
def test_constant_features_and_any_units_are_borne(kind, scale):
    x = np.column_stack([laws.family_gmm(kind, 3, 2).sample(200).frames, np.full(200, 0.1)]) * scale
    result = fit_bayes(x, 4, covariance=kind, stop=Stop(0.0, 15))
    laws.never_falls(result, slack=1e-9)
    assert np.isfinite(result.model.model.log_density(x)).all()


def test_a_prior_and_a_start_may_be_given():
    x = laws.random_gmm(2, 2).sample(100).frames
    strong = Prior(np.zeros(2), Diagonal([[5.0, 5.0]]), 1.0, 1e9, 2.0, process=False)
    start = laws.random_gmm(2, 2)
    result = fit_bayes(x, 2, init=start, prior=strong, stop=Stop(0.0, 3))
    laws.close(result.model.model.means, np.zeros((2, 2)), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(result.model.model.origin, start.origin)


UNIT = Diagonal([[1.0]])
X = np.arange(6.0)[:, None]
REFUSED = {
    "mean": (lambda: Prior([[0.0]], UNIT, 1.0, 1.0, 1.0), "the prior must have a mean (D,) and the covariance of one"),
    "covariance": (lambda: Prior([0.0], Diagonal([[1.0], [1.0]]), 1.0, 1.0, 1.0), "the covariance of one component"),
    "NaN": (lambda: Prior([np.nan], UNIT, 1.0, 1.0, 1.0), "the prior mean must be finite"),
    "concentration": (lambda: Prior([0.0], UNIT, 0.0, 1.0, 1.0), "the concentration must be above 0; got 0"),
    "precision": (lambda: Prior([0.0], UNIT, 1.0, 0.0, 1.0), "the mean precision must be above 0 frames"),
    "degrees": (lambda: Prior([0.0], UNIT, 1.0, 1.0, 0.0), "the degrees of freedom must be above 0; got 0"),
    "other kind": (
        lambda: fit_bayes(X, 2, covariance="full", prior=Prior([0.0], UNIT, 1.0, 1.0, 1.0)),
        "the prior must be of a Full covariance in 1 dimensions; got Diagonal in 1 dimensions",
    ),
    "kind": (lambda: fit_bayes(X, 2, covariance="block"), "covariance must be one of 'diag'"),
    "K": (lambda: fit_bayes(X, 2, init=laws.random_gmm(3, 1)), "n_components must be 3, as init has; got 2"),
    "NaN frame": (lambda: fit_bayes([[np.nan]], 1), "frames must be finite"),
    "K > N": (lambda: fit_bayes(X, 7), "n_components must be at most the 6 frames it is trained on; got 7"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()
