"""What a project's settings file says of profiles: read, checked in its shape, and where in it things stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core.errors import ProfileError
from flowbuilder.runtime.project import SETTINGS

SECRET: Final = r"\$\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}"
"""How a value mentions a secret."""
_KEYS: Final = ("config", "connections")
_SECTION: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)

Problem = tuple[str, str, str]
"""Where, what, and how to put it right."""


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

    def place(self, *steps: str) -> str:
        """Return where something of it stands: the file with the line of the innermost step that it has."""
        path = self.project / SETTINGS
        line = None if self.name is None else line_of(path, ("profiles", self.name, *steps))
        return self.where if line is None else f"{path}:{line}, profile '{self.name}'"


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
                hint = nearest(key, _KEYS) or "it has 'config' and 'connections'"
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


def line_of(path: Path, steps: tuple[str, ...]) -> int | None:
    """Return the line of a TOML file on which a key, or the nearest section around it, stands; None for neither.

    Reads headers and keys line by line: enough for what people write by hand.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    section: tuple[str, ...] = ()
    best, depth = None, 1  # `profiles` alone says too little
    for number, line in enumerate(lines, 1):
        if header := _SECTION.match(line):
            section = found = _steps(header[1])
        elif key := _KEY.match(line):
            found = (*section, *_steps(key[1]))
        else:
            continue
        common = len(found) if steps[: len(found)] == found else 0
        if common > depth:
            best, depth = number, common
    return best


def _steps(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"' ") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted))


def _with_secrets(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if any(re.search(SECRET, text) for text in texts_in(value)):
            yield name


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
