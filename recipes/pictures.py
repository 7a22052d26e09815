"""What the recipes that draw share: the folder that their pictures go to, figures without a display, and saving."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["animate", "options", "save", "subplots", "without_display"]


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
    without_display()
    from matplotlib import pyplot as plt

    return plt.subplots(
        rows, columns, figsize=size, layout="constrained", sharex=shared, sharey=shared, width_ratios=width_ratios
    )


def without_display() -> None:
    """Draw into files alone."""
    import matplotlib as mpl

    mpl.use("agg")


def save(figure: Any, path: Path, *, dpi: int = 80) -> None:
    """Save a figure in a folder that is made if need be, close it, and say where it is."""
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    print(f"Picture: {path}")


def animate(figure: Any, draw: Callable[[int], None], frames: Sequence[int], path: Path, *, dpi: int = 80) -> None:
    """Save a GIF of what `draw` draws for each frame, ten in a second, close the figure, and say where it is.

    Its palette is shades of gray and the colors of components, pure and mixed with grays.
    """
    from matplotlib import pyplot as plt
    from matplotlib.colors import to_rgb
    from PIL import Image

    from speechgmm.plot.axes import COLORS

    grays, pure = np.linspace(0, 1, 48)[:, None].repeat(3, axis=1), np.array([to_rgb(c) for c in COLORS[:8]])
    mixed = [share * pure + (1 - share) * gray for share in (0.14, 0.5) for gray in (0.2, 0.75, 1.0)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * np.concatenate([grays, pure, *mixed])).astype(np.uint8).tobytes())
    images = []
    figure.set_dpi(dpi)
    for i in frames:
        draw(i)
        figure.canvas.draw()
        image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
        images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, loop=0)
    plt.close(figure)
    print(f"Animation: {path}")
