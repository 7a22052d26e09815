"""The main job in one script: train a background model, enroll ten voices, and ask who speaks.

It uses the small synthetic corpus in data/, needs no download, and takes a few seconds:

    python recipes/quickstart.py [--out FOLDER]
"""

from __future__ import annotations

import functools
import operator
import tempfile
from pathlib import Path

import numpy as np
import pictures
from rich.console import Console
from rich.table import Table

import speechgmm
from speechgmm.evaluation import Scores
from speechgmm.features import Recording
from speechgmm.mixture import UBM, Statistics
from speechgmm.plot.axes import IMPOSTOR, TARGET, finish
from speechgmm.speakers import adapted_model

MANIFEST = Path(__file__).resolve().parent.parent / "data" / "manifest.csv"
COMPONENTS = 64
"""The least of the default, for mel and for linear cepstra: the background is under two minutes of speech."""
CEPSTRA = (1, 2)
"""The features that are drawn: the slope of the spectrum, and its bend."""


def run(out: Path) -> speechgmm.Evaluation:
    """Train, enroll, identify; print a table, save a picture, and return the error rates."""
    corpus = speechgmm.read_corpus(MANIFEST)
    print(f"Training a universal background model of 2 x {COMPONENTS} components on 8 voices ...")
    system = speechgmm.train_system(corpus.where(split="ubm"), n_components=COMPONENTS).system
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        print(f"Enrolled {len(store.speakers)} voices from their first session; testing the second ...\n")
        scores = speechgmm.score_corpus(system, store, corpus.where(split="test")).scores
        example = next(iter(corpus.where(split="test")))
        models = {s: adapted_model(system, _statistics(store, s)) for s in store.speakers}
    result = speechgmm.evaluate(scores)
    _print(scores, result)
    _draw(scores, system, models, example, out / "quickstart.png")
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


def _statistics(store: speechgmm.SpeakerStore, speaker: str) -> Statistics:
    return functools.reduce(operator.add, (session.statistics for session in store.sessions(speaker)))


def _draw(scores: Scores, system: speechgmm.System, models: dict[str, UBM], test: Recording, picture: Path) -> None:
    """Draw all scores, what a speaker's model is, and how the scores of one test settle as it is heard."""
    from speechgmm.plot import plot_adaptation, plot_scores

    frames, ubm = system.frontend.from_file(test.path), system.ubm
    figure, axes = pictures.subplots(1, 3, (18, 6.5), width_ratios=[1, 0.9, 0.9])
    plot_scores(scores, ax=axes[0])
    axes[0].set_xlabel("log-likelihood ratio (nats per frame)")
    plot_adaptation(ubm, models[test.speaker], frames, features=CEPSTRA, ax=axes[1])
    axes[1].set(title=f"The model of {test.speaker}: the background's, moved", xlabel="cepstrum 1", ylabel="cepstrum 2")
    heard = np.arange(1, len(frames) + 1)
    others = "another speaker"
    for name, model in models.items():
        mean = np.cumsum(model.log_density(frames) - ubm.log_density(frames)) / heard
        mine = name == test.speaker
        look = {"color": TARGET if mine else IMPOSTOR, "linewidth": 2.4 if mine else 0.9, "zorder": 2 + mine}
        axes[2].plot(heard * system.frontend.hop_length, mean, label="the true speaker" if mine else others, **look)
        others = others if mine else None
    axes[2].set(title=f"Scores while {test.name} is heard", xlabel="speech (s)", ylabel="mean LLR (nats per frame)")
    axes[2].set(xlim=(0, None), ylim=(-6, 6))
    finish(axes[2], fontsize="medium")
    print()
    pictures.save(figure, picture)


if __name__ == "__main__":
    run(pictures.options(__doc__).parse_args().out)
