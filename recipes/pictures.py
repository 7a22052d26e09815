"""What the recipes that draw share: the folder that their pictures go to, figures without a display, and saving."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["options", "save", "subplots"]


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a recipe, with the folder for pictures."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for pictures (default: results)")
    return parser


def subplots(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    shared: bool = False,
    width_ratios: Sequence[float] | None = None,
) -> tuple[Any, Any]:
    """Return a figure of so many inches and its axes, which share their limits if wanted."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt.subplots(
        rows, columns, figsize=size, layout="constrained", sharex=shared, sharey=shared, width_ratios=width_ratios
    )


def save(figure: Any, path: Path, *, dpi: int = 110) -> None:
    """Save a figure in a folder that is made if need be, close it, and say where it is."""
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    print(f"Picture: {path}")
