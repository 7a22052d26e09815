"""Repeat the tests marked `numeric` as other processors compute them: python .ci/kernels.py

OpenBLAS and numpy choose their loops by the processor, and numba compiles for it. Results therefore differ between
machines in their last bits, and those of float32 in their last digits. Each turn below takes other loops than this
processor's own, which the whole test suite runs with. A turn that this processor cannot run, or whose kernel has had
its turn, is left out, and the output says so. The first failure ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

TURNS = (
    ("Prescott", "generic", 1),
    ("Haswell", "haswell", 2),
    ("SkylakeX", "", 1),
    ("Zen", "", 2),
)
"""OpenBLAS's kernel, the processor that numba compiles for (or this one), and how many cores may be used.

With numba's generic processor, numpy and the C library do without AVX as well: that is every x86-64 processor.
"""
PEERS = "not librosa"
"""The whole suite compares with it, too; to begin with librosa takes 20 s in each turn."""
PROBE = """
import numpy, scipy.linalg
from threadpoolctl import threadpool_info
for dtype in ("float32", "float64"):
    x = numpy.eye(200, dtype=dtype) + numpy.ones((200, 200), dtype) / 200
    scipy.linalg.cholesky(x @ x.T), numpy.linalg.inv(x[:, :7].T @ x[:, :7])
print(*sorted({i["architecture"] for i in threadpool_info() if i["internal_api"] == "openblas"}), end="")
"""
LOOPS = "import numpy; print(*numpy.show_config('dicts')['SIMD Extensions'].get('found', []), end='')"


def said(program: str, **variables: str) -> str:
    """Return what a program prints, or nothing where an instruction that this processor lacks has killed it."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | variables, stdout=subprocess.PIPE, text=True
    )
    if done.returncode > 0:
        sys.exit(done.returncode)
    return "" if done.returncode else done.stdout


def variables(kernel: str, numba: str) -> dict[str, str]:
    """Return the environment of a turn."""
    chosen = {"OPENBLAS_CORETYPE": kernel}
    if numba:
        chosen |= {"NUMBA_CPU_NAME": numba, "NUMBA_CPU_FEATURES": ""}
    if numba == "generic":
        chosen |= {"NPY_DISABLE_CPU_FEATURES": said(LOOPS), "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}
    return chosen


def main() -> int:
    """Take the turns, and return the status of the first that failed, or 0."""
    all_cores = sorted(os.sched_getaffinity(0))
    own = said(PROBE)
    seen = {own}
    print(f"-- this processor's own kernel is {own}: the whole test suite takes it", flush=True)
    for kernel, numba, cores in TURNS:
        runs = said(PROBE, OPENBLAS_CORETYPE=kernel)
        if not runs or runs in seen:
            why = f"it is {runs} in these libraries, which has its turn" if runs else "this processor cannot run it"
            print(f"-- {kernel}: left out, {why}", flush=True)
            continue
        seen.add(runs)
        print(f"-- {kernel}: OpenBLAS runs {runs}, numba {numba or 'this processor'}, cores {cores}", flush=True)
        start = time.monotonic()
        pytest = [sys.executable, "-m", "pytest", "-q", "-m", "numeric", "-k", PEERS, "tests"]
        os.sched_setaffinity(0, all_cores[:cores])  # processes that are started from here inherit it
        status = subprocess.run([*pytest, *sys.argv[1:]], env=os.environ | variables(kernel, numba)).returncode
        os.sched_setaffinity(0, all_cores)
        print(f"-- {kernel}: {'failed' if status else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
