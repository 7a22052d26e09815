"""A store that another process holds: say so after a second, and refuse in words when patience is at its end."""

import threading
from collections.abc import Callable
from typing import Any

from speechgmm.checks import refuse

SOON = 1.0
"""How long nothing is said, in seconds."""

OnWait = Callable[[str], None]
"""Called once, from another thread, with the place of a store that has been waited for so long."""


def tell_of_waiting(sqlalchemy: Any, engine: Any, location: str, on_wait: OnWait) -> None:
    """Call `on_wait` when a statement of SQLite, or the end of a transaction, takes longer than `SOON`."""
    said = threading.Event()

    def say() -> None:
        if not said.is_set():
            said.set()
            on_wait(location)

    def begin(connection: Any, *_: Any) -> None:
        end(connection)
        timer = connection.info["speechgmm_waiting"] = threading.Timer(SOON, say)
        timer.daemon = True
        timer.start()

    def end(connection: Any, *_: Any) -> None:
        if timer := connection.info.pop("speechgmm_waiting", None):
            timer.cancel()

    def failed(context: Any) -> None:
        if context.connection is not None:  # else there is none: the file cannot be opened
            end(context.connection)

    for name, then in {"before_cursor_execute": begin, "after_cursor_execute": end, "commit": begin}.items():
        sqlalchemy.event.listen(engine, name, then)
    sqlalchemy.event.listen(engine, "handle_error", failed)
    sqlalchemy.event.listen(engine, "checkin", lambda dbapi, record: end(record))


def refuse_held(location: str, why: str, patience: float) -> None:
    """Refuse a store that another process holds, if that is what SQLite says."""
    if "database is locked" in why:
        advice = "Wait until that is done, or end it."
        refuse(f"the store {location}", f"be free within {patience:g} s", "one that another process holds", advice)
