"""Models of single recordings of the people who are enrolled, for the best candidates of a search.

A speaker's model is the mean of all that they said; a test is a few sounds of it. Whoever says again what was recorded
is told more surely by a model of that recording: the speaker's own, adapted once more to what the recording holds. A
candidate's score is a soft maximum over their recordings, log(mean(exp(a * score))) / a, where each frame counts its
best components alone. Whom no recording is kept of, or who is not among the best, keeps the score of the speaker's
model, moved as far as those of the others move in the middle. Symbols: N frames, K components, D dimensions, S
speakers, R recordings, P mixtures.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.looks import Shown
from speechgmm.mixture.compiled.e_step import narrow
from speechgmm.speakers.best_components import top_log_densities
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.sessions import Moments

BEST = 20
"""So many candidates are scored by their recordings: with 10 the error rate of telephone speech was halfway back."""
RECORDINGS = 10
"""So many recordings of one person are asked at most, those with the smallest digests."""
COMPONENTS = 10
"""So many components of each mixture count in a frame: with 5, half of what recordings bring was lost."""
SHARPNESS = 20.0
"""Of the soft maximum, per nat: 20 and 60 are alike, 5 is too soft."""
_KEPT = 50
"""The models of so many people stay laid out: 100 MB."""


@dataclass(frozen=True, eq=False)
class ByRecording(Shown):
    """The single recordings of enrolled people.

    Parameters
    ----------
    models : SpeakerModels
        Of S people.
    relevance : float
        Frames that a speaker's model counts for in each component of a recording's.
    recordings : callable
        Given the place of a person, the `Moments` of their recordings; what follows from them is kept.
    """

    models: SpeakerModels
    relevance: float
    recordings: Callable[[int], Iterable[Moments]]

    def take(self, indices: Array) -> "ByRecording":
        """Return those of the people with these places (n,); what is laid out stays so."""
        places = indices.tolist()
        chosen = ByRecording(self.models.take(indices), self.relevance, lambda i: self.recordings(places[i]))
        vars(chosen)["_columns"] = lambda i: self._columns(places[i])
        return chosen

    def scores(self, blocks: Iterable[Array], base: Array) -> Array:
        """Return the scores (S,) of a test by recordings.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (n, S D)
            Its frames.
        base : ndarray, shape (S,)
            Its scores against the models, in nats per frame.
        """
        best = np.sort(np.argsort(-base, kind="stable")[:BEST])
        columns, whose = self._together(tuple(best.tolist()))
        if not whose.size:
            return base
        ratios = self._ratios(blocks, columns)
        known = np.unique(whose)
        found = np.array([soft_maximum(ratios[whose == i]) for i in known])
        scores = base + np.median(found - base[known])
        scores[known] = found
        return scores

    def _ratios(self, blocks: Iterable[Array], columns: Sequence[Array]) -> Array:
        """Return the mean log-likelihood ratios (R,) of models whose columns follow the background's, by mixture."""
        total, frames = np.zeros(columns[0].shape[2] - 1), 0
        for x in blocks:
            every = zip(self.models.parts, self.models.ubm.shares, self.models.ubm.seen(x), columns, strict=True)
            for part, share, y, own in every:
                sums = top_log_densities(part, y.astype(np.float32, copy=False), COMPONENTS, own, n_threads=1)
                total += share * (sums[1:] - sums[0])
            frames += len(x)
        return total / frames

    @functools.cached_property
    def _together(self) -> Callable[[tuple[int, ...]], tuple[list[Array], Array]]:
        """The columns of some people's recordings, behind the background's in each mixture, and whose they are (R,)."""

        @functools.lru_cache(maxsize=1)  # a small store has the same candidates every time
        def together(people: tuple[int, ...]) -> tuple[list[Array], Array]:
            every = [self._columns(i) for i in people]
            whose = np.repeat(people, [own[0].shape[2] for own in every])
            background = [part.background.columns for part in self.models.parts]
            return [np.concatenate(c, axis=2) for c in zip(background, *every, strict=True)], whose

        return together

    @functools.cached_property
    def _columns(self) -> Callable[[int], list[Array]]:
        """What lays out the recordings of a person in each mixture: (K, D + 1, R)."""

        @functools.lru_cache(maxsize=_KEPT)
        def columns(i: int) -> list[Array]:
            own, parts = self.models.means_of(i), self.models.parts
            counts, first = _stacked(list(itertools.islice(self.recordings(i), RECORDINGS)), own)
            places = np.cumsum([part.ubm.n_components for part in parts])[:-1]
            return list(map(self._laid_out, parts, *(np.split(x, places) for x in (own, counts, first))))

        return columns

    def _laid_out(self, part: SpeakerModels, own: Array, counts: Array, first: Array) -> Array:
        """Return (K, D + 1, R) of one mixture from a speaker's means (K, D), counts (K, R) and moments (K, D, R)."""
        precisions, constant = part.shared
        total = counts + self.relevance
        away = first - counts[:, None] * own[:, :, None]
        offsets = own[:, :, None] + np.divide(away, total[:, None], out=np.zeros(away.shape), where=total[:, None] > 0)
        columns = np.empty((len(own), own.shape[1] + 1, counts.shape[1]))
        scaled = offsets * precisions[:, :, None]
        squares = np.einsum("kdr,kdr->kr", offsets, scaled)
        columns[:, :-1], columns[:, -1] = scaled, constant[:, None] - 0.5 * squares
        kind = np.float64 if narrow(squares, precisions.max(axis=1)[:, None]).any() else np.float32
        return columns.astype(kind, copy=False)


def _stacked(recordings: Sequence[Moments], like: Array) -> tuple[Array, Array]:
    """Return the counts (K, R) and first moments (K, D, R) of recordings, of which there may be none."""
    counts, first = np.empty((len(like), len(recordings))), np.empty((*like.shape, len(recordings)))
    for r, moments in enumerate(recordings):
        counts[:, r], first[:, :, r] = moments.counts, moments.first
    return counts, first


def soft_maximum(scores: Array) -> float:
    """Return log(mean(exp(a * scores))) / a of scores (R,): between their mean and their maximum.

    Examples
    --------
    >>> round(soft_maximum(np.array([0.0, 1.0])), 3), soft_maximum(np.array([0.5]))
    (0.965, 0.5)
    """
    top = scores.max()
    return float(top + np.log(np.exp(SHARPNESS * (scores - top)).mean()) / SHARPNESS)
