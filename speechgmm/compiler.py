"""Where numba keeps compiled code of this package: beside it, at home, or else in a temporary folder.

numba keeps code beside the source or in the user's cache folder. Where neither can be written (a service without a
home, an installation that belongs to root) it refuses to begin, and what a crash left half written it cannot read. Call
`prepare_cache` before a compiled loop is imported.
"""

import contextlib
import functools
import os
import stat
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

from speechgmm.checks import refuse
from speechgmm.errors import SpeechGMMWarning

__all__ = ["prepare_cache"]

_VARIABLE = "NUMBA_CACHE_DIR"


_ONE = threading.Lock()
"""Threads that read recordings ask at once: one imports numba, which is not to be seen half imported."""


def prepare_cache() -> None:
    """Let numba keep code where this user may write, and compile again what is damaged.

    Raises
    ------
    InvalidInput
        If not even a temporary folder can be written.

    Warns
    -----
    SpeechGMMWarning
        When a temporary folder is made for it.
    """
    with _ONE:
        _prepare()


@functools.cache
def _prepare() -> None:
    import numba
    from numba.core import caching

    settings: Any = numba.config
    for method in ("load_overload", "save_overload"):
        setattr(caching.Cache, method, _tolerant(getattr(caching.Cache, method)))
    if not (_writable(settings.CACHE_DIR or None) or _writable(_beside()) or _writable(_home())):
        os.environ[_VARIABLE] = settings.CACHE_DIR = str(_temporary())


def _temporary() -> Path:
    """Return a temporary folder that belongs to this user alone, because code is read from it."""
    try:
        folder = Path(tempfile.gettempdir()) / f"speechgmm-{os.getuid()}"
        new = not folder.exists()
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (_private(folder) and _writable(folder)):
            folder, new = Path(tempfile.mkdtemp(prefix="speechgmm-")), True
    except OSError as error:
        advice = f"Set {_VARIABLE} to such a folder."
        refuse("a folder for compiled code", "be one that can be written", f"none ({error.strerror})", advice)
    if new:
        why = "neither the installation nor a cache at home can be written"
        advice = f"The first use takes longer. Set {_VARIABLE} to keep it elsewhere."
        message = f"compiled code is kept in {folder}, as {why}. {advice}"
        warnings.warn(message, SpeechGMMWarning, 3)
    return folder


def _tolerant(method: Any) -> Any:
    """Return a method of numba's cache for which what cannot be read or written is not there: code is compiled anew."""

    @functools.wraps(method)
    def tolerant(self: Any, *args: Any) -> Any:
        try:
            return method(self, *args)
        except Exception:
            with contextlib.suppress(OSError):
                self.flush()
            return None

    return tolerant


def _beside() -> Path:
    """Return the folder for compiled code beside the source."""
    return Path(__file__).parent / "mixture" / "compiled" / "__pycache__"


def _home() -> Path | None:
    """Return the folder under the user's caches, if there is a home."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    with contextlib.suppress(RuntimeError):
        return (Path(caches) if caches else Path.home() / ".cache") / "numba"
    return None


def _writable(folder: str | Path | None) -> bool:
    if folder is None:
        return False
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _private(folder: Path) -> bool:
    """Say whether a folder is one of this user's own, in which nobody else may write."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
