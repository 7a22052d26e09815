"""What the recipes of classification share: their arguments, their table, their picture, the numbers they expect."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import corpora
from rich.console import Console
from rich.table import Table

from speechgmm.classification import Classification

__all__ = ["arguments", "manifest", "show"]


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a prepared copy of the corpus; without it, it is downloaded")
    parser.add_argument("--source", help="where to download from (default: the source repository at its commit)")
    parser.add_argument("--cache", type=Path, help="where to keep the download (default: the user's cache folder)")
    parser.add_argument("--picture", type=Path, default=Path("confusion.png"), help="default: %(default)s")
    return parser.parse_args()


def manifest(recipe: Path, given: argparse.Namespace, data: Path | None) -> Path:
    """Prepare the corpus of a recipe, or find it in its copy `data`, and return its manifest."""
    return corpora.prepare(recipe, data=data, source=given.source, cache=given.cache)


def show(recipe: Path, results: Mapping[str, Classification], picture: Path) -> None:
    """Print how often each way was right, beside what the recipe expects, and draw the first confusion matrix."""
    import matplotlib as mpl

    mpl.use("agg")
    from speechgmm.plot import plot_confusion

    expected = json.loads((recipe / "expected.json").read_text(encoding="utf-8"))
    table = Table()
    for column in ("", "files", "right %", "95 % interval", "expected"):
        table.add_column(column, justify="right" if column else "left")
    for name, result in results.items():
        rate, band = result.accuracy, expected[name].get("accuracy")
        interval = f"{100 * rate.low:.1f}-{100 * rate.high:.1f}"
        cells = (f"{100 * rate.estimate:.1f}", interval, f"{100 * band[0]:g}-{100 * band[1]:g}" if band else "")
        table.add_row(name, str(len(result.truth)), *cells)
    Console().print(table)
    plot_confusion(next(iter(results.values())).confusion).figure.savefig(picture, dpi=150)
