"""What a speaker store keeps and tells: sessions, as values that can be added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speechgmm import storage
from speechgmm.checks import refuse
from speechgmm.mixture import Statistics

__all__ = ["Export", "Held", "Session", "read_session"]


@dataclass(frozen=True, eq=False)
class Session:
    """What is kept of one sitting, call or recording of a speaker.

    Parameters
    ----------
    speaker, name : str
    statistics : Statistics
        Against the UBM of the store's system.
    seconds : float
        Speech, in seconds.
    recordings : mapping
        The digest of each recording's samples -> its name.
    """

    speaker: str
    name: str
    statistics: Statistics
    seconds: float
    recordings: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check the names."""
        for what, value in (("a speaker's name", self.speaker), ("a session's name", self.name)):
            if not value.strip() or any(c in value for c in "\t\r\n"):
                refuse(what, "be text without tabs and line breaks", repr(value))

    def __add__(self, other: Session) -> Session:
        """Return the session with more recordings."""
        recordings = {**self.recordings, **other.recordings}
        statistics = self.statistics + other.statistics
        return Session(self.speaker, self.name, statistics, self.seconds + other.seconds, recordings)


@dataclass(frozen=True)
class Held:
    """What a store says of a session: speaker, name, seconds of speech, and the names of its recordings."""

    speaker: str
    name: str
    seconds: float
    recordings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Export:
    """Sessions taken out of a store, with the fingerprint of the system that their statistics belong to."""

    fingerprint: str
    sessions: tuple[Session, ...]


def read_session(row: bytes) -> Session:
    """Return the session of one row of the store."""
    session: Session = storage.loads(row, Session, Statistics, source="a row of the store")
    return session
