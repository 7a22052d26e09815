"""A search among the speakers of an index, in two stages, in one process or in parts that several workers search.

First all speakers by their outlines, in sections of equal size; the best of each section once more, with their means in
the place of the outlines. Then the best of all these, the shortlist, by the exact ratio. All ranks are those of
normalized scores, in which amounts of speech count. Who is not on the shortlist keeps the score of the first stage,
moved as far as those on it move in the middle. Symbols: S speakers, R recordings of a test, K components, D dimensions.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, finite, refuse
from speechgmm.features import Extracted
from speechgmm.parallel import threads, workers
from speechgmm.speakers.index import SpeakerIndex
from speechgmm.speakers.outlines import TestMoments

LISTED = 320
"""So many of each section are looked at by their means: 4 in 100."""
SHORTLIST = 1000
"""So many of all are scored exactly."""
_GROUP = 32
"""So many of them at once, by one thread."""

Relative = Callable[[Array, Array], Array]
"""What speakers are ranked by (n,): from their raw scores (n, R), and their places among all (n,)."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search of a part of an index has found: arrays, which go to another process as they are.

    Parameters
    ----------
    start : int
        The place of its first speaker.
    scores : ndarray, shape (n, R)
        Of its n speakers by the first stage, nats per frame.
    listed : ndarray, shape (m,)
        The places of those whose means were looked at.
    shortlist : ndarray, shape (l,)
        The places of those that have exact ratios.
    exact : ndarray, shape (l, R)
    """

    start: int
    scores: Array
    listed: Array
    shortlist: Array
    exact: Array


def searched(
    index: SpeakerIndex, test: Sequence[Extracted], relative: Relative, *, n_threads: int | None = None
) -> Searched:
    """Search a part of an index for a test of R recordings."""
    if not index.sections:
        nobody, nothing = np.empty(0, int), np.empty((0, len(test)))
        return Searched(index.start, nothing, nobody, nobody, nothing)
    moments = [index.head.outlines.moments(e.blocks()) for e in test]
    look = functools.partial(_looked_at, index, moments, relative)
    found = list(threads(workers(n_threads, len(index.sections)))(look, index.sections))
    scores = np.concatenate([scores for scores, _ in found])
    listed = np.concatenate([places for _, places in found])
    shortlist = listed[_best(relative(scores[listed - index.start], listed), SHORTLIST)]
    groups = [shortlist[a : a + _GROUP] for a in range(0, len(shortlist), _GROUP)]
    score = functools.partial(_exact, index, test)
    exact = np.concatenate(list(threads(workers(n_threads, len(groups)))(score, groups)))
    return Searched(index.start, scores, listed, shortlist, exact)


def together(parts: Sequence[Searched], speakers: int, relative: Relative) -> tuple[Array, Array, Array]:
    """Return the first stage's scores (S, R) of all speakers, the shortlist (l,) of all, and its exact ratios (l, R).

    Raises
    ------
    InvalidInput
        If these are not all parts of an index, each once.
    """
    ordered = sorted((p for p in parts if len(p.scores)), key=lambda p: p.start)
    ends = np.cumsum([0, *(len(p.scores) for p in ordered)])
    if [p.start for p in ordered] != ends[:-1].tolist() or ends[-1] != speakers:
        found = ", ".join(f"{p.start} to {p.start + len(p.scores)}" for p in ordered)
        refuse("the parts of a search", f"be of all {speakers} speakers, each once", found or "none")
    scores, listed = (np.concatenate([getattr(p, n) for p in ordered]) for n in ("scores", "listed"))
    places, exact = (np.concatenate([getattr(p, n) for p in ordered]) for n in ("shortlist", "exact"))
    shortlist = listed[_best(relative(scores[listed], listed), SHORTLIST)]
    return scores, shortlist, exact[np.searchsorted(places, shortlist)]


def _looked_at(
    index: SpeakerIndex, moments: list[TestMoments], relative: Relative, section: range
) -> tuple[Array, Array]:
    """Return the scores (n, R) of a section's speakers by the first stage, and whose means were looked at."""
    outlines, rows = index.head.outlines, index.outlines_of(section)
    scores = finite(outlines.scores(rows, moments), "the scores of outlines")
    listed = _best(relative(scores, np.array(section)), LISTED)
    places = listed + section.start
    scores[listed] = outlines.refined(rows[listed], index.offsets_of(places.tolist()), moments)
    return scores, places


def _exact(index: SpeakerIndex, test: Sequence[Extracted], places: Array) -> Array:
    """Return the ratios (n, R) of some speakers."""
    models = index.models.take(places)
    kind = np.float64 if index.head.narrow else None

    def ratios(e: Extracted) -> Array:
        blocks = [(models.ratios(x if kind is None else x.astype(kind), n_threads=1), len(x)) for x in e.blocks()]
        return mean_over(blocks)

    return np.stack([ratios(e) for e in test], axis=1)


def mean_over(blocks: Sequence[tuple[Array, int]]) -> Array:
    """Return the mean of scores that rest on so many frames each; one alone as it is, to the last bit."""
    scores, frames = zip(*blocks, strict=True)
    return np.asarray(scores[0] if len(scores) == 1 else np.average(np.stack(scores), axis=0, weights=frames))


def _best(ranks: Array, n: int) -> Array:
    """Return the places of the n highest, ascending; of equals the first."""
    return np.sort(np.argsort(-ranks, kind="stable")[:n])
