"""A store that another process holds: say so after a second, and refuse in words when patience is at its end."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from speechgmm.checks import refuse
from speechgmm.errors import StoreInUse

SOON = 1.0
"""How long nothing is said, in seconds."""

_STEP, _PAUSE = 0.015, 0.01
"""How long SQLite looks for a store that is held, more and more seldom, and at most what is slept then, in seconds."""

OnWait = Callable[[str], None]
"""Called once, from another thread, with the place of a store that has been waited for so long."""


def tell_of_waiting(sqlalchemy: Any, engine: Any, location: str, on_wait: OnWait) -> None:
    """Call `on_wait` when a statement of SQLite, or the begin or end of a transaction, takes longer than `SOON`.

    Whoever listens to begin a transaction listens after this.
    """
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

    listeners = {"begin": begin, "before_cursor_execute": begin, "after_cursor_execute": end, "commit": begin}
    for name, then in listeners.items():
        sqlalchemy.event.listen(engine, name, then)
    sqlalchemy.event.listen(engine, "handle_error", failed)
    sqlalchemy.event.listen(engine, "checkin", lambda dbapi, record: end(record))


def begin_to_write(connection: Any, statement: str, patience: float) -> None:
    """Begin a transaction of SQLite that keeps other writers out, after waiting for them.

    SQLite looks more and more seldom, in the end ten times a second. Of eight processes that write without a pause, one
    waited for 40 s so; where each looks at random moments, but often, for 5 s (``pytest -m campaign
    tests/speakers/test_many_at_once.py``).
    """
    driver, by_chance = connection.connection.dbapi_connection, random.SystemRandom()
    until = time.monotonic() + patience
    driver.execute(f"pragma busy_timeout = {1000 * min(_STEP, patience):.0f}")
    while True:
        try:
            driver.execute(statement)
            break
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                connection.exec_driver_sql(statement)  # which says so in the words of all others
                break
        time.sleep(by_chance.uniform(0, _PAUSE))
    driver.execute(f"pragma busy_timeout = {1000 * patience:.0f}")


def refuse_held(location: str, why: str, patience: float) -> None:
    """Refuse a store that another process holds, if that is what SQLite says."""
    if "database is locked" in why:
        advice = "Wait until that is done, or end it."
        rule, found = f"be free within {patience:g} s", "one that another process holds"
        refuse(f"the store {location}", rule, found, advice, error=StoreInUse)
