"""Objects that move from one video frame to the next, followed by a mixture with one component for each."""

from speechgmm.tracking.points import WeightedPoints
from speechgmm.tracking.track import Tracked, track

__all__ = ["Tracked", "WeightedPoints", "track"]
