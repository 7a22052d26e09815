"""Scores of sounds that were not trained on: parts held out in turn, and classes left out in turn.

Symbols: N frames, U sounds, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.classification.calibration import FileScores, file_scores
from speechgmm.classification.mixtures import MixtureSettings, log_densities, train_mixtures
from speechgmm.parallel import Progress

Array = NDArray[Any]

__all__ = ["assign_folds", "held_out_scores", "left_out_evidence"]


def assign_folds(names: Sequence[str], codes: Array, groups: Sequence[str], folds: int) -> Array:
    """Return the fold (0 to folds - 1) that holds each sound out, shape (U,); -1 for one that is always trained on.

    Whole groups are held out together, the groups of each class spread over the folds in the order of their names,
    whatever order the sounds come in. A class whose groups all meet in one fold is never held out.

    Parameters
    ----------
    names, groups : sequence of str
        A sound without a group ("") is one by itself.
    codes : ndarray of int, shape (U,)
        The class of each.
    folds : int
    """
    of = [("group", g) if g else ("sound", n) for g, n in zip(groups, names, strict=True)]
    fold = np.full(len(of), -1)
    if folds < 2:
        return fold
    classes: dict[tuple[str, str], set[int]] = {}
    for group, code in zip(of, codes.tolist(), strict=True):
        classes.setdefault(group, set()).add(code)
    order = sorted(classes, key=lambda group: (min(classes[group]), group))
    place = {group: i % folds for i, group in enumerate(order)}
    places = [{place[g] for g, held in classes.items() if c in held} for c in range(int(codes.max()) + 1)]
    for i, group in enumerate(of):
        if len(places[int(codes[i])]) > 1:
            fold[i] = place[group]
    return fold


def held_out_scores(
    frames: Sequence[Array],
    codes: Array,
    fold: Array,
    settings: MixtureSettings,
    *,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Array, Array]:
    """Return mean log densities (V, C) of the sounds that are held out, and which these are (V,).

    Parameters
    ----------
    frames : sequence of ndarray (N, D)
    codes, fold : ndarray of int, shape (U,)
    settings : MixtureSettings
    n_threads, on_progress
        See `train_classifier`.
    """
    scores, held = [], []
    parts = np.unique(fold[fold >= 0])
    for done, part in enumerate(parts, 1):
        test = np.flatnonzero(fold == part)
        scores.append(_scores(frames, codes, fold != part, test, settings, n_threads).classes)
        held.append(test)
        if on_progress:
            on_progress("calibration", done, len(parts))
    return np.concatenate(scores), np.concatenate(held)


def left_out_evidence(
    frames: Sequence[Array],
    codes: Array,
    fold: Array,
    settings: MixtureSettings,
    *,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Array, Array] | None:
    """Return the evidence (V, 3) of held-out sounds of known classes, and (W, 3) of classes that were left out.

    With each fold, a share of the classes is left out of the training too, so that every class is foreign once. None
    where fewer than two classes would remain. Parameters as for `held_out_scores`.
    """
    parts, n_classes = np.unique(fold[fold >= 0]), int(codes.max()) + 1
    if len(parts) < 2 or n_classes < 3:
        return None
    known, foreign = [], []
    turns = min(max(len(parts), 3), n_classes)  # of three or more at least two classes remain
    for turn in range(turns):
        left = codes % turns == turn
        held = fold == parts[turn % len(parts)]
        remaining = np.unique(codes[~left], return_inverse=True)[1]
        code = np.full(len(codes), -1)
        code[~left] = remaining
        test = np.concatenate([np.flatnonzero(held & ~left), np.flatnonzero(left)])
        evidence = _scores(frames, code, ~held & ~left, test, settings, n_threads).evidence
        known.append(evidence[: (held & ~left).sum()])
        foreign.append(evidence[(held & ~left).sum() :])
        if on_progress:
            on_progress("rejection", turn + 1, turns)
    if not known or not sum(map(len, known)):
        return None
    return np.concatenate(known), np.concatenate(foreign)


def _scores(
    frames: Sequence[Array], codes: Array, trained: Array, test: Array, settings: MixtureSettings, n_threads: int | None
) -> FileScores:
    """Train on some sounds and score others."""
    classes = range(int(codes.max()) + 1)
    members = [np.flatnonzero(trained & (codes == c)) for c in classes]
    mixtures = train_mixtures(
        [np.concatenate([frames[i] for i in m.tolist()]) for m in members], settings, n_threads=n_threads
    ).mixtures
    lengths = np.array([len(frames[i]) for i in test.tolist()])
    tested = np.concatenate([frames[i] for i in test.tolist()])
    return file_scores(log_densities(mixtures, tested, n_threads=n_threads), lengths)
