"""What a store holds and cannot give: sessions that are damaged are named and left out, and the others go on.

In Python a `DamagedSessionWarning` says so, `SpeakerStore.damaged` and `SpeakerModels.damaged` list them.
"""

import shlex
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn

from speechgmm.checks import escaped, refuse
from speechgmm.errors import DamagedSessionWarning
from speechgmm.mixture import UBM
from speechgmm.speakers.sessions import Session, strange_to


@dataclass(frozen=True)
class DamagedSession:
    """A session that cannot be read, or that contradicts itself.

    Parameters
    ----------
    speaker, name : str
        As the store has them; they may be what is damaged.
    reason : str
        What was found.
    removal : str
        The command that removes it, so that it can be enrolled anew.
    """

    speaker: str
    name: str
    reason: str
    removal: str

    @classmethod
    def of(cls, speaker: str, name: str, reason: str, location: str) -> "DamagedSession":
        """Return it with the command for the store at this location."""
        words = ["--session", _shell(name), "--store", _shell(location)]
        words = [*words, "--", _shell(speaker)] if speaker.startswith("-") else [_shell(speaker), *words]
        return cls(speaker, name, reason, " ".join(["speechgmm speakers remove", *words]))

    @property
    def told(self) -> dict[str, str]:
        """What JSON says of it."""
        return {"speaker": self.speaker, "session": self.name, "error": self.reason, "removal": self.removal}

    def __str__(self) -> str:
        """Return what to know and to do, in one line."""
        return (
            f"session {escaped(self.name)} of {escaped(self.speaker)} is damaged and left out: {self.reason}. "
            f"Remove it, and enroll it anew: {self.removal}"
        )


def against(ubm: UBM, session: Session | DamagedSession, location: str) -> Session | DamagedSession:
    """Return a session, as a damaged one where its statistics cannot have been taken against the UBM."""
    if isinstance(session, Session) and (why := strange_to(ubm, session.statistics)):
        return DamagedSession.of(session.speaker, session.name, why, location)
    return session


@dataclass(frozen=True)
class StoreCheck:
    """What `SpeakerStore.check` has found.

    Parameters
    ----------
    fingerprint : str
        Of the system that the store is of.
    sessions, recordings : int
        How many sessions could be read, and how many recordings these have.
    damaged : tuple of DamagedSession
    faults : tuple of str
        What is wrong with the file itself, and with what is noted of speakers.
    """

    fingerprint: str
    sessions: int
    recordings: int
    damaged: tuple[DamagedSession, ...]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.told

    @property
    def told(self) -> tuple[str, ...]:
        """Everything that is wrong, in words."""
        return (*map(str, self.damaged), *self.faults)


def warn_of(damaged: Collection[DamagedSession]) -> None:
    """Warn of sessions that are left out, in one warning."""
    if damaged:
        warnings.warn("; ".join(map(str, damaged)), DamagedSessionWarning, stacklevel=3)


def refuse_damaged(what: str, damaged: Collection[DamagedSession]) -> NoReturn:
    """Refuse work that needs sessions which are damaged."""
    first = next(iter(damaged))
    more = f" ({len(damaged)} in all)" if len(damaged) > 1 else ""
    found = f"session {escaped(first.name)} of {escaped(first.speaker)}{more}: {first.reason}"
    refuse(what, "be whole", found, f"Remove it, and enroll it anew: {first.removal}")


def _shell(text: str) -> str:
    """Return text as one word of a shell, with escapes for bytes that are no text."""
    if text.isprintable():
        return shlex.quote(text)
    data = text.encode("utf-8", "surrogateescape")
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"$'{plain}'"
