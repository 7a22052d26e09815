"""What a store knows beside voices: what people have agreed to and until when, and what was done to the store."""

import datetime
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from speechgmm.checks import hold, instance, refuse, visible


@dataclass(frozen=True)
class SpeakerNote:
    """What was noted of a speaker: personal data, forgotten with the speaker.

    Parameters
    ----------
    consent : str
        What the speaker has agreed to, and where that is written.
    note : str
    keep_until : str or date
        The last day, as ISO 8601 has it (2027-01-31); the day after, `SpeakerStore.purge` forgets the speaker. Empty:
        no such day.

    Examples
    --------
    >>> note = SpeakerNote(consent="signed, see folder 7", keep_until="2027-01-31")
    >>> note.due("2027-01-31"), note.due("2027-02-01")
    (False, True)
    """

    consent: str = ""
    note: str = ""
    keep_until: str = ""

    def __post_init__(self) -> None:
        """Check everything."""
        last: Any = self.keep_until
        for what in ("consent", "note"):
            instance(getattr(self, what), what, str)
            hold(self, **{what: visible(getattr(self, what), what)})
        hold(self, keep_until=day(last, "keep_until") if last else "")

    def due(self, on: str) -> bool:
        """Say whether the speaker is to be forgotten on this day."""
        return bool(self.keep_until) and self.keep_until < on

    def dumps(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> "SpeakerNote":
        """Read what `dumps` gave.

        Raises
        ------
        InvalidInput
            If it is something else.
        """
        try:
            told = json.loads(text)
        except ValueError:
            told = None
        if not isinstance(told, dict) or set(told) != {f.name for f in fields(cls)}:
            refuse("what was noted of a speaker", "be as this version writes it", f"{len(text)} other characters")
        return cls(**told)


@dataclass(frozen=True)
class AuditEntry:
    """What was done to a store, without names: how many of what an action has put, changed or removed.

    Parameters
    ----------
    number : int
        1 for the first; none is missing in between.
    time : str
        In UTC, as ISO 8601 has it, to the second.
    version : str
        Of speechgmm.
    action : str
        Such as ``enroll``, ``remove`` or ``purge``.
    speakers, sessions, recordings : int
    """

    number: int
    time: str
    version: str
    action: str
    speakers: int
    sessions: int
    recordings: int


def day(value: Any, what: str) -> str:
    """Return a day as ISO 8601 has it (2027-01-31), or refuse it."""
    text = value.isoformat() if isinstance(value, datetime.date) else value  # with a time, where it has one
    try:
        if not isinstance(text, str) or datetime.date.fromisoformat(text).isoformat() != text:
            raise ValueError
    except ValueError:
        refuse(what, "be a day as YEAR-MONTH-DAY", repr(value), "For example 2027-01-31.")
    return text
