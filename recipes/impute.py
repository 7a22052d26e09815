"""Missing values: 30 % of all entries are removed at random and filled in again by four methods.

On Iris and on speech features (cepstra of the recordings in data/), a mixture with full covariances, which learns from
the incomplete rows, next to the mean of each feature and scikit-learn's KNNImputer and IterativeImputer. The error is
the root mean square over removed entries, in standard deviations of their feature. A picture is saved:

    python recipes/impute.py [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pictures
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import speechgmm
from speechgmm.mixture import Floor, fit_gmm, impute

Array = NDArray[np.float64]
DATA = Path(__file__).resolve().parent.parent / "data"
COMPONENTS = {"iris": 2, "speech": 4}
"""For Iris what the Bayesian information criterion chooses on complete rows; for speech the kinds of sound."""


def read() -> dict[str, Array]:
    """Return 150 flowers of 4 features, and 1000 frames of 12 cepstra, each feature of variance 1."""
    frontend = speechgmm.MFCC(n_mfcc=12, deltas=0)
    recordings = list(speechgmm.read_corpus(DATA / "manifest.csv"))[::12]
    frames = np.concatenate([frontend.from_file(r.path) for r in recordings]).astype(np.float64)
    chosen = np.sort(np.random.default_rng(0).choice(len(frames), 1000, replace=False))
    data = {"iris": load_iris().data, "speech": frames[chosen]}
    return {name: (x - x.mean(axis=0)) / x.std(axis=0) for name, x in data.items()}


def run(out: Path) -> dict[str, dict[str, float]]:
    """Fill in, print, save the picture, and return the errors by data and method."""
    errors: dict[str, dict[str, float]] = {}
    shown: list[tuple[str, Array]] = []
    for name, x in read().items():
        hole = np.random.default_rng(1).random(x.shape) < 0.3
        given = np.where(hole, np.nan, x)
        fit = fit_gmm(given, COMPONENTS[name], covariance="full", missing=True, floor=Floor(relative=0.01))
        filled = {
            "mean": SimpleImputer().fit_transform(given),
            "KNNImputer": KNNImputer().fit_transform(given),
            "IterativeImputer": IterativeImputer(max_iter=200, tol=0.01, random_state=0).fit_transform(given),
            "mixture": impute(fit.model, given),
        }
        errors[name] = {method: float(np.sqrt(np.mean((y - x)[hole] ** 2))) for method, y in filled.items()}
        rises = np.diff(fit.objective)
        print(f"{name}: the log-likelihood changes by at least {rises.min():+.1g} nats in {len(rises)} iterations.")
        errors[name]["least_rise"] = float(rises.min())
        shown = shown or [("complete", x), ("mean", filled["mean"]), ("mixture", filled["mixture"])]
    table = Table(title="Error where 30 % are missing", title_justify="left")
    for column in ("data", *filled):
        table.add_column(column, justify="left" if column == "data" else "right")
    for name, row in errors.items():
        table.add_row(name, *(f"{row[method]:.3f}" for method in filled))
    Console().print(table)
    draw(shown, errors, out / "impute.png")
    return errors


def draw(shown: list[tuple[str, Array]], errors: dict[str, dict[str, float]], picture: Path) -> None:
    """Save two features of Iris, complete and filled in, and the errors."""
    figure, axes = pictures.subplots(1, 4, (17, 4.4), width_ratios=[1, 1, 1, 1.2])
    complete = shown[0][1]
    for ax, (title, x) in zip(axes, shown, strict=False):
        changed = (x[:, [0, 2]] != complete[:, [0, 2]]).any(axis=1)
        for kind, color, label in ((~changed, "#0b6e99", "as measured"), (changed, "#c8553d", "filled in")):
            ax.scatter(*x[kind][:, [0, 2]].T, s=14, color=color, alpha=0.7, linewidths=0, label=label)
        ax.set(title=f"Iris, {title}", xlabel="sepal length", ylabel="petal length", xlim=(-2.2, 2.7), ylim=(-2, 2.2))
    for ax in axes[1:3]:
        ax.legend(loc="lower right", frameon=False)
    methods = [m for m in errors["iris"] if m != "least_rise"]
    for (name, row), color, side in zip(errors.items(), ("#0b6e99", "#e69f00"), (-0.2, 0.2), strict=True):
        axes[3].barh(np.arange(4) + side, [row[m] for m in methods], 0.38, color=color, label=name)
    axes[3].set_yticks(range(4), methods)
    axes[3].set(title="Error of what was filled in (deviations)", xlim=(0, 1.25))
    axes[3].invert_yaxis()
    axes[3].legend(frameon=False)
    pictures.save(figure, picture, dpi=100)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
