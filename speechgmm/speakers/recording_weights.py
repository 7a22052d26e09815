"""How much a recording counts in what is adapted to its speaker: less than its frames say where it is long.

Frames of one recording share what was said and how it was said that day, so that ten times the frames of one sentence
do not tell ten times as much of a voice. A recording counts by the square root of its frames; all of a speaker's
recordings together count as many frames as they have. Each is weighted before it is added, so that sums stay sums:
whoever is removed is gone, and the order of recordings changes nothing.
"""

from speechgmm.mixture import UBM, Statistics

POWER = 0.5
"""1 counts every frame alike, and 0 every recording. The square root told speakers apart better than 1 on both corpora
whose recordings differ in length; 0.25 and 0.75 are no better (`recipes/benchmarks/README.md`)."""
_FRAMES = 300
"""Three seconds count as what they are; the number changes nothing but sums with those of former versions, which
counted all frames alike."""


def contribution(statistics: Statistics, power: float = POWER) -> Statistics:
    """Return what a recording adds to its speaker's statistics: its moments weighted, the number of frames as it is.

    Examples
    --------
    >>> import numpy as np
    >>> short, long = (Statistics(np.zeros(1), [n], [[n]], [[n]], 0.0, n) for n in (300.0, 4800.0))
    >>> contribution(short).counts, contribution(long).counts, contribution(long).frames
    (array([300.]), array([1200.]), 4800.0)
    """
    if not statistics.frames:
        return statistics
    return _scaled(statistics, float((statistics.frames / _FRAMES) ** (power - 1.0)))


def as_spoken(ubm: UBM, statistics: Statistics) -> Statistics:
    """Return the sum of a speaker's weighted recordings, scaled to as many frames as these have.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> ubm, zero = GMM([1.0], [[0.0]], Diagonal([[1.0]])), np.zeros(1)
    >>> short, long = (Statistics(zero, [n], [[m]], [[m]], 0.0, n) for n, m in ((300.0, 0.0), (4800.0, 4800.0)))
    >>> both = as_spoken(ubm, contribution(short) + contribution(long))
    >>> both.counts, round(float(both.first[0, 0] / both.counts[0]), 3)  # the long one is 4 / 5 of the mean
    (array([5100.]), 0.8)
    """
    counted = float(statistics.counts.sum())
    if not counted:
        return statistics
    return _scaled(statistics, statistics.frames * len(ubm.parts) / counted)


def _scaled(statistics: Statistics, scale: float) -> Statistics:
    """Return statistics scaled, with their number of frames as it is."""
    s = scale * statistics
    return Statistics.computed(s.origin, s.counts, s.first, s.second, s.log_likelihood, statistics.frames)
