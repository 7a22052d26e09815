"""How often identities are kept: twenty videos of `recipes/track_objects.py`, with brightness and by position alone.

With --constants, ten of them by position alone, which is hard, with half and twice of each constant of the package.

    python recipes/studies/tracking.py [--videos 20]
    python recipes/studies/tracking.py --constants [--videos 10]
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import moving_objects
import track_objects

from speechgmm.mixture import Full
from speechgmm.tracking import track

WAYS = {"position and brightness": 3, "position alone": 2}
"""How many of x, y and brightness are given."""


CONSTANTS = {"track": "SEEN SLACK LOOSE RARE", "points": "REACH NEAR MOVES CLOSE", "objects": "THINNEST SIDE"}
"""By module of `speechgmm.tracking`."""
SETTINGS = {"step": 0.5, "patience": 15, "least": 10.0, "reach": 4.0, "noise": 0.05}
"""The defaults of `track`."""


@functools.cache
def clip(seed: int, frames: int) -> tuple[moving_objects.Video, list[np.ndarray]]:
    """Return a video without its images, and the points of its foreground."""
    truth = moving_objects.video(frames, seed=seed)
    return dataclasses.replace(truth, images=truth.images[:0]), track_objects.foreground(truth.images)


def kept(seed: int, dimensions: int, frames: int = 300, settings: Mapping[str, float] = SETTINGS) -> float:
    """Return the share of a video's frames in which every object in view has its own identity."""
    truth, foreground = clip(seed, frames)
    points = [x[:, :dimensions] for x in foreground]
    corner = [moving_objects.WIDTH, moving_objects.HEIGHT, 100.0][:dimensions]
    start = Full(track_objects.NEW[None, :dimensions, :dimensions])
    tracked = list(track(start, points, region=[[0.0] * dimensions, corner], **settings))
    return moving_objects.identities_kept(truth, tracked)


def run(videos: int = 20, *, frames: int = 300) -> dict[str, list[float]]:
    """Print and return the shares of each video."""
    found = {name: [kept(seed, dimensions, frames) for seed in range(videos)] for name, dimensions in WAYS.items()}
    for name, shares in found.items():
        good = sum(share >= 0.95 for share in shares)
        print(f"{name}: {good} of {videos} videos keep 95 %, mean {np.mean(shares):.2f}", end="")
        print(f", of the first five {np.mean(shares[:5]):.2f}, of the first ten {np.mean(shares[:10]):.2f}")
    return found


def vary(videos: int = 10, *, frames: int = 300) -> dict[str, tuple[float, float]]:
    """Print and return the mean share by position alone, with half of each constant and with twice of it."""
    found = {}

    def tell(name: str, half: float, twice: float) -> None:
        found[name] = half, twice
        print(f"{name}: {half:.2f} with half of it, {twice:.2f} with twice", flush=True)

    def mean(settings: Mapping[str, float] = SETTINGS) -> float:
        return float(np.mean([kept(seed, 2, frames, settings) for seed in range(videos)]))

    print(f"as they are: {mean():.2f}")
    for module, names in CONSTANTS.items():
        place = importlib.import_module(f"speechgmm.tracking.{module}")
        for name in names.split():
            shares, value = [], getattr(place, name)
            for changed in (value / 2, value * 2):
                with mock.patch.object(place, name, type(value)(changed)):
                    shares.append(mean())
            tell(name, *shares)
    for name, value in SETTINGS.items():
        tell(name, *(mean(SETTINGS | {name: type(value)(v)}) for v in (value / 2, value * 2)))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, help="seeds 0, 1, ... (default: 20, or 10)")
    parser.add_argument("--constants", action="store_true", help="half and twice of each constant")
    given = parser.parse_args()
    (vary if given.constants else run)(given.videos or (10 if given.constants else 20))
