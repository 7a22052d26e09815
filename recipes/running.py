"""What the recipes on real recordings share: their arguments, their tables, and the numbers they expect."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import corpora
import pictures
from rich.console import Console
from rich.table import Table

import speechgmm
from speechgmm.classification import Classification
from speechgmm.evaluation import Evaluation, Scores

__all__ = ["arguments", "manifest", "scored", "show_classifications", "show_evaluations"]


def arguments(
    description: str | None, *, picture: str = "", more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Read the command line; some recipes draw a picture, into a file of this name by default, or take more."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a prepared copy of the corpus; without it, it is downloaded")
    parser.add_argument("--source", help="where to download from (default: the source repository at its commit)")
    parser.add_argument("--cache", type=Path, help="where to keep the download (default: the user's cache folder)")
    if picture:
        parser.add_argument("--picture", type=Path, default=Path(picture), help="default: %(default)s")
    if more:
        more(parser)
    return parser.parse_args()


def manifest(recipe: Path, given: argparse.Namespace, copy: str = "") -> Path:
    """Prepare the corpus of a recipe, or find its copy in the folder `copy` of the data, and return its manifest."""
    console = Console(stderr=True)

    def progress(done: int, total: int, path: str) -> None:
        if console.is_terminal:
            end = "\r" if done < total else "\n"
            console.print(f"{done} of {total} {path}", end=end, overflow="ellipsis", no_wrap=True)

    data = given.data / copy if given.data else None
    return corpora.prepare(recipe, data=data, source=given.source, cache=given.cache, on_progress=progress)


def scored(system: speechgmm.System, corpus: speechgmm.Corpus) -> Scores:
    """Return the scores of all tests of a corpus (split=test) against all whom it enrolls (split=enroll)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        return speechgmm.score_corpus(system, store, corpus.where(split="test")).scores


def show_evaluations(recipe: Path, results: Mapping[str, Evaluation]) -> None:
    """Print the error rates of each way of testing, with what the recipe expects beside them."""
    expected, rows = _expected(recipe), []
    for name, result in results.items():
        rates = [(result.eer, "eer"), (result.identification_rate or 0.0, "identification_rate")]
        cells = [c for rate, key in rates for c in (f"{100 * rate:.1f}", _band(expected.get(name, {}), key))]
        rows.append((name, str(result.tests), *cells, f"{result.min_dcf:.3f}"))
    _print(("tests", "number", "EER %", "expected", "id. %", "expected", "min DCF"), rows)


def show_classifications(recipe: Path, results: Mapping[str, Classification], picture: Path) -> None:
    """Print how often each way was right, beside what the recipe expects, and draw the first confusion matrix."""
    from speechgmm.plot import plot_confusion

    expected, rows = _expected(recipe), []
    for name, result in results.items():
        rate = result.accuracy
        interval = f"{100 * rate.low:.1f}-{100 * rate.high:.1f}"
        cells = (f"{100 * rate.estimate:.1f}", interval, _band(expected[name], "accuracy"))
        rows.append((name, str(len(result.truth)), *cells))
    _print(("", "files", "right %", "95 % interval", "expected"), rows)
    pictures.without_display()
    pictures.save(plot_confusion(next(iter(results.values())).confusion).figure, picture, dpi=150)


def _expected(recipe: Path) -> dict[str, Any]:
    return json.loads((recipe / "expected.json").read_text(encoding="utf-8"))


def _band(expected: Mapping[str, Any], key: str) -> str:
    low, high = expected.get(key) or (None, None)
    return "" if low is None else f"{100 * low:g}-{100 * high:g}"


def _print(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table whose first column is flush left."""
    table = Table()
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
