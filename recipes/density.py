"""Density estimation: the probability density of data with several modes, and new data drawn from it.

The truth, two moons and a cloud, is known, so that the estimate can be measured: by the Kullback-Leibler divergence
from it, next to one Gaussian and scikit-learn's kernel density at its best bandwidth. A picture of the data, the
density and new data is saved:

    python recipes/density.py [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pictures
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.neighbors import KernelDensity

from speechgmm.mixture import GMM, Spherical, choose, fit_gmm

WINDOW = (-2.0, 3.6, -1.5, 3.2)
"""What is drawn: left, right, bottom, top."""


def truth() -> GMM:
    """Return two moons of 45 % each, as 60 small Gaussians along each arc, and a cloud of 10 %."""
    angle = np.linspace(0, np.pi, 60)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    means = np.concatenate([1.2 * upper, [1.2, 0.4] - 1.2 * upper, [[2.4, 2.2]]])
    weights = np.concatenate([np.full(120, 0.9 / 120), [0.1]])
    return GMM(weights, means, Spherical(np.concatenate([np.full(120, 0.15**2), [0.3**2]])))


def regions(pdf: NDArray[np.float64], share: float = 0.9) -> int:
    """Return how many separate regions hold this share of the probability: `pdf` is given on a grid."""
    levels = np.sort(pdf.ravel())[::-1]
    enough = levels[np.searchsorted(levels.cumsum(), share * levels.sum())]
    return int(label(pdf >= enough)[1])


def run(out: Path) -> dict[str, float]:
    """Fit, print, save the picture, and return what was measured."""
    true = truth()
    x, test = true.sample(1500, seed=1).frames, true.sample(20_000, seed=2).frames
    choice = choose(x, range(6, 15, 2), covariances=["full"], starts=2)
    best = choice.best.model
    new = best.sample(1500, seed=3).frames
    limit = np.quantile(true.log_density(test), 0.05)
    kernels = [KernelDensity(bandwidth=width).fit(x) for width in (0.08, 0.1, 0.12, 0.15, 0.2)]
    entropy = float(true.log_density(test).mean())
    right, up = np.meshgrid(np.linspace(*WINDOW[:2], 225), np.linspace(*WINDOW[2:], 189))
    pdf = np.exp(best.log_density(np.stack([right.ravel(), up.ravel()], axis=1))).reshape(right.shape)
    found = {
        "components": float(best.n_components),
        "divergence": entropy - float(best.log_density(test).mean()),
        "one_gaussian": entropy - float(fit_gmm(x, 1, covariance="full").model.log_density(test).mean()),
        "kernel_density": entropy - max(float(k.score_samples(test[:5000]).mean()) for k in kernels),
        "regions": float(regions(pdf)),
        "new_data_in_place": float((true.log_density(new) >= limit).mean()),
    }
    print(f"The Bayesian information criterion chooses {best.n_components} components.")
    print("Divergence from the truth, in nats per point (less is better):")
    for name in ("divergence", "kernel_density", "one_gaussian"):
        print(f"    {name.replace('divergence', 'mixture').replace('_', ' '):16s}{found[name]:.3f}")
    print(f"90 % of the probability lie in {found['regions']:.0f} separate regions.")
    print(f"{found['new_data_in_place']:.1%} of new data lie where 95 % of true data do.")
    draw((x, new), (right, up, pdf), best, out / "density.png")
    return found


def draw(points: tuple, grid: tuple, model: GMM, picture: Path) -> None:
    """Save data, density and new data side by side."""
    from speechgmm.plot import plot_mixture

    figure, axes = pictures.subplots(1, 3, (15, 4.6), shared=True)
    levels = grid[2].max() * np.linspace(0.02, 1, 12)
    axes[1].contourf(*grid, levels=np.concatenate([[0], levels]), cmap="Blues")
    axes[1].contour(*grid, levels=levels, colors="white", linewidths=0.4)
    for ax, x, title in ((axes[0], points[0], "1500 points"), (axes[2], points[1], "1500 new points")):
        ax.scatter(*x.T, s=5, color="#0b6e99", alpha=0.6, linewidths=0)
        ax.set_title(title)
    plot_mixture(model, deviations=[1.0], ax=axes[2])
    axes[1].set_title(f"Density of {model.n_components} components")
    axes[0].set(xlim=WINDOW[:2], ylim=WINDOW[2:])
    pictures.save(figure, picture)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
