"""Groups of customers: shoppers by age, income and buying habits, with missing answers and survey weights.

The customers are generated from five known segments, so that what is found can be measured (adjusted Rand index, 1
where groups are segments). A third leave out their income, a tenth each other answer; the young answer twice as often
as others, which weights make good. `choose` says how many groups there are; k-means, on answers filled in and scaled as
usual, is told that number. A table, a picture, and the probabilities of new customers:

    python recipes/customers.py [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pictures
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from shoppers import ANSWERS, NEW, SEGMENTS, ask, truth
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speechgmm.mixture import GMM, Choice, Incomplete, Stop, choose, impute


def run(out: Path) -> dict[str, float]:
    """Group, describe, assign, print, save the picture, and return what was measured."""
    survey, others = ask(1000, seed=0), ask(2000, seed=1)
    print(f"{len(survey.answers)} customers; {np.isnan(survey.answers).any(axis=1).mean():.0%} left something out.")
    settings = {"missing": True, "sample_weight": survey.weights, "starts": 2, "stop": Stop(1e-4, 300)}
    choice = choose(survey.answers, range(2, 9), covariances=["full"], **settings)
    best = choice.best.model
    posteriors = Incomplete(best).posteriors(survey.answers)
    usual = make_pipeline(SimpleImputer(), StandardScaler(), KMeans(best.n_components, n_init=10, random_state=0))
    labels = {"mixture": posteriors.argmax(axis=1), "kmeans": usual.fit_predict(survey.answers)}
    labels["truth"] = Incomplete(truth()).posteriors(survey.answers).argmax(axis=1)
    found = {name: float(adjusted_rand_score(survey.segments, label)) for name, label in labels.items()}
    members = [survey.segments[labels["mixture"] == k] for k in range(best.n_components)]
    segment = np.array([np.bincount(of_group).argmax() for of_group in members])
    names = [list(SEGMENTS)[i] for i in segment]
    counted, true = np.bincount(survey.segments) / len(survey.segments), truth().weights
    found |= {"groups": float(best.n_components), "share_error": float(np.abs(best.weights - true[segment]).max())}
    found["unweighted_share_error"] = float(np.abs(counted - true).max())
    new = Incomplete(best).posteriors(others.answers)
    found["new_right"] = float((segment[new.argmax(axis=1)] == others.segments).mean())
    found["new_promised"] = float(new.max(axis=1).mean())
    describe(best, names, posteriors)
    print("Adjusted Rand index of mixture, k-means, and the true densities:", end=" ")
    print(", ".join(f"{found[name]:.3f}" for name in ("mixture", "kmeans", "truth")) + ".")
    error, counted_error = found["share_error"], found["unweighted_share_error"]
    print(f"Shares are off by {error:.1%} at most, those counted without weights by {counted_error:.1%}.")
    print(f"New customers: {found['new_right']:.1%} assigned rightly, {found['new_promised']:.1%} promised.")
    draw(choice, impute(best, survey.answers), segment, out / "customers.png")
    return found


def describe(model: GMM, names: list[str], posteriors: NDArray[np.float64]) -> None:
    """Print what is typical of each group, and the probabilities of new customers."""
    table = Table("group", "share", *ANSWERS, "how sure", title="Who the customers are (medians)", title_justify="left")
    sure = posteriors.max(axis=1)
    for k, name in enumerate(names):
        age, *rest = model.means[k]
        typical = (f"{age:.0f}", *(f"{x:,.0f}" if x > 100 else f"{x:.1f}" for x in np.exp(rest)))
        table.add_row(name, f"{model.weights[k]:.0%}", *typical, f"{sure[posteriors.argmax(axis=1) == k].mean():.0%}")
    Console(width=110).print(table)
    answers = np.array(list(NEW.values()))
    short = [answer.split(" ")[0] for answer in ANSWERS]
    table = Table("", *short, *names, title="New customers", title_justify="left")
    logs = np.column_stack([answers[:, 0], np.log(answers[:, 1:])])
    for who, row, p in zip(NEW, answers, Incomplete(model).posteriors(logs), strict=True):
        table.add_row(who, *("-" if np.isnan(x) else f"{x:,.0f}" for x in row), *(f"{x:.0%}" for x in p))
    Console(width=110).print(table)


def draw(choice: Choice, x: NDArray[np.float64], segment: NDArray[np.int64], picture: Path) -> None:
    """Save the criterion and the groups, by age and income and by visits and basket."""
    from speechgmm.plot import plot_choice, plot_mixture

    figure, axes = pictures.subplots(1, 3, (17, 5.2))
    plot_choice(choice, ax=axes[0])
    money = ([5, 10, 20, 50, 100, 200], [1, 2, 5, 10, 20, 50], [2, 5, 10, 20, 50, 100, 200, 500])
    for ax, pair in ((axes[1], (0, 1)), (axes[2], (2, 3))):
        plot_mixture(choice.best.model, x, identities=segment, names=list(SEGMENTS), features=pair, ax=ax)
        ax.set(xlabel=ANSWERS[pair[0]], ylabel=ANSWERS[pair[1]])
    axes[1].set_yticks(np.log(money[0]) + np.log(1000), [f"{m},000" for m in money[0]])
    axes[2].set_xticks(np.log(money[1]), money[1])
    axes[2].set_yticks(np.log(money[2]), money[2])
    pictures.save(figure, picture)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
