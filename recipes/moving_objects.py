"""A generated video for `track_objects.py`: five ellipses that cross one another, pass behind a pillar, come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from speechgmm.tracking import Tracked

__all__ = ["HEIGHT", "WIDTH", "Video", "identities_kept", "video"]

WIDTH, HEIGHT, PILLAR = 320, 240, (150, 172)
"""Pixels; the pillar covers these columns."""


@dataclass(frozen=True, eq=False)
class Video:
    """Images (T, height, width) of 0 to 1, and what is true: centers (T, 5, 2) as x and y, visible (T, 5) as shares."""

    images: NDArray[np.float32]
    centers: NDArray[np.float64]
    visible: NDArray[np.float64]


def video(frames: int = 300, *, seed: int = 0) -> Video:
    """Draw the video; other seeds give other paths, sizes and speckles.

    Objects move on sums of slow sines, nearer ones cover those behind them, and the pillar covers them all. The fourth
    is gone for good after two thirds of the time, the fifth comes after one sixth. One pixel in 500 flickers.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None]
    room = np.array([WIDTH, HEIGHT]) / 2
    pace = rng.uniform(0.018, 0.040, (2, 5, 2)) * [[[1.0]], [[1.7]]]
    phase = rng.uniform(0, 2 * np.pi, (2, 5, 2))
    swing = np.array([0.62, 0.20])[:, None, None, None] * np.sin(pace[:, None] * t + phase[:, None])
    centers = room * (1 + swing.sum(axis=0))
    axes, angle = rng.uniform(7.0, 13.0, (5, 2)), rng.uniform(0, np.pi, 5)
    there = np.ones((frames, 5), dtype=bool)
    there[2 * frames // 3 :, 3], there[: frames // 6, 4] = False, False
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    pillar = (x >= PILLAR[0]) & (x < PILLAR[1])
    backdrop = 0.25 + 0.1 * np.sin(x / 37) * np.cos(y / 29) + 0.25 * pillar
    images, visible = np.empty((frames, HEIGHT, WIDTH), dtype=np.float32), np.zeros((frames, 5))
    for i in range(frames):
        image, owner = backdrop.copy(), np.full(x.shape, -1)
        for k in np.flatnonzero(there[i]):
            inside = _ellipse(x, y, centers[i, k], axes[k], angle[k])
            image[inside], owner[inside] = 0.7 + 0.06 * k, k
            visible[i, k] = inside.sum()
        image[pillar], owner[pillar] = backdrop[pillar], -1
        visible[i] = [(owner == k).sum() / max(visible[i, k], 1) for k in range(5)]
        flicker = rng.random(x.shape) < 0.002
        image[flicker] = rng.random(int(flicker.sum()))
        images[i] = np.clip(image + rng.normal(0, 0.02, x.shape), 0, 1)
    return Video(images, centers, visible)


def _ellipse(x: NDArray, y: NDArray, center: NDArray, axes: NDArray, angle: float) -> NDArray[np.bool_]:
    u = (x - center[0]) * np.cos(angle) + (y - center[1]) * np.sin(angle)
    v = (y - center[1]) * np.cos(angle) - (x - center[0]) * np.sin(angle)
    result: NDArray[np.bool_] = (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1
    return result


def identities_kept(video: Video, tracked: Sequence[Tracked], *, reach: float = 15.0) -> float:
    """Return the share of frames in which every object in view has the identity that it had when it was first found.

    An object is in view where at least half of it is, and is found by the nearest component within `reach` pixels.
    """
    first: dict[int, int] = {}
    right = []
    for centers, visible, result in zip(video.centers, video.visible, tracked, strict=True):
        there = np.flatnonzero(visible >= 0.5)
        means = np.zeros((0, 2)) if result.mixture is None else result.mixture.means[:, :2]
        distance = np.linalg.norm(centers[there, None] - means, axis=2)
        pairs = zip(*linear_sum_assignment(np.where(distance > reach, 1e6, distance)), strict=True)
        found = {int(there[i]): int(result.identities[j]) for i, j in pairs if distance[i, j] <= reach}
        first = found | first
        right.append(all(found.get(int(k)) == first.get(int(k), -1) for k in there))
    return float(np.mean(right))
