"""Flows in a notebook: a shell of IPython without a kernel, cell after cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

CELL = """
from flowbuilder import flow, map, task
import time

@task
def wait_a_little(n: int) -> int:
    time.sleep(n / 10)
    return n

@task(timeout="20s")
def escaped(text: str) -> str:
    raise ValueError(text)

@flow
def shown(numbers: list[int]):
    return map(wait_a_little, numbers)

@flow
def failing():
    escaped("<b>no</b>")
"""


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBUILDER_HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    yield shell
    InteractiveShell.clear_instance()


def cell(shell: InteractiveShell, text: str) -> tuple[Any, list[str], str]:
    """Run a cell; return its value, the tables that it has shown, and what it has printed."""
    with capture_output() as captured:
        done = shell.run_cell(text)
    tables = [each.data["text/html"] for each in captured.outputs if "text/html" in each.data]
    return done, tables, captured.stdout


def test_a_run_shows_itself_as_a_table_that_follows_it(notebook: InteractiveShell) -> None:
    cell(notebook, CELL)

    done, tables, _ = cell(notebook, "value = shown([1, 8, 2])\nvalue")

    assert done.success
    assert done.result == [1, 8, 2]
    assert "wait_a_little" in tables[0]
    assert "running" in tables[0]
    assert "✓ succeeded" in tables[-1]
    assert "3 items" in tables[-1]
    assert len(tables) >= 2


def test_a_failure_is_in_the_table_and_what_it_says_is_escaped(notebook: InteractiveShell) -> None:
    cell(notebook, CELL)

    done, tables, _ = cell(notebook, "failing()")

    assert type(done.error_in_exec).__name__ == "RunFailed"
    assert "python.ValueError: &lt;b&gt;no&lt;/b&gt;" in tables[-1]
    assert "<b>no" not in tables[-1]


def test_a_function_that_is_written_anew_is_the_one_that_runs(notebook: InteractiveShell) -> None:
    cell(notebook, CELL)
    assert cell(notebook, "shown([0])")[0].result == [0]

    cell(notebook, "@task\ndef wait_a_little(n: int) -> int:\n    return n + 40\n")

    assert cell(notebook, "shown([2])")[0].result == [42]


def test_a_mistake_names_its_line_in_the_cell(notebook: InteractiveShell) -> None:
    cell(notebook, CELL)

    done, _, _ = cell(
        notebook, "@flow\ndef wrong(n: int):\n    if wait_a_little(n):\n        pass\n\nwrong.load()"
    )

    (found,) = done.error_in_exec.diagnostics
    assert (found.code, found.at.line) == ("FB291", 3)


def test_in_a_real_kernel_the_table_is_shown_updated_and_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="a kernel needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="a kernel needs nbclient and ipykernel")
    import nbformat

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBUILDER_HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    texts = [CELL, "shown([1, 8, 2])", "try:\n    failing()\nexcept Exception as error:\n    print(error)"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    client = nbclient.NotebookClient(book, timeout=60, kernel_name="python3")
    updates: list[str] = []
    inner = client.process_message

    def heard(message: Any, *rest: Any) -> Any:
        if message["msg_type"] == "update_display_data":
            updates.append(message["content"]["data"]["text/html"])
        return inner(message, *rest)

    client.process_message = heard
    client.execute()

    shown = [
        output["data"]["text/html"]
        for one in book.cells
        for output in one.outputs
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 2  # one table a run, each updated in its place
    assert "succeeded" in shown[0]
    assert updates
    assert "&lt;b&gt;no&lt;/b&gt;" in shown[1]
    assert "<b>no</b>" not in shown[1]
