"""Moments of single components, for any kind of covariance: what merging and tracking are made of.

Symbols: K components, D dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.mixture.covariance import Covariance

Array = NDArray[Any]

__all__ = ["imagined"]


def imagined(covariance: Covariance, offsets: Array, counts: Array) -> Array:
    """Return the second moments of `counts` (K,) frames imagined in each component, shaped as in its statistics."""
    parts = [n * covariance.take(np.array([k])).imagined(offsets[k : k + 1]) for k, n in enumerate(counts)]
    shared = parts[0].shape == covariance.imagined(offsets).shape
    result: Array = np.sum(parts, axis=0) if shared else np.concatenate(parts)
    return result
