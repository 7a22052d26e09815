"""A training that is killed at random moments and resumed, beside one that is left alone: the same bytes.

    python recipes/benchmarks/resume.py CORPUS [--where COLUMN=VALUE ...] [--components K ...] [--kills 10] [--seed 0]
    python recipes/benchmarks/resume.py --cost       what keeping an iteration costs, and the digest

Each run of `speechgmm train --resume` is killed (SIGKILL) at a moment drawn from the time that an uninterrupted one
takes, until there were so many kills; a training that ends before is compared, and another one begun. With
SPEECHGMM_CACHE=FOLDER features are kept between the runs. Exit status 1 if any byte differs.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from speechgmm.features import OwnFeatures, TrainingFrames
from speechgmm.mixture import GMM, ArrayBlocks, Diagonal, Fit
from speechgmm.speakers.checkpoints import Checkpoints, Plan


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", help="as `speechgmm train` takes it")
    parser.add_argument("--cost", action="store_true", help="measure what it costs, and no more")
    parser.add_argument("--where", nargs="*", default=[], help="rows to keep (default: all)")
    parser.add_argument("--components", nargs="*", type=int, default=[16], help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    given = parser.parse_args()
    if not (given.cost or given.corpus):
        parser.error("give a corpus, or --cost")
    return given


def cost() -> None:
    """Print how long it takes to write a mixture after its twentieth iteration, and to tell frames from all others."""
    rng, d, n = np.random.default_rng(0), 60, 1_000_000
    x, frontend = np.zeros((n, d), np.float32), OwnFeatures(dimensions=d)
    began = time.perf_counter()
    Plan.of(TrainingFrames(frontend, ArrayBlocks(x), x, (), 0.0, ()), frontend)
    print(f"the digest of {n} frames of {d} features, once: {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as name:
        kept = Checkpoints(Path(name) / "c")
        kept.begin(Plan({}, ""), resume=False)
        for k in (64, 256, 2048):
            model = GMM(np.full(k, 1 / k), rng.normal(size=(k, d)), Diagonal(rng.uniform(0.5, 2, (k, d))))
            so_far = Fit(model, tuple(np.linspace(-80.0, -70.0, 20)), ({},) * 20, converged=False)
            times = []
            for _ in range(50):
                began = time.perf_counter()
                kept.keep(f"{k}", so_far)
                times.append(time.perf_counter() - began)
            size = sum(path.stat().st_size for path in kept.folder.glob(f"{k}.*"))
            print(f"K = {k}, {d} features: {1000 * statistics.median(times):.1f} ms, {size / 1000:.0f} kB")


def command(given: argparse.Namespace, model: Path) -> list[str]:
    """Return the command that trains a model."""
    rows = [word for condition in given.where for word in ("--where", condition)]
    sizes = [word for k in given.components for word in ("--components", str(k))]
    return [sys.executable, "-m", "speechgmm", "train", given.corpus, "-o", str(model), *rows, *sizes]


def killed(train: list[str], model: Path, seconds: float | None = None) -> bool:
    """Train, for so many seconds at most; whether it had to be killed. Recordings that are left out are no failure."""
    process = subprocess.Popen(train, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    if not model.exists():
        sys.exit(f"the training left with exit status {process.returncode} and no model:\n{told}")
    return False


def main() -> None:
    """Train, then train with kills, and compare."""
    given = arguments()
    if given.cost:
        cost()
        return
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        plain, model = Path(name) / "plain.sgmm", Path(name) / "killed.sgmm"
        began = time.monotonic()
        killed(command(given, plain), plain)
        whole = time.monotonic() - began
        print(f"uninterrupted: {whole:.1f} s, {plain.stat().st_size} bytes", flush=True)
        train, kills, trainings, equal = [*command(given, model), "--resume"], 0, 0, True
        while kills < given.kills:
            model.unlink(missing_ok=True)
            while kills < given.kills and not model.exists():
                seconds = moments.uniform(0, whole)
                if killed(train, model, seconds):
                    kills += 1
                    kept = sum(path.suffix == ".safetensors" for path in Path(f"{model}.checkpoint").glob("*"))
                    print(f"kill {kills} after {seconds:.1f} s, {kept} files kept", flush=True)
            if not model.exists():
                killed(train, model)
            same = model.read_bytes() == plain.read_bytes()
            trainings, equal = trainings + 1, equal and same
            print(f"training {trainings} has ended: {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
    print(f"{kills} kills in {trainings} trainings: {'the same bytes' if equal else 'OTHER BYTES'}")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
