"""Fills the generated parts of the documentation: what the code knows is written once, in the code.

A page says where: `<!-- generated: commands -->`.  The tests use `GENERATED`
and `fill` too, so that every command, setting and task type is found there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.command import GROUPS, TABLE, command_of
from flowbuilder.cli.exits import MEANINGS
from flowbuilder.cli.helping import argument_meaning, option_meaning, option_names, usage
from flowbuilder.core.functions.table import FUNCTIONS
from flowbuilder.runtime.config import DEFAULT, OPEN_SECTIONS, SECTIONS
from flowbuilder.runtime.descriptions import describe, describe_section
from flowbuilder.runtime.settings import variable_of, written
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.functions.table import Function

FUNCTION_GROUPS = {
    "text": "Text",
    "kinds": "Kinds of values",
    "str": "Kinds of values",
    "numbers": "Numbers",
    "lists": "Lists",
    "mappings": "Mappings",
    "patterns": "Patterns",
    "coding": "Coding",
    "to_json": "Coding",
    "dates": "Dates and times",
    "now": "Dates and times",
    "today": "Dates and times",
}
"""The headings of the page of functions: by function, else by the module of `core.functions`."""

MARK = re.compile(r"<!-- generated: ([\w-]+) -->")


def on_config(config: Any) -> Any:
    """Put the pages of diagnostics into the navigation, in the order of their codes."""
    folder = Path(config["docs_dir"]) / "errors"
    pages = sorted(path.name for path in folder.glob("*.md"))
    pages.sort(key=lambda name: name != "index.md")
    for entry in config["nav"]:
        if "Mistakes in a flow" in entry:
            entry["Mistakes in a flow"] = [f"errors/{name}" for name in pages]
    config["nav"] = [entry for entry in config["nav"] if all(entry.values())]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the generated parts of a page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """Return a page with its generated parts filled in."""
    return MARK.sub(lambda match: "\n".join(GENERATED[match[1]]()), markdown)


def commands() -> Iterator[str]:
    """Write a section a command."""
    for name in TABLE:
        command = command_of(name)
        yield f"## `flowbuilder {name}` {{ #{name.replace(' ', '-')} }}"
        yield from ("", command.summary + ".", "", "```text", usage(command), "```", "")
        if command.description:
            yield from (command.description, "")
        rows = [(f"`{argument.name}`", argument_meaning(argument)) for argument in command.arguments]
        rows += [(f"`{option_names(option)}`", option_meaning(option)) for option in command.options]
        if rows:
            yield from table(("argument or option", "meaning"), rows)
        for what, typed in command.examples:
            yield from (f"{what}:", "", "```sh", typed, "```", "")


def command_list() -> Iterator[str]:
    """Write a table of all commands."""
    rows = [(f"[`{name}`](#{name.replace(' ', '-')})", command_of(name).summary) for name in TABLE]
    yield from table(("command", "what it does"), rows)
    yield " ".join(f"`{group} …`: {summary.lower()}." for group, summary in GROUPS.items())


def exit_codes() -> Iterator[str]:
    """Write a table of exit codes."""
    yield from table(("code", "meaning"), [(str(code), meaning) for code, meaning in MEANINGS.items()])


def settings() -> Iterator[str]:
    """Write a section a section of settings."""
    for section, kind in SECTIONS.items():
        yield from (f"## `[{section}]` {{ #{section} }}", "", describe_section(section), "")
        names = [f"{section}.{field}" for field in kind.__struct_fields__]
        rows = [(f"`{name}`", f"`{variable_of(name)}`", describe(name)) for name in names]
        yield from table(("setting", "variable", "meaning"), rows)
    for section, kind in OPEN_SECTIONS.items():
        yield from (f"## `[{section}.NAME]` {{ #{section} }}", "", describe_section(section), "")
        names = [f"{section}.NAME.{field}" for field in kind.__struct_fields__]
        rows = [(f"`{name}`", f"`{variable_of(name)}`", describe(name)) for name in names]
        yield from table(("setting", "variable", "meaning"), rows)


def settings_file() -> Iterator[str]:
    """Write a file with every default."""
    yield '```toml title="flowbuilder.toml"'
    for section, kind in SECTIONS.items():
        yield f"[{section}]"
        for field in kind.__struct_fields__:
            yield f"{field} = {toml_setting(f'{section}.{field}')}"
        yield ""
    yield "```"


def toml_setting(name: str) -> str:
    """Return a setting's default as `flowbuilder.toml` would say it."""
    section, _, field = name.partition(".")
    value = getattr(getattr(DEFAULT, section), field)
    text = written(name, value)
    return text if text in ('""', "true", "false") or text.isdecimal() else f'"{text}"'


