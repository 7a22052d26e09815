"""The compiled E-step against the plain one, at every size, precision and edge."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from speechgmm import MFCC
from speechgmm.mixture import GMM, ArrayBlocks, Diagonal, Floor, Selection, Statistics, Stop, fit_gmm
from speechgmm.mixture.compiled.loops import exp
from speechgmm.mixture.e_step import EStep
from speechgmm.mixture.em import expectation
from speechgmm.mixture.model import COMPILED_FROM
from tests import laws, oracle
from tests.sounds import CORPORA

SIZES = [(1, 1, 1), (7, 1, 3), (255, 3, 2), (256, 16, 5), (257, 17, 1), (3000, 33, 13), (700, 100, 60)]


@numba.njit
def exponentials(x: np.ndarray) -> np.ndarray:
    result = np.empty_like(x)
    for i in range(len(x)):
        result[i] = exp(x[i])
    return result


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 3e-7), (np.float64, 6e-16)])
def test_the_exponential_has_the_stated_error(dtype: type, error: float) -> None:
    x = -np.concatenate([np.linspace(0, 2, 5000), np.linspace(2, 80, 5000)]).astype(dtype)
    expected = np.exp(x.astype(np.longdouble))
    allowed = error + np.abs(x.astype(float)) * np.finfo(dtype).eps
    assert (np.abs(exponentials(x) / expected - 1) <= allowed).all()


def speechlike(k: int, d: int, seed: int = 0) -> GMM:
    """Return a mixture whose components overlap as those of normalized speech do."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(k, 2.0))
    return GMM(weights, rng.normal(0, 0.7, (k, d)), Diagonal(rng.uniform(0.2, 1.0, (k, d))), np.zeros(d))


def compiled(gmm: GMM, x: np.ndarray) -> Statistics:
    """Return the statistics by the compiled loops, however few frames there are."""
    return gmm.e_step(x.dtype).statistics(x)


def plain(gmm: GMM) -> EStep:
    """Return the plain form, in float64."""
    return EStep(gmm.covariance, gmm.weights, gmm.offsets, gmm.origin)


def differences(gmm: GMM, x: np.ndarray) -> list[float]:
    """Return how far the compiled statistics are from the plain float64 ones: nats a frame, then relative norms."""
    fast, exact = compiled(gmm, x), plain(gmm).statistics(x.astype(float))
    pairs = [(getattr(fast, n), getattr(exact, n)) for n in ("counts", "first", "second")]
    norms = [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs]
    return [abs(fast.mean_log_likelihood - exact.mean_log_likelihood), *norms]


@pytest.mark.parametrize(("n", "k", "d"), SIZES)
@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centered", "offset by 1e4 deviations"])
def test_float64_is_exact(n: int, k: int, d: int, offset: float) -> None:
    gmm = speechlike(k, d)
    x = gmm.sample(n).frames + offset
    shifted = GMM(gmm.weights, gmm.means + offset, gmm.covariance, gmm.origin + offset)
    likelihood, *moments = differences(shifted, x)
    assert likelihood < 1e-11
    assert max(moments) < 1e-10


@pytest.mark.parametrize(("n", "k", "d"), SIZES)
@pytest.mark.parametrize("offset", [0.0, 2.0**13], ids=["centered", "offset"])
def test_float32_keeps_its_precision(n: int, k: int, d: int, offset: float) -> None:
    gmm = speechlike(k, d)
    x = (np.round(gmm.sample(n).frames * 256) / 256 + offset).astype(np.float32)  # exact at any such offset
    shifted = GMM(gmm.weights, gmm.means + offset, gmm.covariance, gmm.origin + offset)
    likelihood, *moments = differences(shifted, x)
    assert likelihood < 1e-5
    assert max(moments) < 1e-5


def test_tight_components_far_from_the_origin_are_worked_in_float64() -> None:
    gmm = GMM([0.5, 0.5], [[-5e3], [5e3]], Diagonal(np.full((2, 1), 0.1)))
    x = np.array([[-5e3], [5e3], [5e3 + 0.5]], dtype=np.float32)
    assert max(differences(gmm, x)) < 1e-7  # float32 would lose 1e-2


