"""Normalization of features over a recording: it removes the channel. Symbols: N frames, D dimensions."""

import numpy as np

from speechgmm.checks import Array

METHODS = ("none", "mean", "mean_variance")


def normalize(x: Array, method: str) -> Array:
    """Return features (N, D) with the mean, or the mean and variance, of each over the frames taken out.

    A feature that is constant over the recording becomes 0.

    Parameters
    ----------
    x : ndarray, shape (N, D)
    method : str
        "none", "mean" (cepstral mean normalization), or "mean_variance".
    """
    if method == "none":
        return x
    centered = x - x.mean(axis=0, dtype=np.float64)
    if method == "mean_variance":
        deviation = np.sqrt(np.einsum("nd,nd->d", centered, centered) / len(x))
        varies = deviation > 1e-6 * np.abs(x).max(axis=0)
        centered *= np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
    return centered.astype(x.dtype)
