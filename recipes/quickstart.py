"""The main job in one script: train a background model, enroll ten voices, and ask who speaks.

It uses the small synthetic corpus in data/, needs no download, and takes a few seconds:

    python recipes/quickstart.py [--out FOLDER]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pictures
from rich.console import Console
from rich.table import Table

import speechgmm
from speechgmm.evaluation import Scores

MANIFEST = Path(__file__).resolve().parent.parent / "data" / "manifest.csv"
COMPONENTS = 64
"""A quarter of the default: the background is under two minutes of speech."""


def run(out: Path) -> speechgmm.Evaluation:
    """Train, enroll, identify; print a table, save a picture, and return the error rates."""
    corpus = speechgmm.read_corpus(MANIFEST)
    print(f"Training a universal background model of {COMPONENTS} components on 8 voices ...")
    system = speechgmm.train_system(corpus.where(split="ubm"), n_components=COMPONENTS).system
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        print(f"Enrolled {len(store.speakers)} voices from their first session; testing the second ...\n")
        scores = speechgmm.score_corpus(system, store, corpus.where(split="test")).scores
    result = speechgmm.evaluate(scores)
    _print(scores, result)
    example = next(iter(corpus.where(split="test")))
    _draw(scores, system.frontend.from_file(example.path), example.name, out / "quickstart.png")
    return result


def _print(scores: Scores, result: speechgmm.Evaluation) -> None:
    table = Table(title="Who speaks?", title_justify="left")
    for column in ("test", "best match", "LLR", "runner-up", "LLR", ""):
        table.add_column(column, justify="right" if column == "LLR" else "left")
    for test in dict.fromkeys(scores.test.tolist()):
        rows = [i for i in scores.score.argsort()[::-1] if scores.test[i] == test]
        best, second = rows[:2]
        verdict = "[green]right[/]" if scores.target[best] == 1 else "[red]wrong[/]"
        cells = [f"{scores.speaker[i]}|{scores.score[i]:+.2f}" for i in (best, second)]
        table.add_row(test, *cells[0].split("|"), *cells[1].split("|"), verdict)
    Console().print(table)
    print(f"Identified {result.identification_rate:.0%} of {result.tests} tests; equal error rate {result.eer:.1%}.")
    print("These voices are synthetic and easy; recipes/verify_telephone is the honest test.")


def _draw(scores: Scores, features: object, name: str, picture: Path) -> None:
    from speechgmm.plot import plot_features, plot_scores

    figure, axes = pictures.subplots(1, 2, (13, 6.5), width_ratios=[1, 1.15])
    plot_scores(scores, ax=axes[0])
    plot_features(features, title=f"MFCC, deltas and double deltas of {name}", ax=axes[1])
    print()
    pictures.save(figure, picture)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
