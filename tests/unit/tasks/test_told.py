"""`$FLOWBUILDER_OUTPUT` and `files`: what a script tells its flow, and leaves to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.sdk.engine import Engine
from flowbuilder.tasks.told import parse
from flowbuilder.testing import load_text, run_flow


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("a=1\n\nb = x\n", None),
        ("a=\nb==x=\na=2\n", {"a": "2", "b": "=x="}),
        ("a=é 😀 'quoted' ", {"a": "é 😀 'quoted' "}),
        ("a<<EOF\none\n\n two\nEOF\nb=1\n", {"a": "one\n\n two", "b": "1"}),
        ("a<<X\nX\n", {"a": ""}),
        ("a<<X\nb=1\n", None),
        ("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
        ("my-name_2=x", {"my-name_2": "x"}),
        ("2=x", None),
        ("just a line", None),
    ],
)
def test_lines_are_read_as_in_ci_files(text: str, wanted: dict[str, str] | None) -> None:
    if wanted is None:
        with pytest.raises(TaskFailed, match=r"shell\.output"):
            parse(text)
    else:
        assert parse(text) == wanted


async def test_a_script_tells_values_and_leaves_files(tmp_path: Path) -> None:
    view = await run_flow(
        load_text(
            """
flow: told
tasks:
  a:
    type: shell
    with:
      command: |
        echo "version=1.2.3" >> "$FLOWBUILDER_OUTPUT"
        mkdir out; echo content > "out/a file.txt"
      files: {report: "out/a file.txt"}
  none: {run: 'true'}
  bash: {type: script, with: {language: bash, code: 'echo x=$A >> $FLOWBUILDER_OUTPUT', args: {A: "${{ tasks.a.output.values.version }}"}}}
  read: {type: file, with: {read: "${{ tasks.a.output.files.report }}"}}
outputs:
  version: ${{ tasks.bash.output.values.x }}
  none: ${{ tasks.none.output.values | default('nothing') }}
  name: ${{ tasks.a.output.files.report.name }}
  read: ${{ tasks.read.output }}
""",
            tmp_path,
        )
    )

    assert view.status == "succeeded", view.error
    assert view.outputs == {"version": "1.2.3", "none": "nothing", "name": "a file.txt", "read": "content\n"}


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("{command: 'true', files: {a: none.txt}}", "shell.file"),
        ("{command: 'mkdir d', files: {a: d}}", "shell.file"),
        ("{command: 'echo nonsense >> $FLOWBUILDER_OUTPUT'}", "shell.output"),
        ("{command: 'head -c 2000000 /dev/zero >> $FLOWBUILDER_OUTPUT'}", "shell.output"),
    ],
)
async def test_what_is_not_there_or_no_value_fails_the_task(tmp_path: Path, task: str, kind: str) -> None:
    view = await run_flow(load_text(f"flow: told\ntasks:\n  a: {{type: shell, with: {task}}}\n", tmp_path))

    assert view.error is not None
    assert view.error["kind"] == kind


async def test_a_secret_that_is_told_is_masked(tmp_path: Path) -> None:
    flow = load_text(
        "flow: told\nsecrets: [TOKEN]\ntasks:\n"
        "  a: {run: 'echo t=$T >> $FLOWBUILDER_OUTPUT', env: {T: '${{ secrets.TOKEN }}'}}\n",
        tmp_path,
    )
    view = await run_flow(flow, secrets={"TOKEN": "hush-hush-hush"})

    assert view.tasks["a"].output["values"] == {"t": "***"}


async def test_a_file_that_a_large_output_refers_to_is_kept_as_long_as_the_output(tmp_path: Path) -> None:
    flow = load_text(
        """
flow: told
tasks:
  a:
    type: shell
    with: {command: 'head -c 200000 /dev/zero | tr "\\0" x; echo kept > out.txt', files: {f: out.txt}}
""",
        tmp_path,
    )
    async with Engine(tmp_path / "store.db") as engine:
        view = await (await engine.start(flow)).wait()
        store = engine.core.machine.store
        store.sweep_blobs(-60.0)

        blob = view.tasks["a"].output["files"]["f"]["$file"]
        assert store.blobs().get(blob) == b"kept\n"
