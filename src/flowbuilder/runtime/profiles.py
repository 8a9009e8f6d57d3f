"""A project's profiles: values for `config`, and descriptions of `connections`, by name.

```toml
profile = "dev"                      # the one that holds unless another is named

[profiles.dev.config]
limit = 10

[profiles.dev.connections.shop]
type = "postgres"
url = "postgres://shop:${secrets.SHOP_PASSWORD}@localhost/shop"
```

They stand in `flowbuilder.toml`, which is read again when it has changed.  A
run keeps its profile's name and the values of its `config`; connections are
looked up when they are used, so that a password which was replaced holds at
once, and none is ever journaled.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from flowbuilder.core.connections import CONNECTION_TYPES, Connection, from_url, sensitive_values, spread
from flowbuilder.core.errors import InputError, ProfileError, TaskFailed
from flowbuilder.runtime.project import SETTINGS, find_project
from flowbuilder.runtime.secrets import SecretsUnreadable

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.start import Start

VARIABLE: Final = "FLOWBUILDER_PROFILE"
DEFAULT: Final = "default"
NAMED: Final = "named"
_SECRET: Final = r"\$\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}"
_KEYS: Final = ("config", "connections")

Problem = tuple[str, str, str]


class Profile(msgspec.Struct, frozen=True):
    """One profile of a project, as it is written."""

    name: str | None
    """None where the project has none."""
    project: Path
    config: Mapping[str, Any] = {}
    connections: Mapping[str, Mapping[str, Any]] = {}
    source: str = ""
    """Who has chosen it, in words."""

    @property
    def where(self) -> str:
        """Where it stands, in words."""
        path = self.project / SETTINGS
        return f"{path}, profile '{self.name}'" if self.name else str(path)


class Profiles:
    """The profiles of all projects whose flows an engine runs.

    Args:
        secrets: values of secrets by name.
        environ: the environment; the process's unless a test says otherwise.
        chosen: the one that holds where a run names none, in place of the environment's and the file's.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
        *,
        chosen: str | None = None,
    ) -> None:
        self._secrets = secrets
        self.chosen = chosen
        self._environ = os.environ if environ is None else environ
        self._projects: dict[Path, Path] = {}
        self._files: dict[Path, tuple[tuple[int, int, int], dict[str, Any]]] = {}

    # -- when a run starts -----------------------------------------------------------

    def settle(self, plan: FlowPlan, inputs: Mapping[str, Any], how: Start) -> tuple[dict[str, Any], Start]:
        """Return a run's inputs, checked, and its start with the profile and the values that it will keep.

        Raises:
            InputError: with every violation of inputs and of `config`.
            ProfileError: the profile lacks a connection, or is wrong.
        """
        about = dict(how.about or {})
        violations: list[tuple[str, str]] = []
        checked: dict[str, Any] = {}
        try:
            checked = plan.check_inputs(inputs)
        except InputError as error:
            violations += error.violations
        profile = self.profile(plan.folder, about.get("profile"))
        try:
            if "config" not in about and (config := self.config_of(plan, profile)) is not None:
                about["config"] = config
        except InputError as error:
            violations += [(path, f"{what} ({profile.where})") for path, what in error.violations]
        if violations:
            raise InputError(violations)
        if problems := list(self.problems(plan, profile)):
            raise ProfileError(problems)
        if profile.name is not None:
            about["profile"] = profile.name
        return checked, msgspec.structs.replace(how, about=about)

    def about(self, plan: FlowPlan, name: str | None = None) -> dict[str, Any]:
        """Return what a run of a plan keeps of its profile, before there is a run.

        Args:
            plan: the flow's.
            name: the profile; else the one that holds.

        Raises:
            InputError: with every violation of `config`.
            ProfileError: there is none of this name, or the file is wrong.
        """
        name = name or self.chosen
        about: dict[str, Any] = {} if name is None else {"profile": name}
        if plan.check_config is None:
            return about
        profile = self.profile(plan.folder, name)
        if profile.name is not None:
            about["profile"] = profile.name
        about["config"] = self.config_of(plan, profile)
        return about

    def lacking(self, plan: FlowPlan, name: str | None = None) -> list[Problem]:
        """Return all that a flow needs and a profile does not give, or gives wrongly.

        Raises:
            ProfileError: there is no such profile, or the file is wrong.
        """
        profile = self.profile(plan.folder, name)
        found = list(self.problems(plan, profile))
        try:
            self.config_of(plan, profile)
        except InputError as error:
            found += [(profile.where, f"{path}: {what}", "") for path, what in error.violations]
        return found

    @staticmethod
    def config_of(plan: FlowPlan, profile: Profile) -> dict[str, Any] | None:
        """Return the values that a flow's `config` has in a profile; None where it has no `config`.

        Raises:
            InputError: with every violation.
        """
        if plan.check_config is None:
            return None
        try:
            return plan.check_config(_as_json(profile.config))
        except InputError as error:
            found = [(path.replace("$.", "config.", 1), what) for path, what in error.violations]
            raise InputError(found) from None

    def problems(self, plan: FlowPlan, profile: Profile) -> Iterator[Problem]:
        """Yield what a flow's connections lack in a profile."""
        for name, type in plan.connections.items():
            described = profile.connections.get(name)
            if described is None:
                hint = (
                    _near(name, profile.connections)
                    or f"add [profiles.{profile.name or 'dev'}.connections.{name}]"
                )
                yield (
                    profile.where,
                    f"there is no connection '{name}', which flow '{plan.name}' needs",
                    hint,
                )
            elif type is not None and (found := self.type_of(described)) != type:
                what = f"the connection '{name}' is of type '{found}', and flow '{plan.name}' needs '{type}'"
                yield (profile.where, what, "")
            else:
                yield from self.check(profile, name)

    # -- when a task uses one -----------------------------------------------------------

    def connection(self, plan: FlowPlan, profile_name: str | None, name: str) -> Connection:
        """Return the connection that a task means by a name or a URL, with its secrets filled in.

        Raises:
            TaskFailed: `connection` if there is none, or it is wrong.
        """
        if "://" in name:
            found = from_url(name.partition("://")[0], name, str(plan.folder))
            if found is None:
                raise TaskFailed(
                    "connection", f"no connection begins with '{name.partition('://')[0][:40]}://'"
                )
            return _spread(found)
        try:
            profile = self.profile(plan.folder, profile_name)
        except ProfileError as error:
            raise TaskFailed("connection", str(error)) from None
        if name not in profile.connections:
            hint = _near(name, profile.connections)
            what = f"there is no connection '{name[:80]}' in {profile.where}"
            raise TaskFailed("connection", f"{what}; {hint}" if hint else what)
        return self.filled(profile, name)

    def filled(self, profile: Profile, name: str) -> Connection:
        """Return a connection of a profile, with its secrets filled in.

        Raises:
            TaskFailed: `connection` if it is wrong, or a secret has no value.
        """
        if problems := list(self.check(profile, name)):
            raise TaskFailed("connection", "; ".join(what for _, what, _ in problems))
        described = profile.connections[name]
        options = {key: self._fill(value, key) for key, value in described.items() if key != "type"}
        return _spread(Connection(name, self.type_of(described), options, str(profile.project)))

    def secrets_of(self, plan: FlowPlan, profile_name: str | None) -> dict[str, str]:
        """Return the values in a flow's connections that must not be seen, by any names."""
        found: dict[str, str] = {}
        try:
            profile = self.profile(plan.folder, profile_name)
        except ProfileError:
            return found
        for name in plan.connections:
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

    # -- reading ------------------------------------------------------------------------

    def profile(self, folder: Path, name: str | None = None) -> Profile:
        """Return a profile of the project around a folder.

        Args:
            folder: a flow's.
            name: which; else the one that was chosen for all, else that of `FLOWBUILDER_PROFILE`, else the
                file's `profile`, else the only one or the one called `default`.

        Raises:
            ProfileError: there is none of this name, or the file is wrong.
        """
        project = self._projects.get(folder)
        if project is None:
            project = self._projects[folder] = find_project(folder)
        data = self._read(project / SETTINGS)
        profiles = data.get("profiles", {})
        name, source = self._choice(name, data)
        if name is None:
            return Profile(None, project)
        if name not in profiles:
            hint = _near(name, profiles) or (
                "there are " + ", ".join(profiles) if profiles else f"add [profiles.{name}.config]"
            )
            by = f" ({source} names it)" if source not in (NAMED, "") else ""
            raise ProfileError([(str(project / SETTINGS), f"there is no profile '{name[:80]}'{by}", hint)])
        found = profiles[name]
        return Profile(name, project, found.get("config", {}), found.get("connections", {}), source)

    def _choice(self, name: str | None, data: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the name of the profile that holds, and who says so."""
        if name or self.chosen:
            return name or self.chosen, NAMED
        if by_variable := self._environ.get(VARIABLE):
            return by_variable, VARIABLE
        if by_file := data.get("profile"):
            return by_file, f"'profile' in {SETTINGS}"
        profiles = data.get("profiles", {})
        if len(profiles) == 1:
            return next(iter(profiles)), "the only one"
        return (DEFAULT, f"called '{DEFAULT}'") if DEFAULT in profiles else (None, "")

    def check(self, profile: Profile, name: str) -> Iterator[Problem]:
        """Yield what is wrong with the description of a connection."""
        described = profile.connections[name]
        where, what = profile.where, f"the connection '{name}'"
        type = self.type_of(described)
        if not type:
            yield (where, f"{what} has no 'type'", "there are " + ", ".join(CONNECTION_TYPES))
            return
        known = CONNECTION_TYPES.get(type)
        if known is None:
            hint = _near(type, CONNECTION_TYPES) or "there are " + ", ".join(CONNECTION_TYPES)
            yield (where, f"{what} is of no known type: '{type[:40]}'", hint)
            return
        for option in described:
            if option != "type" and option not in known.options and not known.open:
                hint = _near(option, known.options) or "it takes " + ", ".join(known.options)
                yield (where, f"{what}: a connection of type '{type}' has no '{option}'", hint)
        for secret in _secret_names(described):
            if not self._secrets.get(secret):
                hint = f"set FLOWBUILDER_SECRET_{secret}, or write it into .flowbuilder/secrets.toml"
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
                return re.sub(_SECRET, lambda match: quote(self._secrets.get(match[1]) or "", safe=""), value)
            return re.sub(_SECRET, lambda match: self._secrets.get(match[1]) or "", value)
        if isinstance(value, dict):
            return {key: self._fill(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner, option) for inner in value]
        return value

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            state = path.stat()
        except OSError:
            return {}
        seen = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._files.get(path)
        if known is not None and known[0] == seen:
            return known[1]
        data = read_profiles(path)
        self._files[path] = (seen, data)
        return data


def read_profiles(path: Path) -> dict[str, Any]:
    """Return what a settings file says of profiles: `profile` and `profiles`, checked in their shape.

    Raises:
        ProfileError: with all that is wrong.
    """
    import tomllib  # start-up time: most projects have no such file

    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError([(str(path), f"it is no TOML: {error}", "")]) from None
    except OSError as error:
        raise ProfileError([(str(path), f"it cannot be read: {error.strerror}", "")]) from None
    if problems := list(shape_problems(data)):
        raise ProfileError([(str(path), what, hint) for what, hint in problems])
    return {key: data[key] for key in ("profile", "profiles") if key in data}


def shape_problems(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the shape of `profile` and `profiles`."""
    if not isinstance(data.get("profile", ""), str):
        yield "'profile' is the name of one", 'write profile = "dev"'
    profiles = data.get("profiles", {})
    if not isinstance(profiles, dict):
        yield "'profiles' is a section", "write [profiles.dev.config]"
        return
    for name, profile in profiles.items():
        if not isinstance(profile, dict):
            yield f"'profiles.{name}' is a section", f"write [profiles.{name}.config]"
            continue
        for key, value in profile.items():
            if key not in _KEYS:
                hint = _near(key, _KEYS) or "it has 'config' and 'connections'"
                yield f"the profile '{name}' has no '{key}'", hint
            elif not isinstance(value, dict):
                yield f"'profiles.{name}.{key}' is a section", f"write [profiles.{name}.{key}]"
            elif key == "connections":
                for inner, described in value.items():
                    if not isinstance(described, dict):
                        yield (
                            f"'profiles.{name}.connections.{inner}' is a section",
                            'it has a type = "postgres", …',
                        )
            else:
                for inner in _with_secrets(value):
                    what = f"'profiles.{name}.config.{inner}' mentions a secret"
                    yield what, "what is in 'config' is kept and shown: use the flow's `secrets`"


def _with_secrets(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if any(re.search(_SECRET, text) for text in _texts(value)):
            yield name


def _secret_names(described: Mapping[str, Any]) -> dict[str, None]:
    return dict.fromkeys(name for text in _texts(described) for name in re.findall(_SECRET, text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _spread(connection: Connection) -> Connection:
    try:
        return spread(connection)
    except ValueError as error:
        raise TaskFailed("connection", f"the connection '{connection.name}': {error}") from None


def _as_json(value: Any) -> Any:
    """Return what TOML gives as JSON has it: dates and times as texts."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value


def _near(name: str, known: Iterable[str]) -> str:
    import difflib  # start-up time: only for a misspelt name

    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else ""