def with_narrow(x: np.ndarray, k: int, narrow: int, variance: float, wide: GMM | None = None) -> tuple[GMM, np.ndarray]:
    """Return a mixture of which some components sit on one frame each, or just beside, and which these are."""
    gmm, rng = wide or speechlike(k, x.shape[1]), np.random.default_rng(1)
    means, variances, weights = gmm.means.copy(), gmm.covariance.parameters.copy(), gmm.weights.copy()
    chosen = rng.choice(k, narrow, replace=False)
    means[chosen] = x[9 * rng.choice(len(x) // 9, narrow, replace=False)]
    means[chosen[0]] += 0.5 * np.sqrt(variance)
    variances[chosen], weights[chosen] = variance, 1 / len(x)
    return GMM(weights / weights.sum(), means, Diagonal(variances), gmm.origin), np.sort(chosen)


def clustered(gmm: GMM, n: int) -> np.ndarray:
    """Return float32 frames of which every ninth lies within a thousandth of one far from the origin."""
    x = gmm.sample(n).frames
    x[::9] = x[0] + 1e-3 * np.random.default_rng(2).normal(size=x[::9].shape) + 3
    return x.astype(np.float32)


def variances(s: Statistics, components: np.ndarray) -> np.ndarray:
    """Return the variances about their own means that statistics say of some components."""
    n = s.counts[components, None]
    return s.second[components] / n - (s.first[components] / n) ** 2


@pytest.mark.numeric
@pytest.mark.parametrize("variance", [1e-6, 1e-4])
@pytest.mark.parametrize(("n", "k", "d", "narrow"), [(1000, 16, 5, 1), (1500, 33, 13, 4), (2000, 100, 60, 12)])
def test_narrow_components_alone_are_worked_in_float64(n: int, k: int, d: int, narrow: int, variance: float) -> None:
    x = clustered(speechlike(k, d), n)
    gmm, chosen = with_narrow(x, k, narrow, variance)
    e_step = gmm.e_step(x.dtype)
    assert e_step.layout.kind == np.float32
    np.testing.assert_array_equal(e_step.narrow.components, chosen)
    likelihood, *moments = differences(gmm, x)
    assert likelihood < 1e-5
    assert max(moments) < 1e-5
    found, exact = compiled(gmm, x), plain(gmm).statistics(x.astype(float))
    laws.close(found.counts[chosen], exact.counts[chosen], rtol=1e-4, atol=1e-4)
    counted = chosen[exact.counts[chosen] > 0.5]
    assert len(counted)
    # of squares of about 10 float32 sums lose about 1e-6, as much as the variances
    laws.close(variances(found, counted), variances(exact, counted), rtol=1e-3, atol=1e-11)
    expected = [oracle.log_density(row, laws.plain(gmm)) for row in oracle.rows(x[:20].astype(float))]
    laws.close(e_step.log_density(x[:20]), expected, rtol=1e-6, atol=2e-4)


def test_many_narrow_components_turn_all_to_float64_and_float64_needs_none() -> None:
    x = clustered(speechlike(16, 5), 1000)
    gmm, _ = with_narrow(x, 16, 3, 1e-6)
    for dtype in (np.float32, np.float64):
        e_step = gmm.e_step(np.dtype(dtype))
        assert e_step.narrow is None
        assert e_step.layout.kind == np.float64


def test_a_narrow_component_of_weight_zero_counts_for_nothing() -> None:
    x = clustered(speechlike(16, 5), 1000)
    gmm, chosen = with_narrow(x, 16, 1, 1e-6)
    weights = np.array(gmm.weights)
    weights[chosen] = 0.0
    s = compiled(GMM(weights / weights.sum(), gmm.means, gmm.covariance, gmm.origin), x)
    assert s.counts[chosen].tolist() == [0.0]
    laws.close(s.counts.sum(), 1000, rtol=1e-5)


def test_bits_with_narrow_components_do_not_depend_on_threads() -> None:
    x = clustered(speechlike(100, 60), 6000)
    gmm, _ = with_narrow(x, 100, 5, 1e-6)
    assert gmm.e_step(x.dtype).narrow is not None
    sums = [expectation(gmm, ArrayBlocks(x, 1000), n_threads=n) for n in (1, 2, 3)]
    assert len({s.counts.tobytes() + s.first.tobytes() + s.second.tobytes() for s in sums}) == 1


def test_selection_keeps_narrow_components() -> None:
    x = clustered(speechlike(64, 8), 3000)
    gmm, _ = with_narrow(x, 64, 4, 1e-6)
    stop, selection = Stop(0.0, 4), Selection(refresh=2, settled=1e9)
    floor = Floor(absolute=1e-6, relative=0.0, occupancy=0.0, reseed=False, add=True)
    exact, listed = (fit_gmm(x, 64, init=gmm, stop=stop, floor=floor, selection=s) for s in (None, selection))
    laws.close(listed.model.means, exact.model.means, atol=1e-3)


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.exists(), reason="the real recordings of ../shared/corpora are not here")
@pytest.mark.parametrize("variance", [1e-6, 1e-3])
def test_narrow_components_on_speech(variance: float) -> None:
    files = sorted((CORPORA / "fsdd").glob("*/*.flac"))[::60]
    x = np.concatenate([MFCC(sample_rate=8000).from_file(path) for path in files])
    wide = fit_gmm(x, 128, stop=Stop(0.0, 3), floor=Floor(relative=0.01, occupancy=5.0)).model
    gmm, chosen = with_narrow(x, 128, 8, variance, wide)
    narrow = gmm.e_step(x.dtype).narrow
    assert narrow is not None
    assert set(narrow.components) <= set(chosen)
    likelihood, *moments = differences(gmm, x)
    assert likelihood < 1e-5
    assert max(moments) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_frames_take_the_plain_form_and_many_the_compiled_one(dtype: type) -> None:
    gmm = speechlike(64, 64)
    few = COMPILED_FROM[np.dtype(dtype)] // (64 * 64) - 1
    x = gmm.sample(few + 1).frames.astype(dtype)
    for n, form in ((few, plain(gmm)), (few + 1, gmm.e_step(x.dtype))):
        assert gmm.statistics(x[:n]).second.tobytes() == form.statistics(x[:n]).second.tobytes()
        assert gmm.log_density(x[:n]).tobytes() == form.log_density(x[:n]).tobytes()


def test_small_problems_never_load_the_compiler() -> None:
    program = (
        "import sys, numpy as np\nfrom speechgmm import GaussianMixture\nfrom speechgmm.mixture import fit_gmm\n"
        "x = np.random.default_rng(0).normal(size=(3000, 4)) + 5 * (np.arange(3000)[:, None] % 3)\n"
        "for kind in ('full', 'tied', 'diag', 'spherical'):\n"
        "    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)\n"
        "    model.predict(x), model.score_samples(x), model.predict_proba(x), model.sample(5)\n"
        "fit_gmm(x, 3)\nprint('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_log_density_is_the_oracles() -> None:
    gmm = speechlike(5, 4)
    x = gmm.sample(300).frames
    expected = [oracle.log_density(row, laws.plain(gmm)) for row in oracle.rows(x)]
    for form in (gmm, gmm.e_step(x.dtype), plain(gmm)):
        laws.close(form.log_density(x), expected, rtol=1e-12)
    single = x.astype(np.float32)
    laws.close(gmm.e_step(single.dtype).log_density(single), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_do_not_matter(scale: float, dtype: type) -> None:
    gmm = speechlike(20, 3)
    x = gmm.sample(500).frames.astype(dtype)
    scaled = GMM(gmm.weights, gmm.means * scale, Diagonal(gmm.covariance.variances * scale**2), gmm.origin)
    here, there = compiled(gmm, x), compiled(scaled, (x * dtype(scale)).astype(dtype))
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    laws.close(there.counts, here.counts, rtol=rtol, atol=rtol)
    laws.close(there.first / scale, here.first, rtol=rtol, atol=100 * rtol)
    laws.close(there.mean_log_likelihood + 3 * np.log(scale), here.mean_log_likelihood, rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_sum_to_the_frames(dtype: type) -> None:
    gmm = speechlike(300, 20)
    s = compiled(gmm, gmm.sample(2000).frames.astype(dtype))
    laws.close(s.counts.sum(), 2000, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x[::-1][::-1]])
def test_any_layout_of_the_frames_gives_the_same_bits(layout: object) -> None:
    gmm = speechlike(16, 6)
    x = gmm.sample(600).frames.astype(np.float32)
    turned = layout(x)  # type: ignore[operator]
    assert compiled(gmm, turned).second.tobytes() == compiled(gmm, x).second.tobytes()
    assert gmm.statistics(turned).second.tobytes() == gmm.statistics(x).second.tobytes()


def test_frames_that_may_not_be_written_are_read() -> None:
    gmm = speechlike(4, 3)
    x = gmm.sample(50).frames
    expected = compiled(gmm, x).counts
    x.setflags(write=False)
    np.testing.assert_array_equal(compiled(gmm, x).counts, expected)
    np.testing.assert_allclose(gmm.statistics(x).counts, expected)


def test_without_a_writable_cache_it_still_works(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parent.parent.parent / "speechgmm"
    package = tmp_path / "speechgmm"
    subprocess.run(["cp", "-r", str(source), str(package)], check=True)
    for folder in package.rglob("__pycache__"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.write_text("a file where the folder of the cache would be")
    for folder in (package, *[p for p in package.rglob("*") if p.is_dir()]):
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    program = (
        "import numpy as np\nfrom speechgmm.mixture import GMM, Diagonal\n"
        "g = GMM([1.0], [[0.0]], Diagonal(np.ones((1, 1))))\n"
        "print(g.e_step(np.float64).statistics(np.ones((5, 1))).counts[0])"
    )
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "HOME": str(nowhere / "home"),
        "XDG_CACHE_HOME": str(nowhere / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": "",
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    for folder in (package, *[p for p in package.rglob("*") if p.is_dir()]):
        folder.chmod(stat.S_IRWXU)
    assert done.stdout.strip() == "5.0", done.stderr
