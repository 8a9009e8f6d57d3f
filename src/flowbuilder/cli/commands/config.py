"""`flowbuilder config`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.command import JSON, PROFILE, Argument, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.parsing import UsageError, nearest
from flowbuilder.cli.profiles import profiles_of
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import Workspace, workspace_at
from flowbuilder.runtime.descriptions import describe
from flowbuilder.runtime.settings import setting_names, variable_of, written
from flowbuilder.runtime.settings import value_of as value_in

if TYPE_CHECKING:
    import argparse

    from flowbuilder.runtime.profile_file import Profile

COMMAND = Command(
    name="config",
    summary="Show each setting, its value and where it came from",
    description=(
        "Settings come from flowbuilder.toml in the project's folder, then from FLOWBUILDER_… variables "
        "(with __ between section and name), then from flags; the later ones win. Below them stands the profile that holds, and who has chosen it."
    ),
    arguments=(Argument("SETTING", "Only this one, with what it means", count="optional"),),
    options=(Option(("--describe",), "Say what each setting means"), PROFILE, JSON),
    examples=(
        ("What one setting means", "flowbuilder config limits.tasks"),
        ("Set one for a single command", "FLOWBUILDER_LIMITS__TASKS=20000 flowbuilder run flow.yaml"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print settings as a table, as an object, or with their descriptions."""
    workspace = workspace_at(Path.cwd())
    names = _chosen(workspace, arguments.setting)
    if arguments.json:
        about = _as_object(workspace, names) | {"profile": _profile_as_object(workspace, arguments.profile)}
        data(as_json(about))
    elif arguments.setting or arguments.describe:
        data("\n\n".join(_described(workspace, name) for name in names))
    else:
        rows = [(name, show_value(workspace, name), source_of(workspace, name)) for name in names]
        show_table(sys.stdout, ("setting", "value", "from"), rows)
        profile = _profile(workspace, arguments.profile)
        inside = f"  ({profile.source})" if profile.name is not None else ""
        say(
            f"project {workspace.project}\nstore   {workspace.store}\nprofile {profile.name or 'none'}{inside}"
        )
    return DONE


def value_of(workspace: Workspace, name: str) -> Any:
    """Return a setting's value."""
    return value_in(workspace.config, name)


def show_value(workspace: Workspace, name: str) -> str:
    """Return a setting's value as the file would write it."""
    return written(name, value_of(workspace, name))


def source_of(workspace: Workspace, name: str) -> str:
    """Return where a setting's value came from."""
    return workspace.sources.get(name, "default")


def _chosen(workspace: Workspace, name: str | None) -> list[str]:
    known = list(setting_names(workspace.config))
    if name is None:
        return known
    if name in known:
        return [name]
    inside = [other for other in known if other.startswith(name + ".")]
    if not inside:
        raise UsageError(f"there is no setting '{name}'", "config", nearest(name, known))
    return inside


def _profile(workspace: Workspace, name: str | None) -> Profile:
    """Return the profile that holds for the project's runs.

    Raises:
        ProfileError: there is none of the name that somebody gives, or the file is wrong.
    """
    return profiles_of(workspace).profile(workspace.project, name)


def _profile_as_object(workspace: Workspace, name: str | None) -> dict[str, Any] | None:
    profile = _profile(workspace, name)
    if profile.name is None:
        return None
    return {
        "name": profile.name,
        "from": profile.source,
        "config": profile.config,
        "connections": sorted(profile.connections),
    }


def _as_object(workspace: Workspace, names: list[str]) -> dict[str, Any]:
    settings = {
        name: {"value": value_of(workspace, name), "from": source_of(workspace, name)} for name in names
    }
    return {"project": str(workspace.project), "store": str(workspace.store), "settings": settings}


def _described(workspace: Workspace, name: str) -> str:
    head = f"{name} = {show_value(workspace, name)}   ({source_of(workspace, name)})"
    return f"{head}\n  {variable_of(name)}\n  {describe(name)}"
