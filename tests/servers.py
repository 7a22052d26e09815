"""A PostgreSQL server for the tests: Debian's, on a port of the loopback interface, in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "/none")]


def missing() -> str:
    """Why no server can be started, if it cannot."""
    if not FOUND[-1].exists():
        return "no PostgreSQL server is installed"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    return ""


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a server, yield its URL, and stop it. It refuses to run as root: then it runs as another user."""
    programs = FOUND[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="speechgmm-pg-"))
    user = None
    if os.geteuid() == 0:
        user = next(name for name in ("postgres", "nobody") if _known(name))
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"

    def run(program: str, *words: str) -> None:
        environment = {**os.environ, "LC_ALL": "C"}
        command = [str(programs / program), "-D", str(data), *words]
        done = subprocess.run(command, user=user, env=environment, cwd=folder, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("initdb", "--username=tester", "--auth=trust", "--encoding=UTF8", "--no-sync")
        run("pg_ctl", "-w", "-o", settings, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
