"""What a speaker store keeps and tells: sessions, as values that can be added."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from speechgmm.checks import escaped, hold, instance, name, number, sequence_of
from speechgmm.mixture import Statistics


@dataclass(frozen=True, eq=False)
class Session:
    """What is kept of one sitting, call or recording of a speaker.

    Parameters
    ----------
    speaker, name : str
    statistics : Statistics
        Against the UBM of the store's system.
    speech_seconds : float
    recordings : mapping
        The digest of each recording's samples -> its name.
    """

    FORMER_FIELDS: ClassVar = {"seconds": "speech_seconds"}

    speaker: str
    name: str
    statistics: Statistics
    speech_seconds: float
    recordings: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check everything; names are held as composed text, those of recordings with what cannot be seen escaped."""
        instance(self.statistics, "the statistics of a session", Statistics)
        instance(self.recordings, "the recordings of a session", Mapping)
        sequence_of([*self.recordings, *self.recordings.values()], "digests and names of recordings", str)
        hold(
            self,
            speaker=name(self.speaker, "a speaker's name"),
            name=name(self.name, "a session's name"),
            recordings={digest: escaped(told) for digest, told in self.recordings.items()},
            speech_seconds=number(self.speech_seconds, "speech_seconds", minimum=0.0, finite=True, unit=" s"),
        )

    def __add__(self, other: "Session") -> "Session":
        """Return the session with more recordings."""
        recordings = {**self.recordings, **other.recordings}
        statistics = self.statistics + other.statistics
        return Session(self.speaker, self.name, statistics, self.speech_seconds + other.speech_seconds, recordings)

    @property
    def summary(self) -> "SessionSummary":
        """What is told of it."""
        return SessionSummary(self.speaker, self.name, self.speech_seconds, tuple(self.recordings.values()))


@dataclass(frozen=True)
class SessionSummary:
    """What is told of a session: speaker, name, seconds of speech, and the names of its recordings."""

    speaker: str
    name: str
    speech_seconds: float
    recordings: tuple[str, ...]


@dataclass(frozen=True)
class EnrolledRecording:
    """A recording in the store: the digest of its samples, its name, and the speaker and session that have it."""

    digest: str
    name: str
    speaker: str
    session: str


@dataclass(frozen=True, eq=False)
class SpeakerExport:
    """Sessions taken out of a store, with the fingerprint of the system that their statistics belong to."""

    FORMER_NAMES: ClassVar = ("Export",)
    KIND: ClassVar = "an export of speakers"

    fingerprint: str
    sessions: tuple[Session, ...]

    def __post_init__(self) -> None:
        """Check the parts, and that all statistics were taken against one model."""
        instance(self.fingerprint, "the fingerprint", str)
        sequence_of(self.sessions, "sessions", Session)
        for s in self.sessions[1:]:
            self.sessions[0].statistics.check_same(s.statistics)


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", Session, Statistics)


def sums_by_key(items: Iterable[tuple[K, V]]) -> dict[K, V]:
    """Return the sum of what each key comes with, taken in the order of the items."""
    sums: dict[K, V] = {}
    for key, value in items:
        sums[key] = sums[key] + value if key in sums else value
    return sums
