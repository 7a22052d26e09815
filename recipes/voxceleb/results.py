"""What came out of the trials of VoxCeleb, and what others have published."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

import speechgmm
from speechgmm.errors import Skipped

__all__ = ["PUBLISHED", "Result", "show"]

PUBLISHED = {
    "GMM-UBM, 1024 components (Nagrani, Chung & Zisserman 2017)": 15.0,
    "GMM-UBM, 512 components, Bob (its documentation)": 18.8,
    "i-vectors and PLDA, Kaldi (its recipe)": 5.3,
}
"""EER in %, on the first list of trials, `veri_test.txt`."""


@dataclass(frozen=True)
class Result:
    """What came out of the trials, and the recordings that could not be used in training and in scoring."""

    evaluation: speechgmm.Evaluation
    skipped: tuple[Skipped, ...]


def show(result: Result) -> None:
    """Print the error rates, beside what others have published."""
    e = result.evaluation
    table = Table("", "EER %", "min DCF, prior 0.01")
    within = e.intervals.get("eer")
    spread = "" if within is None else f" ({100 * within.low:.1f} to {100 * within.high:.1f})"
    table.add_row("this model", f"{100 * e.eer:.1f}{spread}", f"{e.min_dcf:.3f}")
    for name, eer in PUBLISHED.items():
        table.add_row(name, f"{eer:.1f}", "")
    Console().print(table)
    for s in result.skipped:
        Console(stderr=True).print(f"left out {s.name}: {s.reason}", markup=False)
