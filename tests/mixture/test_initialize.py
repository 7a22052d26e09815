"""Starts: exactly K components, from the seed alone, whatever the threads."""

import functools
import re

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, ArrayBlocks, Diagonal, Floor, Stop, fit, fit_bayes, fit_gmm, initialize, split
from speechgmm.parallel import sums, threads
from tests import laws, oracle

METHODS = ["kmeans", "random", "split"]


def data(n=2000, d=3, seed=0):
    return np.random.default_rng(seed).standard_t(4, (n, d)) * [1.0, 10.0, 0.1][:d]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 2, 3, 48, 100])
def test_exactly_so_many_components(method, k):
    gmm = initialize(data(), k, method=method)
    assert gmm.n_components == k
    assert gmm.weights.min() > 0
    laws.close(gmm.weights.sum(), 1.0)
    assert np.isfinite(gmm.log_density(data())).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_origin_is_the_mean_of_the_sample(method):
    laws.close(initialize(data(), 4, method=method).origin, data().mean(axis=0))


@pytest.mark.parametrize("method", METHODS)
def test_one_component_is_the_gaussian_of_all_frames(method):
    gmm = initialize(data(), 1, method=method)
    if method != "random":  # whose mean is a frame
        laws.close(gmm.means[0], data().mean(axis=0))
    laws.close(laws.variances(gmm)[0], data().var(axis=0))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits(method):
    a, b = (initialize(data(), 5, method=method, seed=s) for s in (3, np.random.default_rng(3)))
    laws.same_bits(a, b)


@pytest.mark.parametrize("method", ["kmeans", "random"])
def test_another_seed_gives_another_start(method):
    a, b = (initialize(data(), 5, method=method, seed=s) for s in (3, 4))
    assert a.means.tobytes() != b.means.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_threads_of_the_libraries_do_not_matter(method):
    starts = []
    for n in (1, 2, 3):
        with threadpool_limits(limits=n):
            starts.append(initialize(data(), 7, method=method))
    laws.same_bits(starts[1], starts[0])
    laws.same_bits(starts[2], starts[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_splitting_gives_the_same_bits_on_any_number_of_threads(dtype):
    x = data(n=9000).astype(dtype)
    one, *others = (initialize(x, 40, method="split", n_threads=n) for n in (1, 2, 3, None))
    for other in others:
        laws.same_bits(other, one)
    close = initialize(x.astype(np.float64), 40, method="split")
    laws.close(one.means, close.means, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("call", [initialize, functools.partial(fit_gmm, stop=Stop(0.0, 1)), fit_bayes])
def test_the_number_of_threads_is_passed_on(call, monkeypatch):
    asked = []
    monkeypatch.setattr(sums, "threads", lambda n: asked.append(n) or threads(n))
    call(data(), 3, **{"method" if call is initialize else "init": "split"}, n_threads=3)
    assert set(asked) == {3}


def test_many_components_are_split_by_default():
    x = data(n=600)
    laws.same_bits(initialize(x, 256), initialize(x, 256, method="kmeans"))
    laws.same_bits(initialize(x, 257), initialize(x, 257, method="split"))


@pytest.mark.parametrize("method", METHODS)
def test_the_partition_into_blocks_does_not_matter(method):
    x = data()
    whole = initialize(x, 5, method=method)
    for blocks in ([x[:300], x[300:]], ArrayBlocks(x, size=17), tuple(np.array_split(x, 9))):
        laws.same_bits(initialize(blocks, 5, method=method), whole)


@pytest.mark.parametrize("method", METHODS)
def test_units_do_not_matter(method):
    x, scale = data(), np.array([0.25, 8.0, 1024.0])  # exact in binary
    before, after = initialize(x, 5, method=method), initialize(x * scale, 5, method=method)
    laws.close(after.weights, before.weights, rtol=1e-7)
    laws.close(after.means, before.means * scale, rtol=1e-7, atol=1e-7 * scale.max())
    laws.close(laws.variances(after), laws.variances(before) * scale**2, rtol=1e-7)


def test_random_means_are_different_frames():
    x = data()
    gmm = initialize(x, 50, method="random")
    assert len(np.unique(gmm.means, axis=0)) == 50
    assert {m.tobytes() for m in gmm.means} <= {row.tobytes() for row in x}
    np.testing.assert_array_equal(gmm.weights, np.full(50, 1 / 50))
    laws.close(laws.variances(gmm), np.tile(x.var(axis=0), (50, 1)))


def test_kmeans_finds_clusters_far_apart():
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 50.0]])
    labels = rng.choice(3, 3000, p=[0.5, 0.3, 0.2])
    x = centers[labels] + rng.normal(0, [1.0, 2.0], (3000, 2))
    gmm = initialize(x, 3, method="kmeans")
    order = [int(np.abs(gmm.means - c).sum(axis=1).argmin()) for c in centers]
    for k, component in enumerate(order):
        mine = x[labels == k]
        laws.close(gmm.weights[component], len(mine) / 3000)
        laws.close(gmm.means[component], mine.mean(axis=0))
        laws.close(laws.variances(gmm)[component], mine.var(axis=0), rtol=1e-6)