def task_types() -> Iterator[str]:
    """Write a section a task type."""
    for name, spec in CATALOGUE.items():
        yield from (f"## `{name}` {{ #{name} }}", "", spec.summary, "")
        yield from (f"Effect: {effect_of(spec)}.", "")
        properties: Mapping[str, Any] = spec.params.get("properties", {})
        if spec.whole:
            yield from ("`with` is the value, of any kind.", "")
        elif properties:
            required = spec.params.get("required", ())
            rows = [
                (f"`{key}`", kind_of(schema), meaning_of(spec, key, schema, key in required))
                for key, schema in properties.items()
            ]
            yield from table(("`with`", "kind", "meaning"), rows)
        if choice := [f"`{one['required'][0]}`" for one in spec.params.get("oneOf", ())]:
            yield from (f"Exactly one of {' and '.join(choice)} is given.", "")
        yield from output_of(spec)


def functions() -> Iterator[str]:
    """Write a table of functions for each of their groups."""
    groups: dict[str, list[Function]] = {title: [] for title in (*FUNCTION_GROUPS.values(), "Other")}
    for function in FUNCTIONS.values():
        module = function.call.__module__.rpartition(".")[2]
        title = FUNCTION_GROUPS.get(function.name) or FUNCTION_GROUPS.get(module, "Other")
        groups[title].append(function)
    for title, members in groups.items():
        yield from (f"## {title}", "")
        rows = [(f"`{signature_of(one)}`" + " °" * one.method, meaning_of_function(one)) for one in members]
        yield from table(("function", "what it yields"), rows)


def signature_of(function: Function) -> str:
    """Return how a function is called, with its defaults as the language writes them."""
    parts = []
    for parameter in function.signature.parameters.values():
        default = parameter.default
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts.append(f"{parameter.name}, …")
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts.append("name=…")
        elif default is parameter.empty:
            parts.append(parameter.name)
        else:
            plain = default is None or isinstance(default, str | int | float)
            parts.append(f"{parameter.name}={json.dumps(default, ensure_ascii=False) if plain else '…'}")
    return f"{function.name}({', '.join(parts)})"


def meaning_of_function(function: Function) -> str:
    """Return the first paragraph of a function's description, without the verb that all of them share."""
    text = " ".join((function.call.__doc__ or "").strip().partition("\n\n")[0].split())
    return text.removeprefix("Return ").removeprefix("Tell ").removesuffix(".")


def effect_of(spec: TaskSpec) -> str:
    """Say what a task type does to the world."""
    if spec.effect_of is not None:
        return f"`{spec.effect}`, or `read` where what it is told to do only looks"
    if spec.effect_by is None:
        return f"`{spec.effect}`"
    parameter, by = spec.effect_by
    listed = ", ".join(f"`{effect}` for {value}" for value, effect in by.items())
    return f"`{spec.effect}`, but by `{parameter}`: {listed}"


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return a schema's type in a word or two."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {"object": "mapping", "array": "list", "string": "text"}
    return " or ".join(words.get(kind, kind) for kind in kinds)


def meaning_of(spec: TaskSpec, key: str, schema: Mapping[str, Any], required: bool) -> str:
    """Return what a parameter means, whether it must be given, and what may stand in it."""
    parts = [str(schema.get("description", "")).rstrip(".")]
    if required:
        parts.append("required")
    if "default" in schema:
        parts.append(f"default `{json.dumps(schema['default'])}`")
    notes = {
        "secret": "may hold secrets",
        "literal": "takes no expressions",
        "shell": "values become quoted variables",
        "url": "values behind the host are percent-encoded",
        "condition": "`${{ }}` may be left out",
    }
    parts += [notes[role] for role in spec.roles.get(key, ()) if notes[role] not in parts[0].lower()]
    return "; ".join(part for part in parts if part)


def output_of(spec: TaskSpec) -> Iterator[str]:
    """Write what a task type yields."""
    properties = spec.output.get("properties")
    if spec.output.get("type") == "null":
        yield from ("Output: null.", "")
    elif properties:
        yield from ("Output:", "")
        rows = [(f"`{k}`", kind_of(s), str(s.get("description", ""))) for k, s in properties.items()]
        yield from table(("member", "kind", "meaning"), rows)
    else:
        yield from ("Output: any value.", "")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Write a table, and the blank line behind it."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |"
    yield ""


GENERATED: Mapping[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "command-list": command_list,
    "exit-codes": exit_codes,
    "functions": functions,
    "settings": settings,
    "settings-file": settings_file,
    "task-types": task_types,
}
"""What may stand in a mark, and what writes it."""
