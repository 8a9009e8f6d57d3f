"""Reading settings: `flowbuilder.toml`, then `FLOWBUILDER_…` variables, then flags.

Each source may set any setting, the later ones win.  What no source may say
is a name that is no setting: that is an error which offers the nearest one.
All that is wrong is reported at once.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.durations import format_duration, format_size, parse_duration, parse_size
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.runtime.config import DEFAULT, OPEN_SECTIONS, SECTIONS, Config, Duration, Size
from flowbuilder.runtime.profile_file import shape_problems
from flowbuilder.runtime.project import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX: Final = "FLOWBUILDER_"
_PROFILES: Final = ("profile", "profiles")
"""What the file has besides settings; `runtime.profiles` reads it."""


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


def setting_names(config: Config = DEFAULT) -> Iterator[str]:
    """Yield the name of every setting, such as `store.path`, in the order of the reference.

    Sections that somebody has named come last: `queues.mail.concurrency`.
    """
    for section, kind in SECTIONS.items():
        for field in kind.__struct_fields__:
            yield f"{section}.{field}"
    for section, kind in OPEN_SECTIONS.items():
        for name in getattr(config, section):
            for field in kind.__struct_fields__:
                yield f"{section}.{name}.{field}"


def value_of(config: Config, setting: str) -> Any:
    """Return the value of a setting by its name."""
    part: Any = config
    section, name, field = _parts(setting)
    part = getattr(config, section)
    return getattr(part if name is None else part[name], field)


def _parts(setting: str) -> tuple[str, str | None, str]:
    """Return a setting's section, the name of an open one or None, and its field."""
    section, _, rest = setting.partition(".")
    if section not in OPEN_SECTIONS:
        return section, None, rest
    name, _, field = rest.rpartition(".")
    return section, name, field


def _kind_of(setting: str) -> Any:
    """Return the type of a setting."""
    section, name, field = _parts(setting)
    kind = SECTIONS[section] if name is None else OPEN_SECTIONS[section]
    return typing.get_type_hints(kind, include_extras=True)[field]


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting.

    Example:
        >>> variable_of("store.path")
        'FLOWBUILDER_STORE__PATH'
    """
    section, name, field = _parts(setting)
    parts = [section, field] if name is None else [section, re.sub(r"\W", "_", name), field]
    return PREFIX + "__".join(parts).upper()


def written(setting: str, value: Any) -> str:
    """Return a setting's value as people write it: with its unit, an empty text as `""`.

    Example:
        >>> written("limits.source_bytes", 1048576), written("store.retention", 3600.0)
        ('1MiB', '1h')
    """
    kind = _kind_of(setting)
    if kind == Duration:
        return format_duration(value)
    if kind == Size:
        return format_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
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
        self.problems += [Problem(str(path), what, hint) for what, hint in shape_problems(data)]
        for section, content in data.items():
            if section in _PROFILES:
                continue
            if section in OPEN_SECTIONS:
                self._open_section(section, content, str(path))
            elif section not in SECTIONS:
                known = (*SECTIONS, *OPEN_SECTIONS, *_PROFILES)
                hint = _near(section, known) or f"sections are {_listing(known)}"
                self.problems.append(Problem(str(path), f"there is no section '{section}'", hint))
            elif not isinstance(content, dict):
                self.problems.append(Problem(str(path), f"'{section}' is a section: write '[{section}]'"))
            else:
                for key, value in content.items():
                    self.set(f"{section}.{key}", value, str(path))

    def _open_section(self, section: str, content: Any, source: str) -> None:
        """Take what a file says of sections that it names itself."""
        for name, inner in content.items() if isinstance(content, dict) else [("NAME", None)]:
            if not isinstance(inner, dict):
                what = f"'{section}' holds sections with a name: write '[{section}.{name}]'"
                self.problems.append(Problem(source, what))
                continue
            self.values.setdefault(section, {}).setdefault(name, {})
            for key, value in inner.items():
                self.set(f"{section}.{name}.{key}", value, source)

    def environment(self, environ: Mapping[str, str]) -> None:
        """Take what variables say; those of another shape are not ours to judge, near misses are."""
        known = {variable_of(name): name for name in setting_names()}
        for section, kind in OPEN_SECTIONS.items():
            named = {*self.values.get(section, ()), *_named_in(environ, section, kind)}
            names = [f"{section}.{name}.{field}" for name in named for field in kind.__struct_fields__]
            known.update((variable_of(name), name) for name in sorted(names, key=str.isupper, reverse=True))
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
        section, inner, field = _parts(name)
        kind = SECTIONS[section] if inner is None else OPEN_SECTIONS[section]
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
        values = self.values.setdefault(section, {})
        if inner is not None:
            values = values.setdefault(inner, {})
        values[field] = converted
        self.sources[name] = source

    def result(self) -> Settings:
        """Return what has been gathered."""
        if self.problems:
            raise ConfigError(self.problems, self.in_file)
        if not self.values:
            return Settings(DEFAULT, {})
        parts: dict[str, Any] = {}
        for section, values in self.values.items():
            if section in OPEN_SECTIONS:
                kind = OPEN_SECTIONS[section]
                parts[section] = {name: kind(**inner) for name, inner in values.items()}
            else:
                parts[section] = SECTIONS[section](**values)
        return Settings(Config(**parts), self.sources)


def _named_in(environ: Mapping[str, str], section: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the names of open sections that variables speak of: `FLOWBUILDER_QUEUES__MAIL__CONCURRENCY`."""
    shape = re.compile(f"{PREFIX}{section.upper()}__(.+)__({'|'.join(kind.__struct_fields__).upper()})")
    for variable in environ:
        if match := shape.fullmatch(variable):
            yield match[1].lower()


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
    import difflib  # start-up time: only for a misspelt name

    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else ""


def _listing(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
