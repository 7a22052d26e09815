"""Rows of a speaker store as they stand there, and the conditions that find them. SQLAlchemy itself is handed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Key = tuple[str, str]
"""Speaker and session, as composed text."""
Place = tuple[Any, Any]
"""What stands in the columns of speaker and session."""


class SessionRow(NamedTuple):
    """What stands beside the value of a session, and how long that is: a session that is written has another one."""

    speaker: Any
    session: Any
    revision: Any
    seconds: Any
    length: Any


class RecordingRow(NamedTuple):
    """What stands in the row of a recording."""

    digest: Any
    name: Any
    speaker: Any
    session: Any


class WantedSession(NamedTuple):
    """A session that is asked for: its key, where it stands, and its recordings, digest -> name."""

    key: Key
    place: Place
    recordings: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class StoredSession:
    """A session as it was found: its row of seconds and value, None where there is none, or what the database said."""

    wanted: WantedSession
    row: Any
    error: str = ""


def at_place(sa: Any, table: Any, place: Place) -> list[Any]:
    """Return the conditions on rows at a place, whatever stands there."""
    return [stands(sa, column, value) for column, value in zip((table.c.speaker, table.c.session), place, strict=True)]


def stands(sa: Any, column: Any, value: Any) -> Any:
    """Return the condition on rows in which a value stands in a column, whatever it is."""
    if isinstance(value, str) and not is_unicode(value):  # bytes that are no text, compared as they are
        value = sa.cast(sa.literal(value.encode("utf-8", "surrogateescape"), sa.LargeBinary), sa.Text)
    return column.is_not_distinct_from(value)


def is_unicode(text: str) -> bool:
    """Return whether text is of characters alone, without bytes that were none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
