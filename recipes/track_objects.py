"""Tracking: five objects that cross, hide behind a pillar, come and go, in a video that is generated here.

The pixels that differ from the backdrop, as points of position and brightness, are tracked by a mixture of one
component for each object; pictures are saved. Not every video (--seed) is as easy: where objects cross behind the
pillar, identities may be exchanged (15 of seeds 0 to 19 keep 95 %). A folder of images is tracked the same way:

    python recipes/track_objects.py [--out FOLDER] [--images FOLDER] [--seed N]
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pictures
from moving_objects import identities_kept, video
from numpy.typing import NDArray

from speechgmm.mixture import Full
from speechgmm.tracking import Tracked, track

NEW = np.diag([5.0, 5.0, 2.0]) ** 2
"""What a new object looks like: 5 pixels of deviation right and up, 2 hundredths of brightness."""


def run(out: Path, *, images: Path | None = None, seed: int = 0) -> dict[str, float]:
    """Track, print, save the pictures, and return what was measured."""
    truth = None if images else video(seed=seed)
    frames = read(images) if images else truth.images
    points, corner, start = foreground(frames), [*frames.shape[:0:-1], 100.0], time.process_time()
    tracked = list(track(Full(NEW[None]), points, region=[[0.0, 0.0, 0.0], corner]))
    speed = len(frames) / (time.process_time() - start)
    found = {"objects": float(len({i for t in tracked for i in t.identities.tolist()})), "frames_per_second": speed}
    print(f"{found['objects']:.0f} objects in {len(frames)} frames, {speed:.0f} frames per second on one core.")
    if truth:
        found["identities_kept"] = identities_kept(truth, tracked)
        print(f"In {found['identities_kept']:.1%} of the frames every object in view has its own identity.")
    draw(frames, tracked, out)
    return found


def read(folder: Path) -> NDArray[np.float32]:
    """Return the images of a folder in the order of their names, as brightness of 0 to 1, shape (T, height, width)."""
    from PIL import Image

    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in Image.registered_extensions())
    images = [np.asarray(Image.open(file).convert("L"), dtype=np.float32) / 255 for file in files]
    if len({image.shape for image in images}) != 1:
        raise SystemExit(f"{folder} must hold images of one size; got {len(images)} images.")
    return np.array(images)


def foreground(frames: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return x, y and brightness (in hundredths) of the pixels that are not like the median of their place."""
    places = map(np.nonzero, np.abs(frames - backdrop(frames)) > 0.15)
    pairs = zip(frames, places, strict=True)
    return [np.stack([x, y, 100 * frame[y, x]], axis=1).astype(float) for frame, (y, x) in pairs]


def backdrop(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of each place over some 60 of the images."""
    return np.median(frames[:: max(1, len(frames) // 60)], axis=0)


def draw(frames: NDArray[np.float32], tracked: list[Tracked], out: Path) -> None:
    """Save the paths, and an animation of every third frame, without the faint noise that makes files large."""
    from matplotlib import pyplot as plt

    from speechgmm.plot import plot_mixture, plot_tracks

    height, width = frames.shape[1:]

    def scene(i: int, ax: plt.Axes) -> None:
        ax.clear()
        ax.imshow(frames[i], cmap="gray", vmin=0, vmax=1)
        if tracked[i].mixture is not None:
            plot_mixture(tracked[i].mixture, identities=tracked[i].identities, deviations=[2.0], ax=ax)
        ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])

    figure, axes = pictures.subplots(1, 2, (13, 5.2))
    scene(len(frames) // 2, axes[0])
    axes[0].set_title(f"Frame {len(frames) // 2}, ellipses of two deviations")
    plot_tracks(tracked, ax=axes[1])
    axes[1].set(xlim=(0, width), ylim=(height, 0), aspect="equal", title="Paths (dotted: hidden)")
    pictures.save(figure, out / "track_objects.png")
    still = backdrop(frames)
    frames = np.where(np.abs(frames - still) > 0.15, frames, still)
    figure, ax = plt.subplots(figsize=(4, 4 * height / width))
    figure.subplots_adjust(0, 0, 1, 1)
    pictures.animate(figure, lambda i: scene(i, ax), range(0, len(frames), 3), out / "track_objects.gif")


if __name__ == "__main__":
    parser = pictures.options(__doc__)
    parser.add_argument("--images", type=Path, help="a folder of images of one size, in the order of their names")
    parser.add_argument("--seed", type=int, default=0, help="another video (default: 0)")
    run(**vars(parser.parse_args()))
