"""What the recipes on real speech share: their arguments, their table, and the numbers they expect."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import corpora
from rich.console import Console
from rich.table import Table

from speechgmm.evaluation import Evaluation

__all__ = ["manifest_of", "show"]


def manifest_of(recipe: Path, description: str | None) -> Path:
    """Read the command line, prepare the recipe's corpus, and return its manifest."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a prepared copy of the corpus; without it, it is downloaded")
    parser.add_argument("--source", help="where to download from (default: the source repository at its commit)")
    parser.add_argument("--cache", type=Path, help="where to keep the download (default: the user's cache folder)")
    given = parser.parse_args()
    console = Console(stderr=True)

    def progress(done: int, total: int, path: str) -> None:
        if console.is_terminal:
            end = "\r" if done < total else "\n"
            console.print(f"{done} of {total} {path}", end=end, overflow="ellipsis", no_wrap=True)

    return corpora.prepare(recipe, data=given.data, source=given.source, cache=given.cache, on_progress=progress)


def show(recipe: Path, results: Mapping[str, Evaluation]) -> None:
    """Print the error rates of each way of testing, with what the recipe expects beside them."""
    expected = json.loads((recipe / "expected.json").read_text(encoding="utf-8"))
    table = Table()
    for column in ("tests", "number", "EER %", "expected", "id. %", "expected", "min DCF"):
        table.add_column(column, justify="left" if column == "tests" else "right")
    for name, result in results.items():
        rates = [(result.eer, "eer"), (result.identification_rate or 0.0, "identification_rate")]
        cells = [c for rate, key in rates for c in (f"{100 * rate:.1f}", _band(expected.get(name, {}).get(key)))]
        table.add_row(name, str(result.tests), *cells, f"{result.min_dcf:.3f}")
    Console().print(table)


def _band(band: list[float] | None) -> str:
    return "" if band is None else f"{100 * band[0]:g}-{100 * band[1]:g}"
