"""The domain: where everybody who is enrolled was recorded, and where the tests will be.

Recordings of one telephone, room or language differ from those of a background model in what their speakers share.
Until that is taken out, every stranger who is recorded alike resembles everybody who is enrolled. So the background
model is moved (MAP, means alone) to the people of a store, each of whom counts alike; speakers are adapted from there
and scored against it. All of it follows from the statistics that the store holds: nothing is kept, and who is removed
is gone. Symbols: S speakers.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture import UBM, Statistics
from speechgmm.mixture.adapt import moved
from speechgmm.speakers.recording_weights import as_spoken
from speechgmm.speakers.sessions import Moments

MOST = 200
"""More people than these do not move the domain any more; a store of thousands neither reads nor shifts for one."""
FRAMES = 10_000.0
"""The background model counts for so many frames, 100 s of speech, spread evenly over its components. With few (2000) a
store of five moved so far towards each of its people that strangers were told from them less well; with many (100 000)
other microphones stayed foreign (`recipes/benchmarks/rates.py`)."""


@dataclass(frozen=True, eq=False)
class People:
    """S people with their statistics, in the order of what they are made of, so that names and time change nothing.

    Parameters
    ----------
    names : tuple of str
    statistics : tuple of Statistics
        Each the sum of the `contribution` of a person's recordings, against the background model.
    speech_seconds : ndarray, shape (S,)
    recordings : tuple, optional
        What is known of each one's single recordings: `Moments`.
    """

    names: tuple[str, ...]
    statistics: tuple[Statistics, ...]
    speech_seconds: Array
    recordings: tuple[Sequence[Moments], ...] = ()

    def without(self, i: int) -> "People":
        """Return all of them but one."""
        return self._take([j for j in range(len(self.names)) if j != i])

    def first(self, n: int) -> "People":
        """Return the first of them."""
        return self._take(range(len(self.names))[:n])

    def _take(self, indices: Sequence[int]) -> "People":
        names, statistics = tuple(self.names[i] for i in indices), tuple(self.statistics[i] for i in indices)
        recordings = tuple(self.recordings[i] for i in indices) if self.recordings else ()
        return People(names, statistics, self.speech_seconds[list(indices)], recordings)

    def domain(self, ubm: UBM) -> UBM:
        """Return the background model of where they were recorded; of nobody, the model itself."""
        heard = [as_spoken(ubm, s) for s in self.statistics[:MOST] if s.counts.sum() > 0]
        if not heard:
            return ubm
        alike = sum(float(s.counts.sum()) for s in heard) / len(heard)
        pooled = (alike / float(heard[0].counts.sum())) * heard[0]
        for s in heard[1:]:
            pooled = pooled + (alike / float(s.counts.sum())) * s
        relevance = np.concatenate([np.full((p.n_components, 1), FRAMES / p.n_components) for p in ubm.parts])
        return moved(ubm, pooled, relevance)


def content(name: str, digests: Iterable[str]) -> str:
    """Return what orders people: a digest of their recordings, or of their name where no recording is known."""
    known: Sequence[str] = sorted(digests)
    return hashlib.sha256("\n".join(known or (name,)).encode("utf-8", "surrogateescape")).hexdigest()
