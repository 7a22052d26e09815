"""Whether a recording is like those that a model was trained on, and why not, in words.

A model knows how its background speakers' recordings measure, on a few scales: how probable their frames are under a
UBM that did not know them, and how they sound before normalization (`features.acoustics`). What lies outside, such as
noise, music, another bandwidth or a synthetic voice, is unfamiliar: no rate was measured on anything like it.
Symbols: M measures, R recordings, S speakers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, floats, hold, integer, number, refuse
from speechgmm.evaluation.decision import Unfamiliar
from speechgmm.features import Acoustics, Extracted
from speechgmm.looks import Shown
from speechgmm.mixture import UBM

_POWER = 6
"""Distances of the measures are joined by this norm: the largest decides, and others hardly help it."""
_COUNTS = 4.0
"""So many speakers the background counts for, in what is usual where speakers are enrolled."""
_USUAL = 2.0
"""Spreads to each side of the median within which a measure is called usual."""


@dataclass(frozen=True)
class Measure:
    """One of the scales on which recordings are compared.

    Parameters
    ----------
    name : str
        "density", or a field of `Acoustics`.
    spread : float
        No spread is taken to be less, for a room or a microphone changes as much; and it counts where few tell.
    low, high : str
        What to say of too little and of too much, with the value at {}; empty where that is no reason.
    unit : str
    """

    name: str
    spread: float
    low: str
    high: str
    unit: str = ""

    def shown(self, value: float) -> str:
        """Return a value in words, in a unit that people know."""
        if self.name == "at_peak":
            share = 100 * 10 ** min(value, 0.0)
            return "100 %" if share > 99 else f"{share:.2g} %"
        if self.name == "pauses":
            return f"{min(100.0, max(0.0, 100 * (1.1 - math.exp(min(value, 1.0))))):.0f} %"
        if self.name == "swing":
            return f"{math.exp(min(value, 9.0)):.1f} dB"
        return f"{value:.{1 if self.unit else 2}f}{self.unit}"


MEASURES = (
    Measure("density", 1.0, "its frames are unlike the background's: log density {} per frame", "", " nats"),
    Measure("periodicity", 0.025, "hardly any voice: periodicity {}", ""),
    Measure("detail", 0.07, "its sounds differ too little: by {}", "its sounds differ too much: by {}"),
    Measure("fine", 0.07, "its spectrum lacks fine structure: {}", "its spectrum has too much fine structure: {}"),
    Measure("unevenness", 0.25, "", "its spectrum has peaks that stay, as of tones: unevenness {}"),
    Measure("upper", 3.0, "hardly anything in the upper part of its band: {} relative to the part below", "", " dB"),
    Measure("at_peak", 0.4, "", "clipped, or peaks of one height: {} of its samples lie there"),
    Measure("speed", 0.07, "it changes too slowly, as music does: {}", ""),
    Measure("swing", 0.25, "its level hardly varies: {} from middle to loud", ""),
    Measure("pauses", 0.2, "hardly any pauses: {} of it is speech", ""),
)
"""Density comes first, for features that were not made from sound have nothing else."""


@dataclass(frozen=True, eq=False)
class Familiarity(Shown):
    """What is usual among recordings, and from where on one is unfamiliar.

    Parameters
    ----------
    center : array_like, shape (M,)
        The median of each of the first M of `MEASURES`.
    below, above : array_like, shape (M,)
        The spread to each side of it.
    limit : float
        The largest distance that is familiar.
    recordings : int
        R, of the background, that this was learned from.
    speakers : int
        Enrolled speakers that it was moved to: see `among`.
    """

    center: Array
    below: Array
    above: Array
    limit: float
    recordings: int
    speakers: int = 0

    def __post_init__(self) -> None:
        """Check everything, and hold the arrays as read-only."""
        center = floats(self.center, "what is usual", largest=1e12)
        if center.ndim != 1 or not 1 <= center.size <= len(MEASURES):
            refuse("what is usual", f"be a vector of 1 to {len(MEASURES)} measures", f"shape {center.shape}")
        spreads = {name: floats(getattr(self, name), "spreads", shape=center.shape) for name in ("below", "above")}
        low, high = (e([e(s) for s in spreads.values()]) for e in (np.min, np.max))
        if not (low >= 1e-6 and high <= 1e12):
            refuse("spreads", "be from 1e-06 to 1e+12", f"{low:g} to {high:g}")
        limit = number(self.limit, "the limit of what is familiar", minimum=0.0, maximum=1e6, above=True)
        recordings = integer(self.recordings, "recordings", minimum=1)
        speakers = integer(self.speakers, "speakers", minimum=0)
        hold(self, center=center, **spreads, limit=limit, recordings=recordings, speakers=speakers)

    def distances(self, measures: ArrayLike) -> Array:
        """Return how far measures (..., m) are from what is usual, each in spreads, in its own bad direction or both.

        Where recordings have fewer measures than these, or more, those that both have count.
        """
        x = floats(measures, "the measures of a recording", largest=1e12)
        m = min(x.shape[-1], len(self.center))
        away = x[..., :m] - self.center[:m]
        low = np.where([bool(s.low) for s in MEASURES[:m]], np.maximum(-away, 0) / self.below[:m], 0.0)
        high = np.where([bool(s.high) for s in MEASURES[:m]], np.maximum(away, 0) / self.above[:m], 0.0)
        return np.asarray(low + high)

    def assess(self, measures: ArrayLike) -> Unfamiliar | None:
        """Return why a recording of these measures (m,) is unfamiliar, None where it is not: see `measures_of`."""
        apart = self.distances(measures)
        value = float(joint(apart))
        if value <= self.limit:
            return None
        worst = int(np.argmax(apart))
        measure, found = MEASURES[worst], float(np.asarray(measures)[worst])
        center = self.center[worst]
        usual = (center - _USUAL * self.below[worst], center + _USUAL * self.above[worst])
        words = (measure.low if found < center else measure.high).format(measure.shown(found))
        ends = [measure.shown(float(u)) for u in (usual[::-1] if measure.name == "pauses" else usual)]
        return Unfamiliar(f"{words}; usual is {' to '.join(ends)}", value, self.limit)

    def among(self, speakers: Iterable[ArrayLike]) -> "Familiarity":
        """Return what is usual where these speakers were enrolled: like the domain, once there is one.

        The background counts for four speakers, each enrolled one for one, with the background's own spread about
        their mean. With few the spread reaches from the background to them; with many it is that of the domain.

        Parameters
        ----------
        speakers : iterable of array_like, shape (m,)
            The mean measures of each speaker's recordings, in any order.
        """
        rows = [floats(s, "the measures of a speaker", largest=1e12) for s in speakers]
        if not rows:
            return self
        m = min(len(self.center), *(len(r) for r in rows))
        x = np.array(sorted(tuple(r[:m].tolist()) for r in rows))  # any order gives the same bits
        weights = np.r_[_COUNTS, np.ones(len(x))] / (_COUNTS + len(x))
        means = np.vstack([self.center[:m], x])
        center = weights @ means
        apart = weights @ (means - center) ** 2
        below, above = (np.sqrt(spread[:m] ** 2 + apart) for spread in (self.below, self.above))
        return Familiarity(center, below, above, self.limit, self.recordings, len(x))


def joint(distances: Array) -> Array:
    """Return one distance (...) of those of all measures (..., M)."""
    largest = np.maximum(distances.max(axis=-1, keepdims=True), 1e-12)
    return np.asarray(largest[..., 0] * ((distances / largest) ** _POWER).sum(axis=-1) ** (1 / _POWER))


def measures_of(ubm: UBM, extracted: Extracted) -> Array:
    """Return the measures (M,) of a recording: its mean log density per frame under the UBM, and how it sounds.

    This is all that is to be kept of an enrolled recording. Features that no sound was given for have the first alone.

    Raises
    ------
    SpeechGMMError
        What kept the recording from being extracted.
    """
    total, n = 0.0, 0
    for x in extracted.blocks():
        total, n = total + float(ubm.log_density(x).sum()), n + len(x)
    return measures(total / n, extracted.acoustics)


def measures(density: float, acoustics: Acoustics | None) -> Array:
    """Return a log density per frame and how a recording sounds as one vector (M,)."""
    return np.array([density] if acoustics is None else [density, *(getattr(acoustics, s.name) for s in MEASURES[1:])])
