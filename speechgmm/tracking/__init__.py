"""Objects that move from one video frame to the next, followed by a mixture with one component for each."""

from speechgmm.tracking.track import Points, Tracked, track

__all__ = ["Points", "Tracked", "track"]
