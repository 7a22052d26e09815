"""A search among the speakers of an index, in two stages, in one process or in parts that several workers search.

First all speakers by their outlines. Then the best of all these, the shortlist, by the exact ratio; and so everybody
who was enrolled since the index was written. All ranks are those of normalized scores, in which amounts of speech
count. Who is not on the shortlist keeps the score of the first stage, moved as far as those on it move in the middle.
Symbols: S speakers, R recordings of a test, K components, D dimensions.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from speechgmm.checks import Array, finite, refuse
from speechgmm.features import Extracted
from speechgmm.files import give_back
from speechgmm.looks import Shown
from speechgmm.parallel import threads, workers
from speechgmm.speakers.by_recording import BEST
from speechgmm.speakers.index import SpeakerIndex
from speechgmm.speakers.indexed import enrolled_by_index
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.score import ScoredTest, Scorer, UsedRecordings, mean_over
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

LEAST_LISTED, MOST_LISTED, LISTED = 200, 1000, 0.01
"""So many of all, at least and at most, and else this share of them, are scored exactly."""
_GROUP = 32
"""So many of them at once, by one thread."""
_OUTLINES = 512
"""So many outlines are compared at once, by one thread."""
_HELD = 2**30
"""Outlines of more bytes are given back once they were looked at, and else stay mapped: a tenth of the time."""

Relative = Callable[[Array, Array], Array]
"""What speakers are ranked by (n,): from their raw scores (n, R), and their places among all (n,)."""


@dataclass(frozen=True, eq=False)
class Searched(Shown):
    """What a search of a part of an index has found: arrays, which go to another process as they are.

    Parameters
    ----------
    start : int
        The place of its first speaker.
    scores : ndarray, shape (n, R)
        Of its n speakers by the first stage, nats per frame.
    shortlist : ndarray, shape (l,)
        The places of those that have exact ratios.
    exact : ndarray, shape (l, R)
    """

    start: int
    scores: Array
    shortlist: Array
    exact: Array


@dataclass(frozen=True, eq=False)
class IndexScorer(Scorer):
    """Scores tests against the speakers of an index, or of a part of it. Made by `IndexScorer.within`.

    Attributes
    ----------
    index : SpeakerIndex
        What is searched.
    live : ndarray of int, shape (n,)
        The places in it of the models that hold; they are the first of `models`.
    since : SpeakerModels or None
        The others.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> from speechgmm.features import extract
    >>> from speechgmm.speakers import SpeakerIndex
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> _ = SpeakerIndex.write(system, store, f"{folder.name}/people.index")
    >>> scorer = IndexScorer.within(system, store, SpeakerIndex.open(f"{folder.name}/people.index", system, store))
    >>> test = scorer.score_test([extract(system.frontend, "data/slt/s2_1.flac")])
    >>> scorer.models.names[test.scores.argmax()]
    'slt'
    >>> store.close()
    >>> folder.cleanup()
    """

    index: SpeakerIndex = field(kw_only=True)
    live: Array = field(kw_only=True)
    since: SpeakerModels | None = field(kw_only=True, default=None)

    @classmethod
    def within(
        cls, system: System, store: SpeakerStore, index: SpeakerIndex, *, n_threads: int | None = None
    ) -> "IndexScorer":
        """Return what searches everybody in a store by an index of it, or by a part of that.

        Raises
        ------
        IncompatibleModel
            See `speechgmm.speakers.indexed.enrolled_by_index`.
        """
        found = enrolled_by_index(system, store, index, n_threads=n_threads)
        around, domain = found.domain.surroundings, found.domain
        familiar = None if around is None else around.familiar()
        of_store = (system, found.models, domain.calibration, domain.norm, found.recordings, familiar)
        return cls(*of_store, found.by_recording, index=index, live=found.live, since=found.since)

    def among(self, models: Array) -> Scorer:
        """Return what scores tests against the models with these indices (n,), each of them exactly."""
        fields = (f.name for f in dataclasses.fields(Scorer))
        return Scorer(**{name: getattr(self, name) for name in fields}).among(models)

    def score_test(self, test: Iterable[Extracted]) -> ScoredTest:
        """Return the scores of recordings as one test: exact on the shortlist, and never higher beside it."""
        used = self._used(test)
        return self._merged(used, [self._searched(used)] if used.recordings else [])

    def search(self, test: Iterable[Extracted]) -> Searched:
        """Return what a worker finds in its part of the index, for `merged`.

        Raises
        ------
        InvalidInput
            If no recording could be used.
        """
        used = self._used(test)
        if not used.recordings:
            why = f"none; {used.skipped[0].reason}" if used.skipped else "none"
            refuse("the recordings of a test", "be at least one that can be used", why)
        return self._searched(used)

    def merged(self, test: Iterable[Extracted], parts: Sequence[Searched]) -> ScoredTest:
        """Return what `score_test` does, to the bit, from what workers have found in all parts of the index.

        Parameters
        ----------
        test : iterable of Extracted
            The recordings that each of them was given.
        parts : sequence of Searched
            In any order.

        Raises
        ------
        InvalidInput
            If these are not all parts, each once.
        """
        return self._merged(self._used(test), parts)

    def _ratios(self, e: Extracted) -> Array:
        """Return the ratios of a recording against the cohort alone, (C,)."""
        if self.cohort is None:
            e.usable()
            return np.empty(0)
        return mean_over([(self.cohort.ratios(x), len(x)) for x in e.blocks()])

    def _searched(self, used: UsedRecordings) -> Searched:
        return searched(self.index, self.live, used.recordings, functools.partial(self._ranked, used))

    def _ranked(self, used: UsedRecordings, ratios: Array, places: Array) -> Array:
        """Return the normalized scores (n,) of some of the index, by their places, from their ratios (n, R)."""
        return self._relative(used, ratios, self.index.head.speech_seconds[places])

    def _relative(self, used: UsedRecordings, ratios: Array, held: Array) -> Array:
        """Return the normalized scores (n,) of speakers from their ratios (n, R), and what is enrolled of each (n,)."""
        return self._normalized(np.concatenate([ratios, np.stack(used.ratios, axis=1)]), held, used.seconds)

    def _merged(self, used: UsedRecordings, parts: Sequence[Searched]) -> ScoredTest:
        """Return the scores of all speakers from what was found in all parts."""
        if not used.recordings:
            return self._scored(used, None)
        every = len(self.index.head.names)
        scores, shortlist, exact = together(parts, every, functools.partial(self._ranked, used))
        scores, held = scores[self.live], np.searchsorted(self.live, shortlist)
        everybody = np.arange(len(self.models.names))
        exactly = np.concatenate([held, everybody[len(scores) :]])
        exact = np.concatenate([exact, self._since(used.recordings)])
        exact = np.stack([self._by_recording(exactly, *x) for x in zip(used.recordings, exact.T, strict=True)], axis=1)
        if len(held):
            scores += np.median(exact[: len(held)] - scores[held], axis=0)
        scores = np.concatenate([scores, exact[len(held) :]])
        scores[exactly] = exact
        relative = self._relative(used, scores, self.models.speech_seconds)
        beside = np.setdiff1d(everybody, exactly)
        relative[beside] = np.minimum(relative[beside], relative[held].min(initial=np.inf))
        return self._scored(used, relative)

    def _since(self, recordings: Sequence[Extracted]) -> Array:
        """Return the ratios (n, R) of those who were enrolled since the index was written."""
        if (models := self.since) is None:
            return np.empty((0, len(recordings)))
        return np.stack([mean_over([(models.ratios(x), len(x)) for x in e.blocks()]) for e in recordings], axis=1)

    def _by_recording(self, shortlist: Array, e: Extracted, ratios: Array) -> Array:
        """Return the ratios (l,) of those on the shortlist, of the best by their single recordings if these count."""
        if self.by_recording is None:
            return ratios
        best = np.sort(np.argsort(-ratios, kind="stable")[:BEST])
        found = self.by_recording.take(shortlist[best]).scores(e.blocks(), ratios[best])
        moved = ratios + np.median(found - ratios[best])
        moved[best] = found
        return moved


def searched(
    index: SpeakerIndex,
    live: Array,
    test: Sequence[Extracted],
    relative: Relative,
    *,
    n_threads: int | None = None,
) -> Searched:
    """Search a part of an index for a test of R recordings, among those of all its speakers who count (n,)."""
    scores = _outlined(index, test, n_threads)
    own = live[(live >= index.start) & (live < index.stop)]
    if not own.size:
        return Searched(index.start, scores, own, np.empty((0, len(test))))
    shortlist = own[_best(relative(scores[own - index.start], own), shortlisted(len(index.head.names)))]
    groups = [shortlist[a : a + _GROUP] for a in range(0, len(shortlist), _GROUP)]
    score = functools.partial(_exact, index, test)
    exact = np.concatenate(list(threads(workers(n_threads, len(groups)))(score, groups)))
    return Searched(index.start, scores, shortlist, exact)


def _outlined(index: SpeakerIndex, test: Sequence[Extracted], n_threads: int | None) -> Array:
    """Return the ratios (n, R) of a part's speakers by their outlines."""
    outlines = index.head.outlines
    moments = [outlines.moments(e.blocks()) for e in test]

    def look(start: int) -> Array:
        rows = index.outlines_of(slice(start, min(start + _OUTLINES, index.stop)))
        scores = outlines.scores(rows, moments)
        if index.rows.steps.nbytes > _HELD:
            give_back(rows.steps)
        return scores

    starts = range(index.start, index.stop, _OUTLINES)
    found = threads(workers(n_threads, len(starts)))(look, starts)
    return finite(np.concatenate([np.empty((0, len(test))), *found]), "the scores of outlines")


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
    scores, places, exact = (np.concatenate([getattr(p, n) for p in ordered]) for n in ("scores", "shortlist", "exact"))
    if not places.size:
        return scores, places, exact
    chosen = _best(relative(scores[places], places), shortlisted(speakers))
    return scores, places[chosen], exact[chosen]


def _exact(index: SpeakerIndex, test: Sequence[Extracted], places: Array) -> Array:
    """Return the ratios (n, R) of some speakers."""
    models = index.take(places)
    kind = np.float64 if index.head.narrow else None

    def ratios(e: Extracted) -> Array:
        blocks = [(models.ratios(x if kind is None else x.astype(kind), n_threads=1), len(x)) for x in e.blocks()]
        return mean_over(blocks)

    return np.stack([ratios(e) for e in test], axis=1)


def shortlisted(speakers: int) -> int:
    """Return how many of so many speakers are scored exactly."""
    return int(min(max(LISTED * speakers, LEAST_LISTED), MOST_LISTED))


def _best(ranks: Array, n: int) -> Array:
    """Return the places of the n highest, ascending; of equals the first."""
    return np.sort(np.argsort(-ranks, kind="stable")[:n])
