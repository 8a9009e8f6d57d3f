import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks import modules, python
from flowbuilder.tasks.modules import find_function
from flowbuilder.tasks.python import Python, name_function


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    before, path = dict(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.path[:] = path
    modules._of_folder.clear()


def loaded(type: Python, call: Any) -> Any:
    """Return the work of a call, imported as the engine does it."""
    work = type.work(call)
    if hasattr(work.function, "load"):
        work.function.load()
        work = type.work(call)
    return work


def result(type: Python, call: Any) -> Any:
    work = loaded(type, call)
    return work.function(*work.args, **work.kwargs)


@pytest.mark.parametrize(
    ("args", "expected"), [({"y": 1, "x": 2}, [2, 1]), ([1, 2], [1, 2]), (None, ["x", "y"]), ({}, ["x", "y"])]
)
async def test_arguments_go_by_name_or_in_order(
    make_call: Any, tmp_path: Path, args: Any, expected: Any
) -> None:
    (tmp_path / "mine.py").write_text("def f(x='x', y='y'): return [x, y]")
    assert result(Python(), make_call({"call": "mine:f", "args": args})) == expected


async def test_a_function_is_looked_up_once(make_call: Any, tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text("class A:\n    @staticmethod\n    def f(): return 1")
    type, call = Python(), make_call({"call": "once:A.f"})
    first = type.work(call)
    assert first.function() == 1
    second, third = type.work(call), type.work(call)
    assert second.function is third.function is sys.modules["once"].A.f
    assert (second.name, second.call) == ("once:A.f", call)


async def test_modules_of_packages_and_installed_ones_are_found(make_call: Any, tmp_path: Path) -> None:
    package = tmp_path / "pack" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").touch()
    (package / "__init__.py").write_text("from ..other import f")
    (tmp_path / "pack" / "other.py").write_text("def f(): return 'other'")
    assert result(Python(), make_call({"call": "pack.inner:f"})) == "other"
    assert result(Python(), make_call({"call": "json:dumps", "args": [[1]]})) == "[1]"


async def test_two_folders_may_have_modules_of_the_same_names(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reports.py").write_text(
            "from helpers_of_it import WHERE\ndef where(): return WHERE"
        )
        (tmp_path / folder / "helpers_of_it.py").write_text(f"WHERE = {folder!r}")
    found = {folder: find_function("reports:where", tmp_path / folder) for folder in ("a", "b", "a")}
    assert {folder: function() for folder, function in found.items()} == {"a": "a", "b": "b"}
    assert find_function("reports:where", tmp_path / "a") is found["a"]


async def test_a_folders_module_does_not_hide_that_of_others(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("def dumps(x): return 'mine'")
    assert find_function("json:dumps", tmp_path)(1) == "mine"
    assert sys.modules["json"] is json
    assert str(tmp_path) not in sys.path[:-1]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        ("nosuchmodule_at_all:f", "input", "no Python module 'nosuchmodule_at_all'"),
        ("mine.inner:f", "input", "no Python module 'mine.inner'"),
        ("mine:functoin", "input", "did you mean 'function'"),
        ("mine:CONSTANT", "input", "is no function, but an int"),
        ("mine:function.x", "input", "no function 'x'"),
        ("mine:", "input", "names no function"),
        ("needs:f", "python.ModuleNotFoundError", "nosuchmodule"),
        ("broken:f", "python.SyntaxError", "broken"),
        ("raises:f", "python.ZeroDivisionError", "cannot be imported"),
    ],
)
async def test_what_cannot_be_found_is_said(tmp_path: Path, call: str, kind: str, message: str) -> None:
    (tmp_path / "mine.py").write_text("CONSTANT = 1\ndef function(): pass")
    (tmp_path / "needs.py").write_text("import nosuchmodule")
    (tmp_path / "broken.py").write_text("def f(:")
    (tmp_path / "raises.py").write_text("1 / 0")
    with pytest.raises(TaskFailed) as caught:
        find_function(call, tmp_path)
    assert caught.value.kind == kind
    assert message in caught.value.message


async def test_task_functions_are_known_by_their_names(
    make_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "_named", {})
    name_function("price", sum)
    work = Python().work(make_call({"call": "price", "args": [[1, 2]]}))
    assert (work.function(*work.args), work.name) == (3, "builtins:sum")
    with pytest.raises(TaskFailed, match="no task function 'prize'"):
        Python().work(make_call({"call": "prize"}))


@pytest.mark.parametrize(
    "params", [None, {}, {"call": 1}, {"call": ["a:b"]}, {"call": "json:dumps", "args": "x"}, {"call": None}]
)
async def test_wrong_parameters_are_an_error_of_the_author(make_call: Any, params: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        Python().work(make_call(params))
    assert caught.value.kind == "input"


async def test_a_module_that_changes_under_a_running_engine_is_warned_about_once(
    make_call: Any, tmp_path: Path, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "changing.py"
    file.write_text("def f(): return 1")
    now = [0.0]
    monkeypatch.setattr(python.time, "monotonic", lambda: now[0])
    type, call = Python(), make_call({"call": "changing:f"})
    assert result(type, call) == 1
    now[0] += 10
    assert result(type, call) == 1
    assert log == []
    file.write_text("def f(): return 2")
    for _ in range(3):
        now[0] += 10
        assert result(type, call) == 1
    [(level, message, _)] = log
    assert level == "warning"
    assert "changing.py has changed" in message


async def test_a_folder_may_be_imported_anew(tmp_path: Path) -> None:
    file = tmp_path / "again.py"
    file.write_text("def f(): return 1")
    assert find_function("again:f", tmp_path)() == 1
    file.write_text("def f(): return 'two'")
    modules.forget()
    assert find_function("again:f", tmp_path)() == "two"
