"""The profile that a command names: whether it gives what a flow needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.connections import is_sensitive, shown_url
from flowbuilder.core.errors import ProfileError
from flowbuilder.runtime.profiles import Profiles
from flowbuilder.runtime.project import secrets_path
from flowbuilder.runtime.secrets import Secrets

if TYPE_CHECKING:
    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.core.plan import FlowPlan

_BY_NAME: Final = re.compile(r"\$\{\s*secrets\.\w+\s*\}")
"""A secret by its name, which is no secret."""


def profiles_of(workspace: Workspace) -> Profiles:
    """Return the profiles of a workspace, with the secrets of its project."""
    return Profiles(Secrets(secrets_path(workspace.project, workspace.config)))


def check_profile(workspace: Workspace, plan: FlowPlan, name: str) -> None:
    """Tell all that a flow lacks in a profile.

    Raises:
        ProfileError: with all of it.
    """
    if problems := profiles_of(workspace).lacking(plan, name):
        raise ProfileError(problems)


def named(workspace: Workspace, name: str | None) -> str | None:
    """Return the profile that a command names, if it names one, and its project has it.

    Raises:
        ProfileError: it does not, or the file is wrong.
    """
    if name is not None:
        profiles_of(workspace).profile(workspace.project, name)
    return name


def shown(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection's options as anybody may see them."""
    options: dict[str, Any] = {}
    for name, value in described.items():
        if name == "type":
            continue
        if isinstance(value, dict):
            options[name] = shown(value)
        elif is_sensitive(name) and not (isinstance(value, str) and _BY_NAME.fullmatch(value)):
            options[name] = "***"
        else:
            options[name] = shown_url(value) if name == "url" and isinstance(value, str) else value
    return options
