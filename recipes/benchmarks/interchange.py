"""Mixtures and scorers in other programs: the largest difference of a log density, in nats, from what Python computes.

Made mixtures of each kind of covariance, of K components in D dimensions, and frames drawn from them, float32; SciPy's
densities, component by component, in float64, are what is compared with. Kaldi and HTK: written, read and scored here.
scikit-learn: scored there (to), and taken back (from). ONNX: run by onnxruntime. C: compiled with -std=c99 -Wall
-Wextra -Werror -pedantic. Where features are independent, two ways that are not taken stand beside these: constants
rounded to float32, and all arithmetic in float32. With `--manifest` also the speakers of a store: all of
`split=enroll`, by the packaged model, and tests of `split=test`; their mean ratios, and their calibrated LLRs beside
those of `identify`, which scores in float32.

    python recipes/benchmarks/interchange.py [--manifest data/manifest.csv] [--json]
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from speechgmm import SpeakerStore, default_system, enroll, read_corpus
from speechgmm.features import extract_all
from speechgmm.interchange import (
    from_scikit_learn,
    read_htk,
    read_kaldi,
    to_scikit_learn,
    write_c_header,
    write_htk,
    write_kaldi,
    write_onnx,
)
from speechgmm.mixture import GMM, Diagonal
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.speakers import Scorer

SIZES = (1, 2), (16, 13), (256, 60)
"""K and D."""
FRAMES = 500
STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC")
TESTS = 5
Row = dict[str, Any]


def made(kind: str, k: int, d: int, seed: int = 0) -> GMM:
    """Return a mixture of a kind."""
    rng = np.random.default_rng(seed)
    shape = COVARIANCES[kind].shape(k, d)
    parameters = rng.uniform(0.2, 2.0, shape)
    if not COVARIANCES[kind].independent:
        a = rng.normal(size=(*shape[:-1], 2 * d)) / np.sqrt(2 * d)
        parameters = a @ np.swapaxes(a, -1, -2)
    return GMM(rng.dirichlet(np.full(k, 5.0)), rng.normal(0, 2, (k, d)), COVARIANCES[kind](parameters))


def expected(gmm: GMM, x: Any) -> Any:
    """Return log densities by SciPy, component by component."""
    parts = zip(gmm.weights, gmm.means, gmm.covariance_matrices, strict=True)
    return logsumexp([np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in parts], axis=0)


def run_graph(path: Path, x: Any) -> dict[str, Any]:
    """Return what a graph gives, by name."""
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"frames": x.astype(np.float64)}), strict=True))


def compiled(header: Path, *names: str, each: bool) -> dict[str, Callable[[Any, int], Any]]:
    """Compile functions of a header; return what calls each, for `each` frame or for all together."""
    call = "for (int i = 0; i < n; i++) y[i] = a_NAME(x + i * A_DIMENSIONS);" if each else "a_NAME(x, n, y);"
    head = "void ask_NAME(const float *x, int n, double *y)"
    ask = f"{head};\n{head} {{ {call} }}"
    source, library = header.with_suffix(".c"), header.with_suffix(".so")
    source.write_text("\n".join([f'#include "{header.name}"', *(ask.replace("NAME", name) for name in names), ""]))
    subprocess.run(["cc", *STRICT, "-o", str(library), str(source), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))

    def run(name: str, x: Any, results: int) -> Any:
        frames, found = np.ascontiguousarray(x, np.float32), np.empty(results)
        floats, doubles = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_double)
        loaded[f"ask_{name}"](frames.ctypes.data_as(floats), len(frames), found.ctypes.data_as(doubles))
        return found

    return {name: functools.partial(run, name) for name in names}


def mixtures(folder: Path, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Row]:
    """Compare every format for mixtures of every kind."""
    rows: list[Row] = []
    for k, d in sizes:
        for kind in COVARIANCES:
            gmm = made(kind, k, d)
            x = np.float32(gmm.sample(FRAMES).frames)
            found, wanted = of_mixture(gmm, x, folder) | in_float32(gmm, x), expected(gmm, x.astype(np.float64))
            rows += [
                {"format": name, "covariance": kind, "K": k, "D": d, "nats": float(abs(y - wanted).max())}
                for name, y in found.items()
            ]
    return rows


def of_mixture(gmm: GMM, x: Any, folder: Path) -> dict[str, Any]:
    """Return the log densities of frames by format."""
    exact, found = x.astype(np.float64), {}
    for name, write, read in (("Kaldi", write_kaldi, read_kaldi), ("HTK", write_htk, read_htk)):
        write(gmm, folder / name)
        found[name] = read(folder / name).log_density(exact)
    theirs = to_scikit_learn(gmm)
    found["to scikit-learn"] = theirs.score_samples(exact)
    found["from scikit-learn"] = from_scikit_learn(theirs).log_density(exact)
    write_onnx(gmm, folder / "a.onnx")
    found["ONNX"] = run_graph(folder / "a.onnx", x)["log_density"]
    if shutil.which("cc"):
        own = Path(tempfile.mkdtemp(dir=folder))  # a library that is loaded stays as it is
        write_c_header(gmm, own / "a.h")
        found["C"] = compiled(own / "a.h", "log_density", each=True)["log_density"](x, len(x))
    return found


def in_float32(gmm: GMM, x: Any) -> dict[str, Any]:
    """Return the log densities of frames with float32 constants, and by products in float32; of matrices nothing."""
    if not gmm.covariance.independent:
        return {}
    variances = np.broadcast_to(gmm.covariance.deviations() ** 2, gmm.means.shape)
    weights, means, rounded = (np.float64(np.float32(a)) for a in (gmm.weights, gmm.means, variances))
    y = np.float32(x - gmm.origin)
    constant = np.log(gmm.weights) - 0.5 * (np.log(2 * np.pi * variances) + gmm.offsets**2 / variances).sum(axis=1)
    joint = (y * y) @ np.float32(-0.5 / variances.T) + y @ np.float32((gmm.offsets / variances).T)
    return {
        "constants in float32": GMM(weights / weights.sum(), means, Diagonal(rounded)).log_density(
            x.astype(np.float64)
        ),
        "all in float32": logsumexp(joint + np.float32(constant), axis=1),
    }


def speakers(manifest: Path, folder: Path) -> list[Row]:
    """Compare the ratios and LLRs of the speakers of a store."""
    corpus, system = read_corpus(manifest), default_system()
    with SpeakerStore(folder / "s.db", system, create=True) as store:
        enroll(system, store, corpus.where(split="enroll"))
        scorer = Scorer.of(system, store)
    exported = write_onnx(scorer, folder / "s.onnx")
    write_c_header(scorer, folder / "a.h")
    in_c = compiled(folder / "a.h", *exported.outputs, each=False) if shutil.which("cc") else {}
    most: dict[tuple[str, str], float] = {}
    for test in extract_all(system.frontend, list(corpus.where(split="test"))[:TESTS], lambda e: e):
        x = np.array(test.usable())
        wanted = {"scores": scorer.models.ratios(x.astype(np.float64)), "llr": scorer.score_test([test]).scores}
        graph = run_graph(folder / "s.onnx", x)
        for name in exported.outputs:
            found = {"ONNX": graph[name]} | ({"C": in_c[name](x, len(exported.labels))} if in_c else {})
            for program, y in found.items():
                most[program, name] = max(most.get((program, name), 0.0), float(abs(y - wanted[name]).max()))
    size = {"K": system.ubm.n_components, "D": system.ubm.n_dimensions}
    told = {"scores": "ratios", "llr": "LLRs"}
    return [
        {"format": program, "covariance": f"{len(exported.labels)} speakers, {told[name]}", **size, "nats": nats}
        for (program, name), nats in most.items()
    ]


def show(rows: list[Row]) -> None:
    """Print a table."""
    table = Table("format", "covariance", "K", "D", "largest difference, nats")
    for row in rows:
        table.add_row(row["format"], row["covariance"], str(row["K"]), str(row["D"]), f"{row['nats']:.1e}")
    Console().print(table)


def main() -> None:
    """Compare, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="a corpus with the splits enroll and test")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = mixtures(Path(folder)) + (speakers(given.manifest, Path(folder)) if given.manifest else [])
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows)


if __name__ == "__main__":
    main()
