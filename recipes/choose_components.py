"""How many components? Criteria over component counts and kinds of covariance, and merging what is too much.

The data are 900 points of five correlated clusters of different sizes. A picture of the criteria and of the mixture
that is chosen is saved:

    python recipes/choose_components.py [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pictures
from sklearn.metrics import adjusted_rand_score

from speechgmm.mixture import GMM, Choice, Full, Reduction, Sample, choose, reduce

TRUTH = GMM(
    [0.3, 0.25, 0.2, 0.15, 0.1],
    [[-4.0, 2.0], [0.0, -2.5], [4.5, 2.0], [0.0, 3.5], [5.5, -3.0]],
    Full([[[2.0, 1.3], [1.3, 1.2]], [[3.0, 0.0], [0.0, 0.4]], [[0.6, -0.5], [-0.5, 1.6]],
          [[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.3], [0.3, 0.9]]]),
)  # fmt: skip
CRITERIA = ("bic", "icl", "aic", "cross_validated")


def run(out: Path) -> dict[str, float]:
    """Choose, merge, print, save the picture, and return what was measured."""
    data = TRUTH.sample(900, seed=0)
    choice = choose(data.frames, range(1, 9), folds=3, starts=2)
    for name in CRITERIA:
        best = choice.ranked(name)[0]
        print(f"{name:16s}{best.n_components} components, {best.covariance:10s}{best.value(name):10.3f}")
    best = choice.best.model
    many = next(c.model for c in choice.candidates if (c.covariance, c.n_components) == ("full", 8))
    merged = reduce(many, limit=0.2)
    print(f"8 full components with the like merged (at most 0.2 nats each): {merged.model.n_components} are left.")
    found = {name: float(choice.ranked(name)[0].n_components) for name in CRITERIA}
    found["rand_index"] = float(adjusted_rand_score(data.components, best.posteriors(data.frames).argmax(axis=1)))
    found["merged"] = float(merged.model.n_components)
    found["merged_moment_error"] = float(
        np.abs(many.weights @ many.means - merged.model.weights @ merged.model.means).max()
    )
    print(f"Adjusted Rand index of the best by BIC: {found['rand_index']:.3f}.")
    draw(choice, data, (many, merged), out / "choose_components.png")
    return found


def draw(choice: Choice, data: Sample, mixtures: tuple[GMM, Reduction], picture: Path) -> None:
    """Save the criteria, the mixture that is chosen, and one of too many components before and after merging.

    A component has the color of the one nearest to it in the mixture that is chosen, before merging that of what it
    becomes part of.
    """
    from speechgmm.plot import plot_choice, plot_mixture

    figure, axes = pictures.subplots(2, 3, (16, 9))
    for ax, name in zip(axes[:, :2].flat, ("bic", "cross_validated", "icl"), strict=False):
        plot_choice(choice, criterion=name, ax=ax)
    best, (many, merged) = choice.best.model, mixtures
    colors = np.linalg.norm(merged.model.means[:, None] - best.means, axis=2).argmin(axis=1)
    shown = (best, many, merged.model)
    identities = (np.arange(best.n_components), colors[merged.labels], colors)
    titles = ("The best by BIC", "Eight components: the like have one color", "The same, the like merged")
    for ax, *what, title in zip((axes[0, 2], axes[1, 1], axes[1, 2]), shown, identities, titles, strict=True):
        plot_mixture(what[0], data.frames, identities=what[1], ax=ax)
        ax.set(title=title, aspect="equal")
    pictures.save(figure, picture, dpi=100)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
