"""GMMClassifier: scikit-learn's own checks, laws, and what it refuses."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from speechgmm.estimators.gmm_classifier import GMMClassifier


@parametrize_with_checks([GMMClassifier(2, n_threads=1), GMMClassifier(4, relevance=2.0, n_threads=1)])
def test_it_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)
