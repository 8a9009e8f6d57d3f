"""What the code knows is in the reference: every command, setting, task type, key, code and kind."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from flowbuilder.cli import exits
from flowbuilder.cli.command import TABLE, command_of
from flowbuilder.compiler.codes import CODES
from flowbuilder.compiler.lower.flow import FLOW
from flowbuilder.compiler.lower.record import Table
from flowbuilder.compiler.lower.retry import RETRY
from flowbuilder.compiler.lower.task import TASK
from flowbuilder.compiler.lower.work import LATER_TYPES
from flowbuilder.core.functions.table import FUNCTIONS, Function
from flowbuilder.runtime.settings import setting_names, variable_of
from flowbuilder.tasks.catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"
SOURCE = DOCS.parent / "src" / "flowbuilder"
KIND = re.compile(r'"((?:expression|output|shell|http|script|executor|engine|flow)\.[a-z_]+)"')
WAITED = re.compile(
    r"(?<=[\[ ])((?:expression|output|shell|http|script|executor|engine|flow|python)\.[\w*]+)(?<!yaml)(?=[,\]])"
)


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOK = hook("generated")


def page(name: str) -> str:
    """Return a page of the reference as readers see it."""
    filled: str = HOOK.fill((DOCS / "reference" / f"{name}.md").read_text("utf-8"))
    return filled


@pytest.mark.parametrize("name", list(TABLE))
def test_every_command_is_described_with_all_it_takes(name: str) -> None:
    text = page("commands")
    command = command_of(name)

    assert command.name == name
    assert f"## `flowbuilder {name}`" in text
    for option in command.options:
        assert all(spelling in text for spelling in option.names)
        assert option.help.split("|")[0] in text
    assert not command.summary.endswith(".")


def test_every_exit_code_is_described() -> None:
    text = page("commands")

    assert all(f"| {code} | {meaning} |" in text for code, meaning in exits.MEANINGS.items())
    assert sorted(exits.MEANINGS) == [0, 1, 2, 3, 5, 8, 9, 130]


def test_every_setting_is_described() -> None:
    text = page("settings")

    for name in setting_names():
        assert f"`{name}`" in text
        assert f"`{variable_of(name)}`" in text


def test_only_task_types_that_are_not_there_come_later() -> None:
    later = page("task-types").partition("## More types")[2]

    assert set(re.findall("`(.+?)`", later)) == set(LATER_TYPES)
    assert not set(LATER_TYPES) & set(CATALOGUE)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_task_type_is_described_with_its_parameters(name: str) -> None:
    text = page("task-types")
    section = text.partition(f"## `{name}` ")[2].partition("\n## ")[0]

    assert CATALOGUE[name].summary in section
    assert all(f"`{key}`" in section for key in CATALOGUE[name].params.get("properties", {}))


@pytest.mark.parametrize(
    ("table", "name"), [(FLOW, "flow"), (TASK, "task"), (RETRY, "task")], ids=["flow", "task", "retry"]
)
def test_every_key_is_described_and_every_reserved_one_named(table: Table, name: str) -> None:
    text = page(name)
    retry = text.partition("## Retry")[2].partition("## ")[0]

    for key in (*table.keys, *table.later):
        assert f"`{key}`" in text or (table is RETRY and f"{key}:" in retry), key


@pytest.mark.parametrize("function", list(FUNCTIONS.values()), ids=lambda function: function.name)
def test_every_function_is_described_with_how_it_is_called(function: Function) -> None:
    row = next(line for line in page("functions").splitlines() if line.startswith(f"| `{function.name}("))

    assert ("°" in row) == function.method
    required = [p.name for p in function.signature.parameters.values() if p.default is p.empty]
    assert all(name in row for name in required if name != "named")
    assert len(row.split(" | ")[1]) > 10


def test_every_kind_that_the_engine_gives_is_described() -> None:
    text = page("error-kinds")
    code = "".join(
        path.read_text("utf-8")
        for part in ("core", "runtime", "tasks")
        for path in (SOURCE / part).rglob("*.py")
    )

    found = set(KIND.findall(code)) - {"engine.log", *setting_names()}

    assert len(found) > 20
    assert not [kind for kind in found if f"`{kind}`" not in text]


def test_kinds_that_flows_wait_for_are_kinds_that_there_are() -> None:
    text = page("error-kinds")
    flows = [*DOCS.rglob("*.md"), *(DOCS.parent / "examples").rglob("*.yaml")]
    waited = {(kind, path) for path in flows for kind in WAITED.findall(path.read_text("utf-8"))}

    assert waited
    assert not [
        (kind, path.name)
        for kind, path in waited
        if "*" not in kind
        and f"`{kind}`" not in text
        and not re.fullmatch(r"http\.[45][\dx]{2}|python\.\w+", kind)
    ]


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_page_of_a_mistake_shows_the_message(code: str) -> None:
    text = (DOCS / "errors" / f"{code}.md").read_text("utf-8")

    shown = hook("mistakes").on_page_markdown(text).partition("says:\n\n```text\n")[2].partition("```\n")[0]

    assert re.search(rf"^(flow\.yaml|other\.yaml|flows\.py):\d+:\d+: {code} ", shown, re.MULTILINE)


def test_every_mark_in_the_documentation_is_filled() -> None:
    pages = {path: HOOK.fill(path.read_text("utf-8")) for path in DOCS.rglob("*.md")}

    assert not [path for path, text in pages.items() if "<!-- generated:" in text]
    assert len(HOOK.GENERATED) == len(
        {mark for path in pages for mark in HOOK.MARK.findall(path.read_text("utf-8"))}
    )


def test_the_settings_file_in_the_reference_holds(tmp_path: Path) -> None:
    from flowbuilder.runtime.config import DEFAULT
    from flowbuilder.runtime.settings import read_settings

    text = "\n".join(HOOK.settings_file()).partition("\n")[2].removesuffix("```")
    (tmp_path / "flowbuilder.toml").write_text(text)

    assert read_settings(tmp_path, {}).config == DEFAULT
