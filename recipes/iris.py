"""Three kinds of iris, found without being told: fit, label, and draw what the mixture found beside the species.

Fisher's table of 150 flowers comes with scikit-learn; this needs no download and takes a second:

    python recipes/iris.py [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pictures
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from speechgmm import GaussianMixture

PETALS = (2, 3)
"""The features drawn: length and width of the petals. The mixture is fitted to all four."""


def run(out: Path) -> dict[str, float]:
    """Fit, print what was found, save a picture, and return how well it agrees with the species.

    The adjusted Rand index is 1 where components are species, 0 by chance; "astray" counts flowers.
    """
    iris = load_iris()
    fitted = GaussianMixture(n_components=3, random_state=0).fit(iris.data)
    labels = fitted.predict(iris.data)
    species = np.array([np.bincount(iris.target[labels == k]).argmax() for k in range(3)])
    index = adjusted_rand_score(iris.target, labels)
    astray = int((species[labels] != iris.target).sum())
    print(f"{'component':12s}{'weight':>7s}{'flowers':>9s}   petal length and width (cm)")
    for k, name in enumerate(iris.target_names[species]):
        length, width = fitted.means_[k, list(PETALS)]
        print(f"{name:12s}{fitted.weights_[k]:7.2f}{(labels == k).sum():9d}   {length:.2f} x {width:.2f}")
    print(f"\nAdjusted Rand index {index:.3f}; {astray} of 150 flowers went to another species.")
    _draw(iris, fitted, species, out / "iris.png")
    return {"adjusted_rand": index, "astray": astray}


def _draw(iris: object, fitted: GaussianMixture, species: np.ndarray, picture: Path) -> None:
    from speechgmm.plot import plot_mixture

    x, names = iris.data, [name.capitalize() for name in iris.target_names]
    found = species[fitted.predict(x)]
    figure, axes = pictures.subplots(1, 2, (12, 5.4), shared=True)
    plot_mixture(None, x, labels=iris.target, names=names, features=PETALS, ax=axes[0])
    plot_mixture(fitted.mixture_, x, labels=found, identities=species, features=PETALS, ax=axes[1])
    astray = x[found != iris.target][:, PETALS]
    ring = {"s": 90, "facecolors": "none", "edgecolors": "#222222", "linewidths": 1.2, "zorder": 5}
    axes[1].scatter(*astray.T, **ring, label="a flower of another species")
    axes[1].legend(frameon=False, loc="upper left")
    axes[0].set(title="The species, as botanists named them", ylabel="petal width (cm)")
    axes[1].set(title="What three Gaussians found, without the names")
    for ax in axes:
        ax.set(xlabel="petal length (cm)")
        ax.spines[["top", "right"]].set_visible(False)
    pictures.save(figure, picture)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
