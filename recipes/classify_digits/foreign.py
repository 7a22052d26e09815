"""Sounds that belong to no class: each digit in turn is foreign to a classifier of the other nine.

The classifier never hears the tenth digit. It is asked to take foreign sounds for one of its own at a stated rate; what
comes out is how often it did, and how many of the known words it kept.

    python recipes/classify_digits/foreign.py [--data DIR] [--picture OUT.png]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import pictures  # noqa: E402
import run  # noqa: E402
import running  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.classification.train import extract_labeled, train_on_features  # noqa: E402

DIGITS = tuple("0123456789")
STATED = (0.02, 0.05, 0.1, 0.2, 0.3)
SETTINGS = replace(run.SETTINGS, n_components=64)


def measure(manifest: Path, digits: Sequence[str] = DIGITS) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates at which each digit was accepted as foreign, and the others kept, (digits, stated rates)."""
    corpus = speechgmm.read_corpus(manifest)
    parts = [corpus.where(split=s) for s in ("enroll", "test")]
    train, test = (extract_labeled(p, p.column("text"), frontend=run.FRONTEND) for p in parts)
    tested = np.array([s.label for s in test.sounds])
    accepted, kept = [], []
    for digit in digits:
        nine = replace(train, sounds=tuple(s for s in train.sounds if s.label != digit))
        made = train_on_features(nine, settings=SETTINGS, folds=3).classifier
        assert made.rejection is not None
        features = [made.frontend.normalized(s.features) for s in test.sounds]
        values = np.array([made.rejection.values(made.scores(x).evidence)[0] for x in features])
        least = np.array([made.rejection.threshold(far) for far in STATED])
        passed = values[:, None] >= least
        accepted.append(passed[tested == digit].mean(axis=0))
        kept.append(passed[tested != digit].mean(axis=0))
    return np.array(accepted), np.array(kept)


def show(accepted: np.ndarray, kept: np.ndarray, digits: Sequence[str], picture: Path) -> None:
    """Print the rates, and draw the trade-off."""
    table = Table("foreign", *(f"{100 * s:g} % stated" for s in STATED))
    rows = [*zip(digits, accepted, kept, strict=True), ("mean", accepted.mean(axis=0), kept.mean(axis=0))]
    for name, a, k in rows:
        table.add_row(name, *(f"{100 * x:.0f} % in, {100 * y:.0f} % kept" for x, y in zip(a, k, strict=True)))
    Console(width=120).print(table)
    figure, ax = pictures.subplots(1, 1, (6.4, 4.8))
    lines = ax.plot(100 * accepted.T, 100 * kept.T, color="0.75", linewidth=0.8)
    lines[0].set_label("one digit is foreign")
    ax.plot(100 * accepted.mean(axis=0), 100 * kept.mean(axis=0), marker="o", label=f"mean of {len(digits)} digits")
    for s, x, y in zip(STATED, accepted.mean(axis=0), kept.mean(axis=0), strict=True):
        ax.annotate(f"{100 * s:g} % stated", (100 * x, 100 * y), xytext=(4, -10), textcoords="offset points")
    ax.set(xlabel="foreign words accepted (%)", ylabel="known words kept (%)", title="The tenth digit is foreign")
    ax.legend(loc="lower right")
    pictures.save(figure, picture, dpi=150)


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="confusion.png")
    manifest = running.manifest(RECIPE.parent / "identify_digits", given)
    show(*measure(manifest), DIGITS, given.picture)
