"""What a speaker store keeps and tells: sessions, as values that can be added."""

import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, cast

import numpy as np

from speechgmm import storage
from speechgmm.checks import Array, escaped, floats, hold, instance, name, number, number_of, refuse, sequence_of
from speechgmm.errors import IncompatibleModel
from speechgmm.looks import Look, Shown, some_rows, speech_of
from speechgmm.mixture import UBM, Statistics
from speechgmm.mixture.maximize import check_against
from speechgmm.mixture.model import WITHIN
from speechgmm.speakers.notes import SpeakerNote

_STEP = 2.0**-24
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class Session(Shown):
    """What is kept of one sitting, call or recording of a speaker.

    Parameters
    ----------
    speaker, name : str
    statistics : Statistics
        Against the UBM of the store's system: the sum of the `contribution` of each of its recordings.
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

    def _look(self) -> Look:
        count = number_of(len(self.recordings), "recording")
        words = repr(self.speaker), repr(self.name), count, speech_of(self.speech_seconds)
        return Look(words, {"speaker": self.speaker, "session": self.name, "recordings": count, "speech": words[-1]})

    def __add__(self, other: "Session") -> "Session":
        """Return the session with more recordings."""
        recordings = {**self.recordings, **other.recordings}
        statistics = self.statistics + other.statistics
        return Session(self.speaker, self.name, statistics, self.speech_seconds + other.speech_seconds, recordings)

    @property
    def summary(self) -> "SessionSummary":
        """What is told of it."""
        return SessionSummary(self.speaker, self.name, self.speech_seconds, tuple(self.recordings.values()))


class Moments(Protocol):
    """Counts (K,) and first moments (K, D) of a recording against the UBM of its system: `Statistics` have them too."""

    @property
    def counts(self) -> Array:
        """Frames of each component."""

    @property
    def first(self) -> Array:
        """Sums of the features, relative to the UBM's origin."""


def first_order(ubm: UBM, counts: Array, first: Array) -> Statistics:
    """Return statistics of a recording as far as means need them, from counts (K,) and first moments (K, D)."""
    n, sums = (np.array(x, dtype=np.float64) for x in (counts, first))
    return Statistics.computed(ubm.origin, n, sums, np.zeros(sums.shape), 0.0, float(n.sum()) / len(ubm.parts))


