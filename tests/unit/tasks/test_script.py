import asyncio
import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.script import Script

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


async def run(make_call: Any, language: str, code: str | None = None, **params: Any) -> Any:
    given = {"language": language, **({} if code is None else {"code": code}), **params}
    async with asyncio.timeout(60):
        return await Script(grace=0.2, limit=1_000_000).run(make_call(given))


async def failure(make_call: Any, *args: Any, **params: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        await run(make_call, *args, **params)
    return caught.value


PYTHON = """
import math
text = '''
not indented'''
print("hello")
def twice(n): return 2 * n
return {"sum": twice(a) + math.floor(b), "when": when, "text": text, "pair": (1, None)}
"""


async def test_python_is_the_body_of_a_function(make_call: Any, log: Any) -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    output = await run(make_call, "python", PYTHON, args={"a": 20, "b": 2.5, "when": when})
    assert output == {"sum": 42, "when": when, "text": "\nnot indented", "pair": [1, None]}
    assert list(log) == [("info", "hello", None)]


async def test_python_may_await(make_call: Any) -> None:
    code = "import asyncio\nasync def f(): return 1\nreturn await f() + await asyncio.sleep(0, 2)"
    assert await run(make_call, "python", code) == 3


@pytest.mark.parametrize(
    "code", ["pass", "# nothing", "return", "import sys; sys.exit()", "raise SystemExit(0)"]
)
async def test_python_may_return_nothing(make_call: Any, code: str) -> None:
    assert await run(make_call, "python", code) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("return 1 / 0", "python.ZeroDivisionError"),
        ("x = [", "python.SyntaxError"),
        ("import sys; sys.exit(3)", "script.exit"),
        ("import os; os._exit(3)", "script.exit"),
        ("import os; os.kill(os.getpid(), 9)", "script.exit"),
        ("from flowbuilder.core.errors import TaskFailed\nraise TaskFailed('a.b', 'no', [1])", "a.b"),
        ("return object()", "output.type"),
        ("return 2 ** 70", "output.type"),
        ("return 'x' * 2_000_000", "output.size"),
        ("raise KeyboardInterrupt", "python.KeyboardInterrupt"),
    ],
)
async def test_python_fails_with_what_it_raised(make_call: Any, code: str, kind: str) -> None:
    assert (await failure(make_call, "python", code)).kind == kind


async def test_the_traceback_names_the_authors_lines(make_call: Any, log: Any, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("x = 1\n\nreturn x / 0\n")
    error = await failure(make_call, "python", path="job.py")
    assert error.kind == "python.ZeroDivisionError"
    [(level, text, _)] = log
    assert level == "error"
    assert 'job.py", line 3' in text
    assert "return x / 0" in text
    assert "script_python" not in text


async def test_python_finds_the_modules_of_the_folder(make_call: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("VALUE = 7")
    (tmp_path / "traceback.py").write_text("raise RuntimeError('not for us')")
    assert await run(make_call, "python", "import mine\nreturn mine.VALUE") == 7


JAVASCRIPT = """
const text = `
not indented`;
console.log('hello');
await null;
return {sum: a * 2 + Math.floor(b), text, missing: undefined, name: require('path').basename('/x/y')};
"""


@needs_node
async def test_javascript_is_the_body_of_a_function(make_call: Any, log: Any) -> None:
    output = await run(make_call, "javascript", JAVASCRIPT, args={"a": 20, "b": 2.5})
    assert output == {"sum": 42, "text": "\nnot indented", "name": "y"}
    assert list(log) == [("info", "hello", None)]


@needs_node
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("throw new RangeError('no')", "javascript.RangeError"),
        ("return nothing.at.all", "javascript.ReferenceError"),
        ("throw 'text'", "javascript.thrown"),
        ("const x = [", "javascript.SyntaxError"),
        ("setTimeout(() => { throw new Error('later') }); await new Promise(() => {})", "javascript.Error"),
        ("return 1n", "output.type"),
        ("return () => 1", "output.type"),
        ("process.exit(3)", "script.exit"),
        ("await new Promise(() => {})", "script.exit"),
        ("return 'x'.repeat(2000000)", "output.size"),
    ],
)
async def test_javascript_fails_with_what_it_threw(make_call: Any, code: str, kind: str) -> None:
    assert (await failure(make_call, "javascript", code)).kind == kind


@needs_node
async def test_javascript_ends_with_its_function(make_call: Any) -> None:
    assert await run(make_call, "javascript", "setInterval(() => {}, 1000); return 1") == 1
    assert await run(make_call, "javascript", "") is None


async def test_bash_is_as_shell(make_call: Any) -> None:
    output = await run(make_call, "bash", 'echo "$1-$2-$#"', args=["a b", {"x": 1}])
    assert output == {"exit_code": 0, "stdout": 'a b-{"x":1}-2\n', "stderr": ""}
    output = await run(
        make_call, "bash", 'cat; echo "$name"; exit 3', args={"name": "$(x)"}, stdin="in ", ok_codes=[3]
    )
    assert output["stdout"] == "in $(x)\n"
    assert (await failure(make_call, "bash", "exit 3")).kind == "shell.exit"


@pytest.mark.parametrize("language", ["python", "bash", pytest.param("javascript", marks=needs_node)])
async def test_nothing_is_left_of_a_cancelled_script(
    make_call: Any, log: Any, services: Any, group_ends: Any, language: str
) -> None:
    code = {
        "python": "import time; print('ready', flush=True); time.sleep(3600)",
        "bash": "echo ready; sleep 3600",
        "javascript": "console.log('ready'); setInterval(() => {}, 1000); await new Promise(() => {})",
    }[language]
    running = asyncio.create_task(run(make_call, language, code))
    await log.has("ready")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await group_ends(services.started[0][1])
    assert services.ended == [services.started[0][1]]


async def test_secrets_are_masked_in_what_is_printed(make_call: Any, log: Any) -> None:
    code = "import sys\nprint('hunter2-hunter2')\nprint('hunter2-hunter2', file=sys.stderr)"
    await Script().run(make_call({"language": "python", "code": code}, secrets=("hunter2-hunter2",)))
    assert sorted(log) == [("info", "***", None), ("warning", "***", None)]


@pytest.mark.parametrize(
    "params",
    [
        {"language": "perl", "code": "1"},
        {"code": "1"},
        {"language": "python"},
        {"language": "python", "code": "1", "path": "x"},
        {"language": "python", "path": "missing.py"},
        {"language": "python", "code": "1", "args": {"a-b": 1}},
        {"language": "python", "code": "1", "args": {"class": 1}},
        {"language": "python", "code": "1", "args": [1]},
        {"language": "python", "code": "a\0b"},
        {"language": "bash", "code": "1", "args": ["\0"]},
        {"language": "bash", "code": "1", "args": {"a": None}},
    ],
)
async def test_wrong_parameters_are_an_error_of_the_author(make_call: Any, params: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Script().run(make_call(params))
    assert caught.value.kind == "input"
