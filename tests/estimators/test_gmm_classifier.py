"""GMMClassifier: scikit-learn's own checks, laws, and what it refuses."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

from speechgmm.errors import InvalidInput
from speechgmm.estimators import GMMClassifier


@parametrize_with_checks([GMMClassifier(2, n_threads=1), GMMClassifier(4, relevance=2.0, n_threads=1)])
def test_it_is_a_scikit_learn_classifier(estimator: Any, check: Any) -> None:
    check(estimator)


class DiagonalCovariance:
    """What QuadraticDiscriminantAnalysis needs to be one of diagonal covariances."""

    def fit(self, x: np.ndarray) -> DiagonalCovariance:
        self.covariance_ = np.diag(x.var(axis=0))
        return self


def utterances(seed: int = 0, *, n: int = 24) -> tuple[list[np.ndarray], np.ndarray]:
    """Utterances of three classes, each a mixture of two clusters, with lengths from 3 to 20 rows."""
    rng = np.random.default_rng(seed)
    labels = np.array(["ah", "eh", "oh"])[np.arange(n) % 3]
    centers = {"ah": ([0, 0], [4, 0]), "eh": ([0, 2], [4, 3]), "oh": ([2, 0], [2, 4])}
    x = []
    for label in labels:
        which = rng.integers(2, size=rng.integers(3, 20))
        x.append(np.array(centers[label], dtype=float)[which] + rng.normal(0, 0.8, (len(which), 2)))
    return x, labels


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, labels = utterances(seed)
    return np.concatenate(x), np.repeat(labels, [len(m) for m in x])


def test_one_component_and_equal_priors_is_diagonal_discriminant_analysis() -> None:
    x, y = rows()
    ours = GMMClassifier(1, priors="equal", floor=0.0).fit(x, y)
    third = np.full(3, 1 / 3)
    peers = [GaussianNB(priors=third, var_smoothing=0.0).fit(x, y)]
    if "solver" in inspect.signature(QuadraticDiscriminantAnalysis).parameters:  # from scikit-learn 1.8 on
        settings = {"solver": "eigen", "covariance_estimator": DiagonalCovariance()}
        peers.append(QuadraticDiscriminantAnalysis(priors=third, **settings).fit(x, y))
    new = rows(1)[0]
    for peer in peers:
        np.testing.assert_allclose(ours.predict_log_proba(new), peer.predict_log_proba(new), rtol=1e-9, atol=1e-9)
    shares = GMMClassifier(1, floor=0.0).fit(x, y)
    naive = GaussianNB(var_smoothing=0.0).fit(x, y)
    np.testing.assert_allclose(shares.predict_log_proba(new), naive.predict_log_proba(new), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("relevance", [None, 4.0])
def test_order_of_classes_and_utterances_does_not_matter(relevance: float | None) -> None:
    x, y = utterances()
    new, _ = utterances(1)
    ours = GMMClassifier(4, relevance=relevance).fit(x, y)
    order = np.random.default_rng(3).permutation(len(x))
    shuffled = GMMClassifier(4, relevance=relevance).fit([x[i] for i in order], y[order])
    np.testing.assert_allclose(ours.decision_function(new), shuffled.decision_function(new), rtol=1e-6, atol=1e-6)
    renamed = GMMClassifier(4, relevance=relevance).fit(x, np.array([{"ah": "z", "eh": "y", "oh": "x"}[n] for n in y]))
    np.testing.assert_allclose(
        ours.decision_function(new), renamed.decision_function(new)[:, ::-1], rtol=1e-6, atol=1e-6
    )


def test_lists_and_lengths_are_the_same_and_utterances_are_sums_of_rows() -> None:
    x, y = utterances()
    lengths = [len(m) for m in x]
    one = GMMClassifier(2, priors="equal").fit(x, y)
    other = GMMClassifier(2, priors="equal").fit(np.concatenate(x), y, lengths=lengths)
    of_rows = GMMClassifier(2, priors="equal").fit(np.concatenate(x), np.repeat(y, lengths))
    expected = one.decision_function(x)
    np.testing.assert_array_equal(other.decision_function(np.concatenate(x), lengths=lengths), expected)
    summed = [(of_rows.decision_function(m) + np.log(3)).sum(axis=0) - np.log(3) for m in x]
    np.testing.assert_allclose(expected, summed, rtol=1e-9)
    assert one.score(x, y) == other.score(np.concatenate(x), y, lengths=lengths) > 0.9
    np.testing.assert_allclose(one.predict_proba(x).sum(axis=1), 1.0)


def test_blocks_of_one_utterance_add_up() -> None:
    x, y = utterances()
    model = GMMClassifier(3, priors="equal").fit(x, y)
    whole = model.decision_function([x[0]])[0]
    parts = model.decision_function([x[0][:2], x[0][2:]])
    np.testing.assert_allclose(parts.sum(axis=0) + np.log(3), whole, rtol=1e-9)


@pytest.mark.parametrize("relevance", [None, 3.0])
def test_weights_are_repetitions(relevance: float | None) -> None:
    x, y = utterances()
    weights = np.arange(len(x)) % 3
    weighted = GMMClassifier(3, relevance=relevance).fit(x, y, sample_weight=weights)
    repeated = np.repeat(np.arange(len(x)), weights)
    plain = GMMClassifier(3, relevance=relevance).fit([x[i] for i in repeated], y[repeated])
    new, truth = utterances(1)
    np.testing.assert_allclose(weighted.decision_function(new), plain.decision_function(new), rtol=1e-7, atol=1e-7)
    right = weighted.predict(new) == truth
    assert weighted.score(new, truth, sample_weight=weights) == pytest.approx(np.average(right, weights=weights))


@pytest.mark.parametrize("deviation", [0.1, 50.0])
def test_weights_may_sum_to_one(deviation: float) -> None:
    x, y = rows()
    x = x * deviation
    weighted = GMMClassifier(1).fit(x, y, sample_weight=np.full(len(y), 1 / len(y)))
    plain = GMMClassifier(1).fit(x, y)
    np.testing.assert_allclose(weighted.decision_function(x), plain.decision_function(x), rtol=1e-6, atol=1e-9)


def test_boosting_by_weights_that_sum_to_one() -> None:
    x, y = rows()
    boosted = AdaBoostClassifier(GMMClassifier(1), n_estimators=3, random_state=0).fit(x, y)
    assert boosted.score(x, y) > 0.9 * GMMClassifier(1).fit(x, y).score(x, y)


def test_a_large_relevance_is_the_background_and_a_small_one_the_class() -> None:
    x, y = utterances()
    background = GMMClassifier(2, relevance=1e9).fit(x, y)
    assert background.background_ is not None
    for m in background.mixtures_:
        np.testing.assert_allclose(m.means, background.background_.means, atol=1e-5)
    assert GMMClassifier(2).fit(x, y).background_ is None
    small = GMMClassifier(1, relevance=0.0, update="wmc", floor=0.0).fit(x, y)
    alone = GMMClassifier(1, floor=0.0).fit(x, y)
    np.testing.assert_allclose(small.decision_function(x), alone.decision_function(x), rtol=1e-6)


def test_grid_search_over_components_and_cross_validation_of_utterances() -> None:
    x, y = utterances(n=36)
    grid = {"n_components": [1, 2], "relevance": [None, 4.0]}
    search = GridSearchCV(GMMClassifier(n_threads=1), grid, cv=3).fit(x, y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() > 0.9
    of_rows = GridSearchCV(GMMClassifier(n_threads=1), grid, cv=3).fit(
        np.concatenate(x), np.repeat(y, list(map(len, x)))
    )
    assert of_rows.best_params_["n_components"] == 2
    assert cross_val_score(GMMClassifier(2), x, y, cv=3).mean() > 0.85


def test_threads_do_not_change_a_bit() -> None:
    x, y = rows()
    for relevance in (None, 4.0):
        one, two = (GMMClassifier(4, relevance=relevance, n_threads=n).fit(x, y).decision_function(x) for n in (1, 2))
        assert one.tobytes() == two.tobytes()


def test_a_small_class_gets_fewer_components() -> None:
    x, y = rows()
    keep = (y != "oh") | (np.cumsum(y == "oh") <= 11)
    assert [m.n_components for m in GMMClassifier(8).fit(x[keep], y[keep]).mixtures_] == [8, 8, 2]


def test_two_classes_have_one_decision() -> None:
    x, y = utterances()
    two = [i for i, n in enumerate(y) if n != "oh"]
    model = GMMClassifier(2, priors=[0.25, 0.75]).fit([x[i] for i in two], y[two])
    lead = model.decision_function(x)
    np.testing.assert_array_equal(model.predict(x), np.where(lead > 0, "eh", "ah"))
    np.testing.assert_allclose(np.diff(model.predict_log_proba(x), axis=1)[:, 0], lead, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.exp(model.class_log_prior_), [0.25, 0.75])


X, Y = rows()
BAD = [
    ({"y": ["ah"] * len(Y)}, "y must hold at least two classes; got 1 class"),
    ({"n_components": 0}, "n_components must be at least 1; got 0"),
    ({"relevance": -1.0}, "relevance must be at least 0 frames"),
    ({"update": "x"}, "update must be made of the letters w, m and c; got 'x'"),
    ({"floor": 2.0}, "floor must be at least 0 and at most 1; got 2"),
    ({"tol": -1.0}, "tolerance must be at least 0 nats; got -1 nats"),
    ({"max_iter": 0}, "max_iterations must be at least 1; got 0"),
    ({"priors": "uniform"}, "priors must be one of 'equal'; got 'uniform'"),
    ({"priors": [0.5, 0.5]}, r"priors must be 3 numbers above 0 with sum 1; got shape \(2,\)"),
    ({"priors": [0.5, 0.25, 0.5]}, "priors must be 3 numbers above 0 with sum 1; got .* sum 1.25"),
    ({"priors": [np.nan] * 3}, "priors must be finite; got 3 NaN or infinite of 3 entries"),
    ({"sample_weight": -np.ones(len(Y))}, "sample_weight must be .* numbers of at least 0"),
    ({"sample_weight": [1.0, 2.0]}, r"sample_weight must be .* one for each label, .* got shape \(2,\)"),
    ({"lengths": [1, 2]}, r"lengths must have the sum \d+, as there are rows; got 3"),
    ({"lengths": [0, len(X)]}, "lengths must be whole numbers of at least 1, one for each utterance"),
    ({"lengths": [0.5]}, "lengths must be whole numbers of at least 1"),
]


@pytest.mark.parametrize(("changed", "message"), BAD, ids=[str(m)[:30] for _, m in BAD])
def test_what_is_refused(changed: dict[str, Any], message: str) -> None:
    fitting = {name: changed[name] for name in ("lengths", "sample_weight") if name in changed}
    settings = {name: value for name, value in changed.items() if name not in {*fitting, "y"}}
    with pytest.raises(InvalidInput, match=f"^{message}"):
        GMMClassifier(**settings).fit(X, changed.get("y", Y), **fitting)


def test_lists_that_do_not_fit_are_refused() -> None:
    x, y = utterances(n=3)
    with pytest.raises(InvalidInput, match="lengths must be given with one matrix of rows; got a list of matrices too"):
        GMMClassifier(1).fit(x, y, lengths=[3])
    with pytest.raises(InvalidInput, match="utterance 1 must be a matrix of at least one row and 2 features"):
        GMMClassifier(1).fit([x[0], x[1][:, :1], x[2]], y)
    with pytest.raises(InvalidInput, match="utterance 2 must be a matrix of at least one row"):
        GMMClassifier(1).fit([x[0], x[1], x[2][:0]], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        GMMClassifier(1).fit(x, y[:2])