def test_splitting_runs_four_steps_between():
    x = laws.random_gmm(3, 2).sample(80).frames
    floor = Floor(absolute=1e-3, relative=0.0, reseed=False)
    one = GMM([1.0], x.mean(axis=0)[None], Diagonal(x.var(axis=0)[None]))
    two = oracle.em(oracle.rows(x), laws.plain(split(one, 1)), 4, absolute=1e-3)
    laws.same_gmm(initialize(x, 2, method="split", floor=floor), two)
    grown = split(GMM(two.weights, two.means, Diagonal(two.variances)), 1)
    three = oracle.em(oracle.rows(x), laws.plain(grown), 4, absolute=1e-3)
    laws.same_gmm(initialize(x, 3, method="split", floor=floor), three)


def test_splitting_works_at_each_size_on_as_many_frames_as_a_start_of_that_size(monkeypatch):
    sizes = {}

    def counted(model, blocks, *rest, **settings):
        sizes[model.n_components] = sum(map(len, blocks))
        return fit(model, blocks, *rest, **settings)

    monkeypatch.setitem(initialize.__globals__, "fit", counted)
    initialize(data(n=23_000), 230, method="split")
    assert sizes == {2: 20_000, 4: 20_000, 8: 20_000, 16: 20_000, 32: 20_000, 64: 20_000, 128: 20_000, 230: 23_000}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6], ids=str)
def test_fewer_distinct_frames_than_components(method, value):
    x = np.repeat([[value, 1.0], [value, 2.0], [value, 4.0]], [5, 6, 9], axis=0)
    floor = Floor(absolute=1e-3, relative=1e-2)
    gmm = fit_gmm(x, 8, init=method, floor=floor, stop=Stop(max_iterations=10)).model
    assert gmm.n_components == 8
    assert (laws.variances(gmm) >= np.maximum(1e-3, 1e-2 * x.var(axis=0)) * (1 - 1e-12)).all()
    assert np.isfinite(gmm.log_density(x)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_for_each_component_is_enough(method):
    gmm = initialize(data(n=6), 6, method=method)
    assert gmm.n_components == 6
    assert (laws.variances(gmm) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_is_taken_of_large_data(method):
    x = data()
    small = initialize(x, 3, method=method, sample_size=100)
    assert np.abs(small.origin - x.mean(axis=0)).min() > 0  # not all frames were used
    assert initialize(x, 3, method=method, sample_size=5000).origin.tobytes() == x.mean(axis=0).tobytes()


REFUSED = {
    "too few frames": (lambda: initialize(data(n=4), 5), "n_components must be at most the 4 frames it is trained on"),
    "small sample": (lambda: initialize(data(), 5, sample_size=4), "be at most the 4 frames it is trained on; got 5"),
    "K = 0": (lambda: initialize(data(), 0), "n_components must be at least 1; got 0"),
    "K = 2.0": (lambda: initialize(data(), 2.0), "n_components must be a whole number; got 2.0"),
    "method": (lambda: initialize(data(), 2, method="em"), "method must be one of 'kmeans', 'random', 'split'"),
    "sample size": (lambda: initialize(data(), 2, sample_size=0), "sample_size must be at least 1; got 0"),
    "no blocks": (lambda: initialize([], 2), "blocks must hold at least one frame; got none"),
    "one shot": (lambda: initialize(iter([data()]), 2), "blocks must be iterable again and again"),
    "a floor for each component": (
        lambda: initialize(data(), 2, floor=Floor(absolute=np.ones((2, 3)))),
        "the absolute floor must be one number, or one per dimension; got shape (2, 3)",
    ),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()
