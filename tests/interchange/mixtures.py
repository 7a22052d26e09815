"""Mixtures of every kind of covariance, frames, and densities by SciPy: what the tests of this folder share."""

from __future__ import annotations

import shutil
import subprocess
from ctypes import CDLL, POINTER, c_double, c_float, c_int
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from speechgmm.features import Extracted, FrontEnd, Recording
from speechgmm.mixture import GMM
from speechgmm.mixture.covariance import COVARIANCES, Covariance
from tests.laws import tenths

Array = NDArray[Any]
KINDS = tuple(COVARIANCES)
WITHIN = 1e-5
"""Nats that a log density may be off by in another program."""
COMPILER = shutil.which("cc")


@st.composite
def mixtures(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> GMM:
    """Mixtures of up to four components in three dimensions, of weights that may be 0, about any origin near by."""
    k, d = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shares = draw(nps.arrays(float, k, elements=st.integers(0, 9)))
    shares[draw(st.integers(0, k - 1))] += 1
    means = draw(nps.arrays(float, (k, d), elements=tenths(-50, 50)))
    kind = draw(st.sampled_from(kinds))
    shape = COVARIANCES[kind].shape(k, d)
    if COVARIANCES[kind].independent:
        parameters = draw(nps.arrays(float, shape, elements=tenths(0.1, 40)))
    else:
        a = draw(nps.arrays(float, shape, elements=tenths(-3, 3)))
        parameters = a @ np.swapaxes(a, -1, -2) + 0.1 * np.eye(d)
    origin = draw(st.none() | nps.arrays(float, d, elements=tenths(-30, 30)))
    return GMM(shares / shares.sum(), means, COVARIANCES[kind](parameters), origin)  # type: ignore[call-arg]


@st.composite
def problems(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> tuple[GMM, Array]:
    """A mixture and frames that float holds exactly."""
    gmm = draw(mixtures(kinds))
    shape = st.tuples(st.integers(1, 8), st.just(gmm.n_dimensions))
    return gmm, draw(nps.arrays(float, shape, elements=st.integers(-400, 400).map(lambda i: i / 4)))


def a_mixture(kind: str, k: int = 5, d: int = 4, seed: int = 0) -> GMM:
    """One mixture of a kind."""
    rng = np.random.default_rng(seed)
    shape = COVARIANCES[kind].shape(k, d)
    parameters = rng.uniform(0.2, 2.0, shape)
    if not COVARIANCES[kind].independent:
        a = rng.normal(size=shape)
        parameters = a @ np.swapaxes(a, -1, -2) + 0.2 * np.eye(d)
    covariance: Covariance = COVARIANCES[kind](parameters)  # type: ignore[call-arg]
    return GMM(rng.dirichlet(np.ones(k)), rng.normal(0, 3, (k, d)), covariance)


def some_frames(d: int, n: int = 50, seed: int = 1) -> Array:
    """Frames as front ends give them, float32."""
    return np.random.default_rng(seed).normal(0, 4, (n, d)).astype(np.float32)


def one_recording(x: Array, frontend: FrontEnd) -> Extracted:
    """Frames as one recording that nobody has enrolled."""
    return Extracted(Recording("", "", "test"), x, "a digest of its own", frontend.seconds(x))


def expected(gmm: GMM, x: Array) -> Array:
    """The log densities of frames by SciPy, component by component."""
    used = np.flatnonzero(gmm.weights)
    matrices = gmm.covariance_matrices
    every = [
        np.log(gmm.weights[k]) + np.atleast_1d(multivariate_normal(gmm.means[k], matrices[k]).logpdf(x)) for k in used
    ]
    return np.asarray(logsumexp(np.stack(every), axis=0))


def off(found: Array, wanted: Array) -> float:
    """The largest difference in nats; of densities beyond a million nats, that share of them that doubles resolve."""
    return float((np.abs(found - wanted) / np.maximum(1.0, 1e-6 * np.abs(wanted))).max())


def told(record_property: Any, name: str, value: float) -> None:
    """Print and record the largest difference of a round trip, in nats."""
    record_property(f"{name}, nats", value)
    print(f"{name}: largest difference {value:.1e} nats")


SIGNATURES = {
    "log_density": ("double", "(const float *x)", "(x)"),
    "scores": ("void", "(const float *x, int n, double *found)", "(x, n, found)"),
    "llr": ("void", "(const float *x, int n, double *found)", "(x, n, found)"),
    "log_posteriors": ("void", "(const float *x, int n, double *found)", "(x, n, found)"),
}


class Compiled:
    """A header that cc has compiled, all warnings being errors, and its functions."""

    def __init__(self, header: Path, prefix: str, outputs: tuple[str, ...], labels: int) -> None:
        if COMPILER is None:
            pytest.skip("there is no C compiler (cc)")
        lines = [f'#include "{header.name}"']
        for name in outputs:
            back, takes, given = SIGNATURES[name]
            call = f"{prefix}_{name}{given};"
            lines += [f"{back} ask_{name}{takes};"]
            lines += [f"{back} ask_{name}{takes} {{ {'return ' if back == 'double' else ''}{call} }}"]
        source, library = header.with_suffix(".c"), header.with_suffix(".so")
        source.write_text("\n".join([*lines, ""]))
        strict = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic")
        command = [COMPILER, *strict, "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        self._library, self._labels = CDLL(str(library)), labels

    def log_density(self, x: Array) -> Array:
        """Ask for each frame."""
        ask = self._library.ask_log_density
        ask.restype = c_double
        return np.array([ask(np.ascontiguousarray(row, np.float32).ctypes.data_as(POINTER(c_float))) for row in x])

    def __call__(self, name: str, x: Array) -> Array:
        """Ask for what is of all frames together."""
        frames, found = np.ascontiguousarray(x, np.float32), np.full(self._labels, np.nan)
        pointers = frames.ctypes.data_as(POINTER(c_float)), found.ctypes.data_as(POINTER(c_double))
        getattr(self._library, f"ask_{name}")(pointers[0], c_int(len(frames)), pointers[1])
        return found
