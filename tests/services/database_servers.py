"""Real database servers for tests: started on this machine's loopback, in a folder of their own, and ended with them.

PostgreSQL's and MariaDB's programs come from the machine's packages; the
Makefile installs them where it may.  Where they are missing a test is
skipped, but never under CI, where it fails.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def program(name: str, *folders: str) -> str:
    """Return the path of a program, or skip the test."""
    places = [path for pattern in folders for path in sorted(glob.glob(f"{pattern}/{name}"), reverse=True)]
    found = places[0] if places else shutil.which(name)
    if found is None:
        why = f"'{name}' is not installed: apt-get install postgresql mariadb-server-core"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


def as_nobody(folder: Path) -> dict[str, int]:
    """Return how a server is started: database servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    for parent in folder.parents:
        with contextlib.suppress(OSError):
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def prepare(command: list[str], folder: Path, who: dict[str, int]) -> None:
    """Run what makes a server's files."""
    made = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **who)  # type: ignore[call-overload]
    assert made.returncode == 0, made.stdout + made.stderr


@contextlib.contextmanager
def serving(command: list[str], folder: Path, ready: str, who: dict[str, int]) -> Iterator[None]:
    """Run a server until the test is done with it."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **who)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + PATIENCE
        while ready not in (said := (folder / "server.log").read_text("utf-8", "replace")):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.05)  # a server tells nobody but its log
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGQUIT if "postgres" in command[0] else signal.SIGKILL)
        process.wait(20)


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; yields its URL."""
    places = ("/usr/lib/postgresql/*/bin", "/usr/local/bin")
    initdb, postgres = program("initdb", *places), program("postgres", *places)
    folder.mkdir(parents=True)
    who = as_nobody(folder)
    data = folder / "data"
    prepare(
        [initdb, "-D", str(data), "-U", "flow", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        folder,
        who,
    )
    port = free_port()
    command = [
        postgres,
        "-D",
        str(data),
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        str(folder),
        "-c",
        "fsync=off",
    ]
    with serving(command, folder, "ready to accept connections", who):
        yield f"postgresql://flow@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def mysql_server(folder: Path) -> Iterator[str]:
    """Run MariaDB; yields the URL of a database with a user and a password."""
    install, server = program("mariadb-install-db", "/usr/bin"), program("mariadbd", "/usr/sbin")
    folder.mkdir(parents=True)
    who = as_nobody(folder)
    data, user = folder / "data", "nobody" if who else pwd.getpwuid(os.geteuid()).pw_name
    prepare(
        [
            *(install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"),
            *("--skip-test-db", f"--user={user}", f"--tmpdir={folder}"),
        ],
        folder,
        who,
    )
    (folder / "init.sql").write_text(
        "CREATE DATABASE shop CHARACTER SET utf8mb4;\nCREATE USER 'flow'@'127.0.0.1' IDENTIFIED BY 'p@ss/word';\n"
        "GRANT ALL ON *.* TO 'flow'@'127.0.0.1';\n"
    )
    (folder / "init.sql").chmod(0o644)
    port = free_port()
    command = [
        *(server, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"),
        *(f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}", "--skip-name-resolve"),
        *(f"--init-file={folder / 'init.sql'}", "--innodb-flush-log-at-trx-commit=0"),
    ]
    with serving(command, folder, "ready for connections", who):
        yield f"mysql://flow:p%40ss%2Fword@127.0.0.1:{port}/shop"
