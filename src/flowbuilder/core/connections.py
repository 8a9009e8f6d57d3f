"""Connections: what a flow calls by a name, and a project's profile describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec


class ConnectionType(msgspec.Struct, frozen=True):
    """A sort of thing to connect to: what may be said of it."""

    name: str
    summary: str
    options: Mapping[str, str]
    """Each option with what it means."""
    required: tuple[str, ...] = ()
    """Options without which it cannot be; `url` stands for all that a URL says."""
    open: bool = False
    """Any other option is taken too, and handed on to the library that connects."""
    schemes: tuple[str, ...] = ()
    """How a URL begins that means this sort."""


_NETWORK: Final = {
    "url": "All of it in one: `{scheme}://user:password@host:port/database`.",
    "host": "The machine, or the folder of a socket.",
    "port": "The port.",
    "database": "The database.",
    "user": "Who connects.",
    "password": "By a secret: `${secrets.NAME}`.",
    "pool": "The most connections at once; 8 unless given.",
    "connect_timeout": "Seconds to wait for a connection; 10 unless given.",
}

CONNECTION_TYPES: Final[Mapping[str, ConnectionType]] = MappingProxyType(
    {
        each.name: each
        for each in (
            ConnectionType(
                "sqlite",
                "A file of SQLite.",
                {"path": "The file, from the project's folder on.", "url": "`sqlite:///path`."},
                schemes=("sqlite",),
            ),
            ConnectionType(
                "duckdb",
                "A file of DuckDB, or `:memory:`.",
                {"path": "The file, from the project's folder on.", "url": "`duckdb:///path`."},
                schemes=("duckdb",),
            ),
            ConnectionType(
                "postgres",
                "A PostgreSQL server.",
                {**_NETWORK, "sslmode": "`disable`, `prefer`, `require`, `verify-full`, …"},
                schemes=("postgres", "postgresql"),
                open=True,
            ),
            ConnectionType(
                "mysql",
                "A MySQL or MariaDB server.",
                {**_NETWORK, "socket": "The path of a socket.", "charset": "`utf8mb4` unless given."},
                schemes=("mysql", "mariadb"),
            ),
            ConnectionType(
                "smtp",
                "A server that takes mail.",
                {
                    "url": "`smtp://user:password@host:port`, or `smtps://…`.",
                    "host": "The machine.",
                    "port": "587 unless given; 465 with `tls: implicit`, 25 with `tls: none`.",
                    "user": "Who logs in.",
                    "password": "By a secret: `${secrets.NAME}`.",
                    "tls": "`starttls` (unless given), `implicit`, or `none`.",
                    "verify": "Whether the server's certificate is checked; a file with those to trust.",
                    "from": "The sender of mails that name none.",
                    "connect_timeout": "Seconds to wait for a connection; 10 unless given.",
                },
                schemes=("smtp", "smtps"),
            ),
            ConnectionType(
                "files",
                "Files anywhere: options of the fsspec file system.",
                {
                    "url": "Where paths start: `s3://bucket/folder`, `memory://`, `file:///data`.",
                    "protocol": "The fsspec protocol, where there is no `url`.",
                },
                open=True,
            ),
        )
    }
)
"""The sorts of connections, by name."""

_SECRETIVE: Final = ("password", "passwd", "secret", "token", "key", "credential", "pass")
"""An option with one of these words in its name is never shown."""


class Connection(msgspec.Struct, frozen=True):
    """A connection with everything filled in.  Not to be shown, logged or journaled."""

    name: str
    type: str
    options: Mapping[str, Any]
    folder: str = ""
    """Where relative paths start: the project's folder."""

    def __repr__(self) -> str:
        return f"Connection({self.name!r}, {self.type!r})"  # never an option: a repr ends up in logs

    def get(self, option: str, default: Any = None) -> Any:
        """Return an option."""
        return self.options.get(option, default)


def from_url(name: str, url: str, folder: str = "") -> Connection | None:
    """Return the connection that a URL describes; None where its beginning means none."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    for each in CONNECTION_TYPES.values():
        if scheme in each.schemes:
            return Connection(name, each.name, {"url": url}, folder)
    return None


def spread(connection: Connection) -> Connection:
    """Return a connection whose `url` is taken apart into options; those that are given win.

    Raises:
        ValueError: if the URL is none; the message shows nothing of it.
    """
    url = connection.options.get("url")
    if not isinstance(url, str) or connection.type == "files":
        return connection
    if connection.type in ("sqlite", "duckdb"):
        # sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory:
        path = url.partition("://")[2]
        found: dict[str, Any] = {"path": unquote(path.removeprefix("/")) or ":memory:"}
    else:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(
                "its 'url' cannot be read: is there a '/', '@' or '#' in the password?"
            ) from None
        found = {
            "host": parts.hostname,
            "port": port,
            "user": unquote(parts.username) if parts.username is not None else None,
            "password": unquote(parts.password) if parts.password is not None else None,
            "database": unquote(parts.path.removeprefix("/")) or None,
            **dict(parse_qsl(parts.query)),
        }
        if parts.scheme == "smtps":
            found["tls"] = "implicit"
        if connection.type == "smtp":
            found.pop("database")
        found = {key: value for key, value in found.items() if value is not None}
    rest = {key: value for key, value in connection.options.items() if key != "url"}
    return msgspec.structs.replace(connection, options={**found, **rest})


def sensitive_values(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts among options that nobody may see: passwords, keys, tokens, also those inside a URL."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from sensitive_values(value)
        elif isinstance(value, str):
            if is_sensitive(name):
                yield value
            elif "://" in value:
                password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
                if password:
                    yield password
                    if unquote(password) != password:
                        yield unquote(password)


def is_sensitive(option: str) -> bool:
    """Tell whether an option's value is not to be shown."""
    return any(word in option.lower() for word in _SECRETIVE)


def shown_url(url: str) -> str:
    """Return a URL without its password.

    Example:
        >>> shown_url("postgres://me:hush@db/shop")
        'postgres://me:***@db/shop'
    """
    scheme, mark, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    if not at:
        return url
    user, colon, _ = login.partition(":")
    return f"{scheme}{mark}{user}{':***' if colon else ''}@{place}"
