from importlib.metadata import EntryPoint
from typing import Any

import pytest

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.core.errors import NotFound
from flowbuilder.plugins import installed
from flowbuilder.plugins.kinds import GROUPS
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.tasks.registry import PluginBroken, catalogue, forget, task_type

CARRIED_OUT_BY_THE_RUNTIME = {"set", "switch", "sleep", "wait", "approval", "flow", "group"}


class Plugged:
    spec = TaskSpec("plugged", "A plug-in's.", {}, {}, "pure")

    async def run(self, call: Any) -> None: ...


class Unnamed:
    spec = TaskSpec("another", "A plug-in's.", {}, {}, "pure")

    async def run(self, call: Any) -> None: ...


class Idle:
    spec = TaskSpec("idle", "Does nothing.", {}, {}, "pure")


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that installs plug-ins: attributes of this module by the type's name."""

    def plug(**values: str) -> None:
        group = GROUPS["tasks"]
        points = {name: EntryPoint(name, f"{__name__}:{v}", group) for name, v in values.items()}
        monkeypatch.setattr(installed, "entry_points_of", lambda kind: points if kind == "tasks" else {})
        forget()

    yield plug
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - CARRIED_OUT_BY_THE_RUNTIME))
def test_every_type_of_the_catalogue_that_is_called_has_an_implementation(name: str) -> None:
    found = task_type(name)
    assert found is task_type(name)
    assert found.spec is CATALOGUE[name]
    assert hasattr(found, "run") != hasattr(found, "work")


@pytest.mark.parametrize("name", sorted(CARRIED_OUT_BY_THE_RUNTIME))
def test_what_the_runtime_does_itself_has_none(name: str) -> None:
    with pytest.raises(NotFound):
        task_type(name)


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(NotFound, match="did you mean 'http'"):
        task_type("htpp")


def test_plug_ins_are_found_and_described(plug: Any) -> None:
    plug(plugged="Plugged", http="Plugged")
    assert type(task_type("plugged")) is Plugged
    assert catalogue()["plugged"] is Plugged.spec
    assert catalogue()["http"] is CATALOGUE["http"]
    assert task_type("http").spec is CATALOGUE["http"]


def test_plug_ins_may_be_loaded_anew(plug: Any) -> None:
    plug(plugged="Plugged")
    before = task_type("plugged")
    forget()
    assert task_type("plugged") is not before


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("plugged", "Missing", "AttributeError"),
        ("plugged", "Unnamed", "no 'spec' with the name 'plugged'"),
        ("idle", "Idle", "neither 'run' nor 'work'"),
    ],
)
def test_a_broken_plug_in_is_named_with_what_is_wrong(plug: Any, name: str, value: str, why: str) -> None:
    plug(**{name: value})
    with pytest.raises(PluginBroken, match=why):
        task_type(name)
