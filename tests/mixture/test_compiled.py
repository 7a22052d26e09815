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

from speechgmm.mixture import GMM, Diagonal
from speechgmm.mixture.compiled.loops import exp
from speechgmm.mixture.e_step import EStep
from tests import laws, oracle

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


def differences(gmm: GMM, x: np.ndarray) -> list[float]:
    """Return how far the compiled statistics are from the plain float64 ones: nats a frame, then relative norms."""
    fast = gmm.statistics(x)
    plain = EStep(gmm.covariance, gmm.weights, gmm.offsets, gmm.origin).statistics(x.astype(float))
    pairs = [(getattr(fast, n), getattr(plain, n)) for n in ("counts", "first", "second")]
    norms = [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs]
    return [abs(fast.mean_log_likelihood - plain.mean_log_likelihood), *norms]


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


def test_the_log_density_is_the_oracles() -> None:
    gmm = speechlike(5, 4)
    x = gmm.sample(300).frames
    expected = [oracle.log_density(row, laws.plain(gmm)) for row in oracle.rows(x)]
    laws.close(gmm.log_density(x), expected, rtol=1e-12)
    laws.close(gmm.log_density(x.astype(np.float32)), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_do_not_matter(scale: float, dtype: type) -> None:
    gmm = speechlike(20, 3)
    x = gmm.sample(500).frames.astype(dtype)
    scaled = GMM(gmm.weights, gmm.means * scale, Diagonal(gmm.covariance.variances * scale**2), gmm.origin)
    here, there = gmm.statistics(x), scaled.statistics((x * dtype(scale)).astype(dtype))
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    laws.close(there.counts, here.counts, rtol=rtol, atol=rtol)
    laws.close(there.first / scale, here.first, rtol=rtol, atol=100 * rtol)
    laws.close(there.mean_log_likelihood + 3 * np.log(scale), here.mean_log_likelihood, rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_sum_to_the_frames(dtype: type) -> None:
    gmm = speechlike(300, 20)
    s = gmm.statistics(gmm.sample(2000).frames.astype(dtype))
    laws.close(s.counts.sum(), 2000, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x[::-1][::-1]])
def test_any_layout_of_the_frames_gives_the_same_bits(layout: object) -> None:
    gmm = speechlike(16, 6)
    x = gmm.sample(600).frames.astype(np.float32)
    assert gmm.statistics(layout(x)).second.tobytes() == gmm.statistics(x).second.tobytes()  # type: ignore[operator]


def test_frames_that_may_not_be_written_are_read() -> None:
    gmm = speechlike(4, 3)
    x = gmm.sample(50).frames
    expected = gmm.statistics(x).counts
    x.setflags(write=False)
    np.testing.assert_array_equal(gmm.statistics(x).counts, expected)


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
        "g = GMM([1.0], [[0.0]], Diagonal(np.ones((1, 1))))\nprint(g.statistics(np.ones((5, 1))).counts[0])"
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
