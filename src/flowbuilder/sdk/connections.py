"""Trying connections: really connecting, and saying how to mend what is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.connections import sensitive_values
from flowbuilder.core.errors import FlowBuilderError, TaskFailed
from flowbuilder.core.masking import Masker

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.runtime.profile_file import Profile
    from flowbuilder.runtime.profiles import Profiles

PATIENCE: Final = 15.0
"""Seconds until a connection counts as one that does not answer."""
_HINTS: Final = (
    (
        ("refused", "connect call failed"),
        "nobody listens there: is the server running, are host and port right?",
    ),
    (
        ("could not translate", "name or service not known", "nodename", "getaddrinfo", "name resolution"),
        "is the host's name right?",
    ),
    (
        ("password", "authentication", "login", "access denied"),
        "look at 'user' and 'password', and at the secret behind it",
    ),
    (("certificate", "ssl", "tls"), "look at 'tls', 'sslmode' and 'verify'"),
    (("does not exist", "unknown database"), "look at 'database'"),
    (("not installed",), ""),
    (("timed out", "timeout", "no answer"), "is a firewall between here and there?"),
    (
        ("unable to open", "no folder", "cannot be opened", "no file"),
        "look at 'path': it starts at the project's folder",
    ),
)
_BY_KIND: Final = {
    "email.connect": "no mail server answers there as it should: look at 'host', and at 'port' with 'tls': "
    "587 with starttls, 465 with implicit, 25 with none",
    "email.login": "look at 'user' and 'password', and at the secret behind it",
    "email.tls": "look at 'tls' and 'verify': port 465 wants `tls = \"implicit\"`, 587 `starttls`",
}
"""What to look at, by the kind of a failure whose words say nothing of it."""


class Tried(msgspec.Struct, frozen=True):
    """How it went with a connection."""

    name: str
    type: str
    what: str = ""
    """What is there: a version, and how long it took."""
    problem: str = ""
    hint: str = ""
    where: str = ""
    """Where it is described."""


async def try_connections(profiles: Profiles, profile: Profile, names: Sequence[str]) -> list[Tried]:
    """Connect to each, all at once."""
    return list(await asyncio.gather(*(_try(profiles, profile, name) for name in names)))


async def _try(profiles: Profiles, profile: Profile, name: str) -> Tried:
    type = profiles.connections.type_of(profile.connections[name])
    problems = list(profiles.connections.check(profile, name))
    if problems:
        where, _, hint = problems[0]
        return Tried(name, type, problem="; ".join(what for _, what, _ in problems), hint=hint, where=where)
    tried = await _reach(profiles, profile, name, type)
    return msgspec.structs.replace(tried, where=profile.place("connections", name))


async def _reach(profiles: Profiles, profile: Profile, name: str, type: str) -> Tried:
    hidden: list[str] = []
    try:
        connection = profiles.connections.filled(profile, name)
        hidden = list(sensitive_values(connection.options))
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            what = await _connect(connection)
        return Tried(name, type, f"{what}, {(time.monotonic() - began) * 1000:.0f} ms")
    except TimeoutError:
        return _failed(name, type, f"no answer within {PATIENCE:g} s", hidden)
    except TaskFailed as error:
        return _failed(name, type, error.message, hidden, error.kind)
    except FlowBuilderError as error:
        return _failed(name, type, str(error), hidden)
    except Exception as error:  # what a library raises is of any kind; nobody gets a traceback for it
        return _failed(name, type, f"{error.__class__.__name__}: {error}", hidden)


def _failed(name: str, type: str, problem: str, hidden: list[str], kind: str = "") -> Tried:
    masked = Masker({str(number): value for number, value in enumerate(hidden)}).text(problem)
    lower = masked.lower()
    by_kind = _BY_KIND.get(
        kind, f"`flowbuilder connections list` shows what was asked for; is '{name}' described right?"
    )
    hint = next((hint for words, hint in _HINTS if any(word in lower for word in words)), by_kind)
    return Tried(name, type, problem=masked, hint=hint)


async def _connect(connection: Connection) -> str:
    if connection.type == "smtp":
        from flowbuilder.tasks.email import send  # each sort brings its own library

        await send(connection, None, [])
        return (
            f"logged in at {connection.get('host')}"
            if connection.get("user")
            else f"{connection.get('host')} answers"
        )
    if connection.type == "files":
        return await asyncio.to_thread(_look, connection)
    from flowbuilder.tasks.sql import open_database  # each sort brings its own library

    database: Any = open_database(connection)
    try:
        return str(await database.version())
    finally:
        await database.close()


def _look(connection: Connection) -> str:
    """Look at what lies where a connection's paths start."""
    from pathlib import Path

    from flowbuilder.tasks.local_files import LocalFiles
    from flowbuilder.tasks.remote_files import RemoteFiles

    url = str(connection.get("url") or "")
    protocol = str(connection.get("protocol") or "") or url.partition("://")[0] * ("://" in url)
    if protocol in ("", "file", "local"):
        folder = Path(connection.folder) / url.removeprefix("file://")
        if not folder.is_dir():
            raise TaskFailed("connection", f"there is no folder {folder}")
        found = LocalFiles(lambda path: folder / path, folder).entries(".", recursive=False)
    else:
        options = {key: value for key, value in connection.options.items() if key not in ("url", "protocol")}
        found = RemoteFiles(url or f"{protocol}://", options).entries("", recursive=False)
    return f"{len(found)} entries"
