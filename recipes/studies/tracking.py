"""How often identities are kept: twenty videos of `recipes/track_objects.py`, with brightness and by position alone.

python recipes/studies/tracking.py [--videos 20]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import moving_objects
import track_objects

from speechgmm.mixture import Full
from speechgmm.tracking import track

WAYS = {"position and brightness": 3, "position alone": 2}
"""How many of x, y and brightness are given."""


def kept(seed: int, dimensions: int, frames: int = 300) -> float:
    """Return the share of a video's frames in which every object in view has its own identity."""
    truth = moving_objects.video(frames, seed=seed)
    points = [x[:, :dimensions] for x in track_objects.foreground(truth.images)]
    corner = [*truth.images.shape[:0:-1], 100.0][:dimensions]
    start = Full(track_objects.NEW[None, :dimensions, :dimensions])
    return moving_objects.identities_kept(truth, list(track(start, points, region=[[0.0] * dimensions, corner])))


def run(videos: int = 20, *, frames: int = 300) -> dict[str, list[float]]:
    """Print and return the shares of each video."""
    found = {name: [kept(seed, dimensions, frames) for seed in range(videos)] for name, dimensions in WAYS.items()}
    for name, shares in found.items():
        good = sum(share >= 0.95 for share in shares)
        print(f"{name}: {good} of {videos} videos keep 95 %, mean {np.mean(shares):.2f}", end="")
        print(f", of the first five {np.mean(shares[:5]):.2f}, of the first ten {np.mean(shares[:10]):.2f}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=20, help="seeds 0, 1, ... (default: %(default)s)")
    run(parser.parse_args().videos)