@dataclass(frozen=True, eq=False)
class RecordingSample(Shown):
    """What is kept of one recording beside its session's statistics, and forgotten with it: personal data, like these.

    Parameters
    ----------
    digest : str
        Of the recording's samples.
    speech_seconds : float
    counts : ndarray, shape (K,)
    first : ndarray, shape (K, D)
        The recording's own counts and first moments, as float32: what models of single recordings are made of.
    frames : ndarray, shape (n, S D)
        Some of its frames in random order, as float16, in deviations of the UBM: what the store is tested with.
    frame_seconds : float
        Seconds of speech that these stand for.
    measures : ndarray, shape (M,)
        How the recording measures on the scales of `familiarity`; empty where that is not known.
    """

    digest: str
    speech_seconds: float
    counts: Array
    first: Array
    frames: Array
    frame_seconds: float
    measures: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Check everything, and hold arrays as read-only."""
        instance(self.digest, "the digest of a recording", str)
        counts, first = floats(self.counts, "counts"), floats(self.first, "the first moments")
        frames = floats(self.frames, "frames", largest=_LARGEST)
        fit = counts.ndim == 1 and frames.ndim == first.ndim == 2 and len(first) == counts.size
        if not (fit and frames.size and first.size and frames.shape[1] % first.shape[1] == 0):
            found = f"{counts.shape}, {first.shape} and {frames.shape}"
            refuse("a sample of a recording", "be of shapes (K,), (K, D) and (n, S D)", found)
        if counts.min() < 0:
            refuse("counts", "be at least 0", f"{counts.min():g}")
        seconds = number(self.speech_seconds, "speech_seconds", minimum=0.0, finite=True, unit=" s")
        drawn = number(self.frame_seconds, "frame_seconds", minimum=0.0, finite=True, unit=" s")
        hold(self, counts=counts.astype(np.float32), first=first.astype(np.float32), frames=frames.astype(np.float16))
        measures = floats(self.measures, "the measures of a recording", largest=1e12)
        if measures.ndim != 1:
            refuse("the measures of a recording", "be a vector", f"shape {measures.shape}")
        hold(self, speech_seconds=seconds, frame_seconds=drawn, measures=measures)


def summable(statistics: Statistics, deviations: Array) -> Statistics:
    """Return statistics rounded so little, and so, that their sums are exact in whatever order they are taken.

    Parts of 2**-24 of a frame, and of a deviation (a power of two near it), are what double precision adds exactly up
    to 2**29 frames. So a store that has forgotten a recording holds the very bits of one that never heard it.

    Parameters
    ----------
    statistics : Statistics
    deviations : ndarray, shape (D,)
        Of the features.
    """
    unit = np.exp2(np.ceil(np.log2(deviations)))
    square = unit**2 if statistics.second.shape[1:] == unit.shape else unit[:, None] * unit
    return Statistics(
        statistics.origin,
        _rounded(statistics.counts, 1.0),
        _rounded(statistics.first, unit),
        _rounded(statistics.second, square),
        float(_rounded(np.float64(statistics.log_likelihood), 1.0)),
        statistics.frames,
    )


def summable_seconds(seconds: float) -> float:
    """Return seconds whose sums are exact."""
    return float(_rounded(np.float64(seconds), 1.0))


def _rounded(x: Any, unit: Any) -> Any:
    step = _STEP * unit
    return np.round(x / step) * step


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
class SpeakerExport(Shown):
    """What a store keeps of some speakers, as `SpeakerStore.add_export` puts it into another one.

    Parameters
    ----------
    fingerprint : str
        Of the system that the statistics belong to.
    sessions : tuple of Session
    samples : tuple of RecordingSample, or None
        What is kept of their recordings; exports of former versions have none.
    notes : mapping of SpeakerNote, or None
        What is noted of them, by name; None where nothing is.
    """

    FORMER_NAMES: ClassVar = ("Export",)
    LATER_FIELDS: ClassVar = {"samples": None, "notes": None}
    KIND: ClassVar = "an export of speakers"
    PARTS: ClassVar = (Session, Statistics, RecordingSample, SpeakerNote)

    fingerprint: str
    sessions: tuple[Session, ...]
    samples: tuple[RecordingSample, ...] | None = None
    notes: Mapping[str, SpeakerNote] | None = None

    def __post_init__(self) -> None:
        """Check the parts, and that all of them were taken against one model."""
        instance(self.fingerprint, "the fingerprint", str)
        sequence_of(self.sessions, "sessions", Session)
        for s in self.sessions[1:]:
            self.sessions[0].statistics.check_same(s.statistics)
        sequence_of(self.samples or (), "samples of recordings", RecordingSample)
        instance(self.notes or {}, "notes of an export", Mapping)
        sequence_of(list((self.notes or {}).values()), "notes of an export", SpeakerNote)
        if strangers := sorted(set(self.notes or {}) - {s.speaker for s in self.sessions}):
            refuse("a note of an export", "be of one of its speakers", repr(strangers[0]))
        known = {digest for s in self.sessions for digest in s.recordings}
        for sample in self.samples or ():
            if sample.digest not in known:
                refuse("a sample of an export", "be of a recording of its sessions", sample.digest)
            if sample.first.shape != self.sessions[0].statistics.first.shape:
                wanted = f"have moments of shape {self.sessions[0].statistics.first.shape}, as the sessions have"
                refuse("a sample of an export", wanted, sample.first.shape, error=IncompatibleModel)

    def _look(self) -> Look:
        told = self.summary()
        counts = [number_of(n, what) for n, what in ((len(told["speakers"]), "speaker"), (told["sessions"], "session"))]
        words = *counts, number_of(told["recordings"], "recording"), speech_of(told["speech_seconds"])
        rows = [(s.speaker, s.name, len(s.recordings), f"{s.speech_seconds:.1f}") for s in self.sessions]
        table = some_rows("", ("speaker", "session", ">recordings", ">speech, s"), rows)
        return Look(words, {"of the model": self.fingerprint}, (table,))

    def summary(self) -> dict[str, Any]:
        """Return how much it holds, in types that JSON holds."""
        return {
            "type": "SpeakerExport",
            "fingerprint": self.fingerprint,
            "speakers": sorted({s.speaker for s in self.sessions}),
            "sessions": len(self.sessions),
            "recordings": sum(len(s.recordings) for s in self.sessions),
            "samples": len(self.samples or ()),
            "speech_seconds": sum(s.speech_seconds for s in self.sessions),
        }


def strange_to(ubm: UBM, statistics: Statistics) -> str:
    """Return why statistics cannot have been taken against the UBM, nothing where they can."""
    try:
        check_against(statistics, ubm, "UBM")
    except IncompatibleModel as error:
        return str(error)
    far = (np.abs(statistics.first) / ubm.covariance.deviations()).max()
    return "its frames lie out of reach of the UBM" if far > WITHIN * max(statistics.frames, 1.0) else ""


def load_export(path: str | os.PathLike[str]) -> SpeakerExport:
    """Read what was saved of a `SpeakerStore.export`.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, or no speechgmm file.
    IncompatibleModel
        If it holds something else, or was written by a later version.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker="slt", split="enroll"))
    >>> speechgmm.storage.save(store.export("slt"), f"{folder.name}/slt.export")
    >>> [session.speaker for session in load_export(f"{folder.name}/slt.export").sessions]
    ['slt']
    >>> store.close()
    >>> folder.cleanup()
    """
    return cast(SpeakerExport, storage.load(path, SpeakerExport, *SpeakerExport.PARTS))


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", Session, Statistics)


def sums_by_key(items: Iterable[tuple[K, V]]) -> dict[K, V]:
    """Return the sum of what each key comes with, taken in the order of the items."""
    sums: dict[K, V] = {}
    for key, value in items:
        sums[key] = sums[key] + value if key in sums else value
    return sums
