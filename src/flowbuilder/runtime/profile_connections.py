"""Connections of a profile: whether their descriptions will do, and with their secrets filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core.connections import CONNECTION_TYPES, Connection, from_url, sensitive_values, spread
from flowbuilder.core.errors import TaskFailed
from flowbuilder.runtime.profile_file import SECRET, Problem, Profile, texts_in
from flowbuilder.runtime.secrets import SecretsUnreadable

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan


class Connections:
    """What profiles describe, with the secrets of a project.

    Args:
        secrets: values by name.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def lacking(self, plan: FlowPlan, profile: Profile) -> Iterator[Problem]:
        """Yield what a flow's connections lack in a profile."""
        for name, type in plan.connections.items():
            described = profile.connections.get(name)
            if described is None:
                hint = (
                    nearest(name, profile.connections)
                    or f"add [profiles.{profile.name or 'dev'}.connections.{name}]"
                )
                what = f"there is no connection '{name}', which flow '{plan.name}' needs"
                yield (profile.place("connections"), what, hint)
            elif type is not None and (found := self.type_of(described)) != type:
                what = f"the connection '{name}' is of type '{found}', and flow '{plan.name}' needs '{type}'"
                yield (profile.place("connections", name, "type"), what, "")
            else:
                yield from self.check(profile, name)

    def filled(self, profile: Profile, name: str) -> Connection:
        """Return a connection of a profile, with its secrets filled in.

        Raises:
            TaskFailed: `connection` if it is wrong, or a secret has no value.
        """
        if problems := list(self.check(profile, name)):
            raise TaskFailed("connection", "; ".join(what for _, what, _ in problems))
        described = profile.connections[name]
        options = {key: self._fill(value, key) for key, value in described.items() if key != "type"}
        return spread_out(Connection(name, self.type_of(described), options, str(profile.project)))

    def check(self, profile: Profile, name: str) -> Iterator[Problem]:
        """Yield what is wrong with the description of a connection."""
        described = profile.connections[name]
        where, what = profile.place("connections", name), f"the connection '{name}'"
        type = self.type_of(described)
        if not type:
            yield (where, f"{what} has no 'type'", "there are " + ", ".join(CONNECTION_TYPES))
            return
        known = CONNECTION_TYPES.get(type)
        if known is None:
            hint = nearest(type, CONNECTION_TYPES) or "there are " + ", ".join(CONNECTION_TYPES)
            at = profile.place("connections", name, "type")
            yield (at, f"{what} is of no known type: '{type[:40]}'", hint)
            return
        for option in described:
            if option != "type" and option not in known.options and not known.open:
                hint = nearest(option, known.options) or "it takes " + ", ".join(known.options)
                at = profile.place("connections", name, option)
                yield (at, f"{what}: a connection of type '{type}' has no '{option}'", hint)
        for secret in _secret_names(described):
            if not self._secrets.get(secret):
                hint = f"set FLOWBUILDERSECRET_{secret}, or write it into .flowbuilder/secrets.toml"
                yield (where, f"{what} needs the secret '{secret}', which has no value", hint)

    @staticmethod
    def type_of(described: Mapping[str, Any]) -> str:
        """Return the type of a connection: as it says, else by its URL; empty where it has none."""
        type = described.get("type")
        if type is None and isinstance(url := described.get("url"), str):
            found = from_url("", url)
            return found.type if found is not None else ""
        return str(type or "")

    def _fill(self, value: Any, option: str) -> Any:
        """Return an option with its secrets in it; within a URL they are percent-encoded."""
        if isinstance(value, str):
            if option == "url":
                return re.sub(SECRET, lambda match: quote(self._secrets.get(match[1]) or "", safe=""), value)
            return re.sub(SECRET, lambda match: self._secrets.get(match[1]) or "", value)
        if isinstance(value, dict):
            return {key: self._fill(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner, option) for inner in value]
        return value

    def secrets_in(self, profile: Profile, names: Iterator[str] | Mapping[str, Any]) -> dict[str, str]:
        """Return the values in connections that must not be seen, by any names."""
        found: dict[str, str] = {}
        for name in names:
            described = profile.connections.get(name, {})
            for secret in _secret_names(described):
                value = self._secrets.get(secret)
                if value:
                    found[f"secrets.{secret}"] = value
            try:
                options = {key: self._fill(value, key) for key, value in described.items()}
            except (TaskFailed, SecretsUnreadable):
                continue
            for number, value in enumerate(sensitive_values(options)):
                found[f"connections.{name}.{number}"] = value
        return found


def spread_out(connection: Connection) -> Connection:
    """Return a connection whose `url` is taken apart.

    Raises:
        TaskFailed: `connection` if the URL is none.
    """
    try:
        return spread(connection)
    except ValueError as error:
        raise TaskFailed("connection", f"the connection '{connection.name}': {error}") from None


def _secret_names(described: Mapping[str, Any]) -> dict[str, None]:
    return dict.fromkeys(name for text in texts_in(described) for name in re.findall(SECRET, text))
