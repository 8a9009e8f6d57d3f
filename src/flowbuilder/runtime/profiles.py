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
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core.connections import Connection, from_url
from flowbuilder.core.errors import InputError, ProfileError, TaskFailed
from flowbuilder.runtime.profile_connections import Connections, spread_out
from flowbuilder.runtime.profile_file import Problem, Profile, read_profiles
from flowbuilder.runtime.project import SETTINGS, find_project

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.start import Start

VARIABLE: Final = "FLOWBUILDER_PROFILE"
DEFAULT: Final = "default"
NAMED: Final = "named"


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
        self.connections = Connections(secrets)
        self.chosen = chosen
        self._environ = os.environ if environ is None else environ
        self._projects: dict[Path, Path] = {}
        self._files: dict[Path, tuple[tuple[int, int, int], dict[str, Any]]] = {}

    # -- when a run starts -----------------------------------------------------------

    def settle(self, plan: FlowPlan, inputs: Mapping[str, Any], how: Start) -> tuple[dict[str, Any], Start]:
        """Return a run's inputs, checked, and its start with the profile and the values that it will keep.

        Raises:
            InputError: with every violation of inputs, and of `config` beside them.
            ProfileError: the profile lacks something, or is wrong.
        """
        about = dict(how.about or {})
        profile = self.profile(plan.folder, about.get("profile"))
        wrong: list[Problem] = []
        if "config" not in about and plan.check_config is not None:
            config, wrong = self._config(plan, profile)
            about["config"] = config
        try:
            checked = plan.check_inputs(inputs)
        except InputError as error:
            if not wrong:
                raise
            beside = [
                (f"{where}: {what.partition(': ')[0]}", what.partition(": ")[2]) for where, what, _ in wrong
            ]
            raise InputError([*error.violations, *beside]) from None
        if problems := [*wrong, *self.connections.lacking(plan, profile)]:
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
            ProfileError: with every violation of `config`; or there is none of this name, or the file is wrong.
        """
        name = name or self.chosen
        about: dict[str, Any] = {} if name is None else {"profile": name}
        if plan.check_config is None:
            return about
        profile = self.profile(plan.folder, name)
        if profile.name is not None:
            about["profile"] = profile.name
        about["config"], wrong = self._config(plan, profile)
        if wrong:
            raise ProfileError(wrong)
        return about

    def lacking(self, plan: FlowPlan, name: str | None = None) -> list[Problem]:
        """Return all that a flow needs and a profile does not give, or gives wrongly.

        Raises:
            ProfileError: there is no such profile, or the file is wrong.
        """
        profile = self.profile(plan.folder, name)
        return [*self.connections.lacking(plan, profile), *self._config(plan, profile)[1]]

    @staticmethod
    def _config(plan: FlowPlan, profile: Profile) -> tuple[dict[str, Any], list[Problem]]:
        """Return the values that a flow's `config` has in a profile, and what is wrong with them."""
        if plan.check_config is None:
            return {}, []
        try:
            return plan.check_config(_as_json(profile.config)), []
        except InputError as error:
            return {}, [_problem(plan, profile, path, what) for path, what in error.violations]

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
            return spread_out(found)
        try:
            profile = self.profile(plan.folder, profile_name)
        except ProfileError as error:
            raise TaskFailed("connection", str(error)) from None
        if name not in profile.connections:
            hint = nearest(name, profile.connections)
            what = f"there is no connection '{name[:80]}' in {profile.where}"
            raise TaskFailed("connection", f"{what}; {hint}" if hint else what)
        return self.connections.filled(profile, name)

    def secrets_of(self, plan: FlowPlan, profile_name: str | None) -> dict[str, str]:
        """Return the values in a flow's connections that must not be seen, by any names."""
        try:
            profile = self.profile(plan.folder, profile_name)
        except ProfileError:
            return {}
        return self.connections.secrets_in(profile, plan.connections)

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
            hint = nearest(name, profiles) or (
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


def _problem(plan: FlowPlan, profile: Profile, path: str, what: str) -> Problem:
    """Return a violation of `config` as a problem of the profile: where it stands, and how to put it right."""
    name = path.removeprefix("$.")
    steps = name.replace("[", ".").split(".")
    there = steps[0] in profile.config
    where = profile.place("config", *steps)
    if profile.name is None:
        hint = f"add [profiles.dev.config] with {steps[0]} = …"
    elif there:
        hint = f"the flow '{plan.name}' says under `config` what it takes"
    else:
        hint = f"add {steps[0]} = … under [profiles.{profile.name}.config]"
    return where, f"config.{name}: {what}", hint


def _as_json(value: Any) -> Any:
    """Return what TOML gives as JSON has it: dates and times as texts."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
