"""Reading settings: `flowbuilder.toml`, then `FLOWBUILDER_…` variables, then flags.

Each source may set any setting, the later ones win.  What no source may say
is a name that is no setting: that is an error which offers the nearest one.
All that is wrong is reported at once.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.durations import format_duration, format_size, parse_duration, parse_size
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.runtime.config import DEFAULT, SECTIONS, Config, Duration, Size
from flowbuilder.runtime.project import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX: Final = "FLOWBUILDER_"


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with one setting: where it was set, what, and how to put it right."""

    source: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.what}" + (f"; {self.hint}" if self.hint else "")


class ConfigError(FlowBuilderError):
    """Settings are wrong; `problems` has all that was found, `in_file` whether a file is to blame."""

    def __init__(self, problems: Iterable[Problem], in_file: bool) -> None:
        super().__init__(tuple(problems), in_file)
        self.problems = self.args[0]
        self.in_file = in_file

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class Settings(msgspec.Struct, frozen=True):
    """The configuration, and where each value came from."""

    config: Config
    sources: Mapping[str, str]
    """By setting, such as `store.path`: the file, the variable or the flag; absent for a default."""


def read_settings(
    project: Path, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings that hold in a project.

    Args:
        project: the folder whose `flowbuilder.toml` is read, if it has one.
        environ: the process's environment.
        flags: settings by name (`store.path`), as given on the command line.

    Raises:
        ConfigError: with every problem of every source.
    """
    reading = _Reading()
    path = project / SETTINGS
    if path.is_file():
        reading.file(path)
    reading.in_file = bool(reading.problems)
    reading.environment(environ)
    for name, value in (flags or {}).items():
        reading.set(name, value, "flag")
    return reading.result()


def setting_names() -> Iterator[str]:
    """Yield the name of every setting, such as `store.path`, in the order of the reference."""
    for section, kind in SECTIONS.items():
        for field in kind.__struct_fields__:
            yield f"{section}.{field}"


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting.

    Example:
        >>> variable_of("store.path")
        'FLOWBUILDER_STORE__PATH'
    """
    return PREFIX + setting.upper().replace(".", "__")


def written(setting: str, value: Any) -> str:
    """Return a setting's value as people write it: with its unit, an empty text as `""`.

    Example:
        >>> written("limits.source_bytes", 1048576), written("store.retention", 3600.0)
        ('1MiB', '1h')
    """
    section, _, field = setting.partition(".")
    kind = typing.get_type_hints(SECTIONS[section], include_extras=True)[field]
    if kind == Duration:
        return format_duration(value)
    if kind == Size:
        return format_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or '""'


class _Reading:
    """Settings as they are gathered, source by source."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.in_file = False

    def file(self, path: Path) -> None:
        """Take what a file says."""
        import tomllib  # start-up time: most projects have no such file

        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.problems.append(Problem(str(path), f"it is no TOML: {error}"))
            return
        except OSError as error:
            self.problems.append(Problem(str(path), f"it cannot be read: {error.strerror}"))
            return
        for section, content in data.items():
            if section not in SECTIONS:
                hint = _near(section, SECTIONS) or f"sections are {_listing(SECTIONS)}"
                self.problems.append(Problem(str(path), f"there is no section '{section}'", hint))
            elif not isinstance(content, dict):
                self.problems.append(Problem(str(path), f"'{section}' is a section: write '[{section}]'"))
            else:
                for key, value in content.items():
                    self.set(f"{section}.{key}", value, str(path))

    def environment(self, environ: Mapping[str, str]) -> None:
        """Take what variables say; those of another shape are not ours to judge, near misses are."""
        known = {variable_of(name): name for name in setting_names()}
        squeezed = {variable.replace("_", ""): variable for variable in known}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.startswith(PREFIX + "SECRET_"):
                continue
            if variable in known:
                self.set(known[variable], environ[variable], variable)
            elif meant := squeezed.get(variable.replace("_", "")):
                self.problems.append(Problem(variable, "it is no setting", f"did you mean '{meant}'?"))
            elif "__" in variable:
                self.problems.append(Problem(variable, "it is no setting", _near(variable, known)))

    def set(self, name: str, value: Any, source: str) -> None:
        """Set one setting, or say why not."""
        section, _, field = name.partition(".")
        kind = SECTIONS[section]
        if field not in kind.__struct_fields__:
            fields = kind.__struct_fields__
            hint = _near(field, fields) or f"settings there are {_listing(fields)}"
            self.problems.append(Problem(source, f"there is no setting '{name}'", hint))
            return
        try:
            converted = _convert(value, typing.get_type_hints(kind, include_extras=True)[field])
        except (ValueError, msgspec.ValidationError) as error:
            self.problems.append(Problem(source, f"'{name}' cannot be {value!r}: {_lower(str(error))}"))
            return
        self.values.setdefault(section, {})[field] = converted
        self.sources[name] = source

    def result(self) -> Settings:
        """Return what has been gathered."""
        if self.problems:
            raise ConfigError(self.problems, self.in_file)
        if not self.values:
            return Settings(DEFAULT, {})
        parts: dict[str, Any] = {name: SECTIONS[name](**values) for name, values in self.values.items()}
        return Settings(Config(**parts), self.sources)


def _convert(value: Any, kind: Any) -> Any:
    """Return a value as the setting's type wants it; text is read as people write it.

    Raises:
        ValueError, msgspec.ValidationError: if it is none.
    """
    if kind == Duration:
        if isinstance(value, str):
            return parse_duration(value)
        raise ValueError("a duration is a text with a unit, such as '30s'")
    if kind == Size and isinstance(value, str) and not value.strip().isdecimal():
        return msgspec.convert(parse_size(value), kind)
    return msgspec.convert(value, kind, strict=not isinstance(value, str))


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else ""


def _listing(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
