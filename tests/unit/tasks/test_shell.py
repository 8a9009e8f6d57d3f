import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.shell import Shell


async def run(make_call: Any, command: Any, **params: Any) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await Shell(grace=0.2).run(make_call({"command": command, **params}))


async def failure(make_call: Any, command: Any, **params: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        await run(make_call, command, **params)
    return caught.value


async def test_the_output_is_the_exit_code_and_what_was_written(make_call: Any) -> None:
    output = await run(make_call, "echo out; echo err >&2; printf end")
    assert output == {"exit_code": 0, "stdout": "out\nend", "stderr": "err\n"}


async def test_values_arrive_as_they_are(make_call: Any) -> None:
    value = "a b*'\"; echo PWNED; $(echo PWNED) `x` \\ é\n\t\x7f"
    command = {"script": 'printf "%s|" "${__fb_0}" "$#"', "variables": {"__fb_0": value}}
    assert (await run(make_call, command))["stdout"] == value + "|0|"


async def test_a_value_may_be_larger_than_what_an_environment_holds(make_call: Any) -> None:
    command = {"script": 'echo "${#__fb_0}"', "variables": {"__fb_0": "x" * 3_000_000}}
    assert (await run(make_call, command))["stdout"] == "3000000\n"


async def test_variables_are_not_in_the_environment_of_programs(make_call: Any) -> None:
    command = {"script": "env | grep -c fb_ || true", "variables": {"__fb_0": "x"}}
    assert (await run(make_call, command))["stdout"] == "0\n"


async def test_a_script_that_exports_functions_takes_its_variables_along(make_call: Any) -> None:
    script = 'f() { echo "${__fb_0}"; }; export -f f; bash -c f'
    assert (await run(make_call, {"script": script, "variables": {"__fb_0": "v"}}))["stdout"] == "v\n"


async def test_what_bash_computes_with_must_be_a_whole_number(make_call: Any) -> None:
    command = {"script": "echo $((${__fb_int_0} + 1))", "variables": {"__fb_int_0": 41}}
    assert (await run(make_call, command))["stdout"] == "42\n"
    command["variables"] = {"__fb_int_0": "a[$(touch pwned)]"}
    assert (await failure(make_call, command)).kind == "input"


async def test_a_script_stops_at_the_first_failure(make_call: Any) -> None:
    assert (await failure(make_call, "false; echo on")).data["exit_code"] == 1
    assert (await failure(make_call, "false | true; echo on")).data["exit_code"] == 1
    assert "unbound" in (await failure(make_call, "echo $nothing")).message


async def test_a_bad_exit_code_says_what_the_script_said_last(make_call: Any) -> None:
    error = await failure(make_call, "for i in {1..9999}; do echo line $i >&2; done; exit 3")
    assert error.kind == "shell.exit"
    assert error.message.startswith("exit code 3: …")
    assert error.message.endswith("line 9999")
    assert len(error.message) < 2100


async def test_errors_name_the_line_of_the_author(make_call: Any) -> None:
    command = {"script": "\n\nnosuchprogram", "variables": {"__fb_0": "a\nb"}}
    assert "a[0]: line 3: nosuchprogram" in (await failure(make_call, command)).message


async def test_errors_name_the_task_and_no_descriptor_however_they_are_cut(make_call: Any) -> None:
    error = await failure(make_call, "printf /dev/fd >&2; printf '/%s: li' nobody >&2; nosuchprogram")
    assert error.message == "exit code 127: /dev/fd/nobody: lia[0]: line 1: nosuchprogram: command not found"


async def test_a_pipe_that_was_closed_early_is_explained(make_call: Any) -> None:
    error = await failure(make_call, "yes | head -1")
    assert error.data["exit_code"] == 141
    assert "SIGPIPE" in error.message
    assert "pipefail" in error.message
    assert (await run(make_call, "(yes || true) | head -1"))["stdout"] == "y\n"


async def test_other_codes_may_be_good_ones(make_call: Any) -> None:
    assert (await run(make_call, "exit 3", ok_codes=[0, 3]))["exit_code"] == 3
    assert (await failure(make_call, "exit 0", ok_codes=[3])).kind == "shell.exit"


async def test_a_signal_is_named(make_call: Any) -> None:
    error = await failure(make_call, "kill -KILL $$")
    assert (error.kind, error.data["exit_code"]) == ("shell.exit", 137)
    assert "signal 9" in error.message


@pytest.mark.parametrize(
    ("stdin", "expected"), [("a\nb", "a\nb"), ({"a": [1]}, '{"a":[1]}'), (b"\0x", "\0x")]
)
async def test_standard_input_is_given(make_call: Any, stdin: Any, expected: str) -> None:
    assert (await run(make_call, "cat", stdin=stdin))["stdout"] == expected


async def test_without_standard_input_there_is_nothing_to_read(make_call: Any) -> None:
    assert (await run(make_call, "cat"))["stdout"] == ""


async def test_a_script_need_not_read_what_it_is_given(make_call: Any) -> None:
    assert (await run(make_call, "echo x", stdin="y" * 1_000_000))["stdout"] == "x\n"


async def test_the_folder_is_that_of_the_flow_unless_said(make_call: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert (await run(make_call, "pwd"))["stdout"] == f"{tmp_path}\n"
    assert (await run(make_call, "pwd", cwd="sub"))["stdout"] == f"{tmp_path}/sub\n"
    assert (await failure(make_call, "pwd", cwd="nowhere")).kind == "input"
    assert (await failure(make_call, "pwd", cwd="\0")).kind == "input"


async def test_the_environment_is_the_engines_the_declared_and_the_tasks_own(
    make_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBUILDER_SECRET_TOKEN", "hidden")
    monkeypatch.setenv("BASH_ENV", "/nowhere")
    monkeypatch.setenv("INHERITED", "i")
    call = make_call({"command": "env"}, env={"DECLARED": "d", "NUMBER": 1})
    lines = (await Shell().run(call))["stdout"].splitlines()
    assert {
        "INHERITED=i",
        "DECLARED=d",
        "NUMBER=1",
        "FLOWBUILDER_RUN_ID=run-1",
        "FLOWBUILDER_TASK=a[0]",
        "FLOWBUILDER_ATTEMPT=2",
        "FLOWBUILDER_IDEMPOTENCY_KEY=run-1/a[0]",
    } <= set(lines)
    assert not [line for line in lines if line.startswith(("FLOWBUILDER_SECRET_", "BASH_ENV"))]


async def test_lines_are_logged_while_the_script_runs(make_call: Any, log: Any) -> None:
    fifo = make_call(None).folder / "go"
    os.mkfifo(fifo)
    running = asyncio.create_task(run(make_call, "echo one; echo two >&2; read x < go; printf three"))
    await log.has("one")
    await log.has("two")
    assert not running.done()
    await asyncio.to_thread(fifo.write_text, "\n")
    await running
    assert sorted(log) == [("info", "one", None), ("info", "three", None), ("warning", "two", None)]


async def test_secrets_are_masked_everywhere(make_call: Any, log: Any) -> None:
    script = 'printf hunter; printf "2-hunter2\\n"; echo hunter2-hunter2 >&2; exit 1'
    call = make_call({"command": script, "ok_codes": [1]}, secrets=("hunter2-hunter2",))
    output = await Shell().run(call)
    assert (output["stdout"], output["stderr"]) == ("***\n", "***\n")
    call = make_call({"command": script}, secrets=("hunter2-hunter2",))
    with pytest.raises(TaskFailed) as caught:
        await Shell().run(call)
    assert "hunter" not in repr((caught.value.args, list(log)))


async def test_a_cancelled_script_gets_time_to_clean_up(
    make_call: Any, log: Any, services: Any, group_ends: Any
) -> None:
    script = "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done"
    running = asyncio.create_task(Shell(grace=20).run(make_call({"command": script})))
    await log.has("ready")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    assert "bye" in [line for _, line, _ in log]
    await group_ends(services.started[0][1])
    assert services.ended == [services.started[0][1]]


async def test_a_script_that_ignores_the_request_is_killed_with_its_children(
    make_call: Any, log: Any, services: Any, group_ends: Any
) -> None:
    script = "trap '' TERM; (while :; do sleep 1000; done) & echo ready; while :; do sleep 1000; done"
    running = asyncio.create_task(run(make_call, script))
    await log.has("ready")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    await group_ends(services.started[0][1])


async def test_a_second_cancel_does_not_wait(
    make_call: Any, log: Any, services: Any, group_ends: Any
) -> None:
    running = asyncio.create_task(
        Shell(grace=1000).run(
            make_call({"command": "trap '' TERM; echo ready; while :; do sleep 1000; done"})
        )
    )
    await log.has("ready")
    running.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    await group_ends(services.started[0][1])


async def test_what_a_script_leaves_running_is_ended_with_it(
    make_call: Any, services: Any, group_ends: Any
) -> None:
    output = await run(make_call, "sleep 1000 > /dev/null 2>&1 & echo done")
    assert output["stdout"] == "done\n"
    await group_ends(services.started[0][1])


async def test_what_holds_the_pipes_open_does_not_hold_the_task(make_call: Any, services: Any) -> None:
    output = await run(make_call, "sleep 1000 & echo done")
    assert output["stdout"] == "done\n"


async def test_what_still_writes_at_the_end_is_heard(make_call: Any) -> None:
    output = await run(make_call, "echo late > >(sleep 0.1; cat)")
    assert output["stdout"] == "late\n"


async def test_a_long_output_is_whole(make_call: Any, log: Any) -> None:
    output = await run(make_call, "head -c 5000000 /dev/zero | tr '\\0' x")
    assert output["stdout"] == "x" * 5_000_000
    assert sum(len(line) for _, line, _ in log) == 5_000_000


async def test_an_output_beyond_the_limit_ends_the_script(
    make_call: Any, services: Any, group_ends: Any
) -> None:
    with pytest.raises(TaskFailed) as caught:
        async with asyncio.timeout(30):
            await Shell(grace=0.2, limit=100_000).run(make_call({"command": "yes"}))
    assert caught.value.kind == "output.size"
    await group_ends(services.started[0][1])


async def test_bytes_that_are_no_text_are_replaced(make_call: Any) -> None:
    assert (await run(make_call, r"printf 'a\xffb'"))["stdout"] == "a\ufffdb"


@pytest.mark.parametrize(
    "params",
    [
        {"command": 1},
        {"command": {"script": "true", "variables": {"__fb_0": None}}},
        {"command": {"script": "true", "variables": {"__fb_0": "\0"}}},
        {"command": "a\0b"},
        {"command": "\ud800"},
        {"command": "true", "ok_codes": "0"},
        {"command": "true", "cwd": 1},
        {},
        [],
        None,
    ],
)
async def test_wrong_parameters_are_an_error_of_the_author(make_call: Any, params: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Shell().run(make_call(params))
    assert caught.value.kind == "input"


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"": "x"}, {"A": "\0"}, {"A": None}, {"A": "\ud800"}])
async def test_so_is_a_wrong_environment(make_call: Any, env: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Shell().run(make_call({"command": "true"}, env=env))
    assert caught.value.kind == "input"


async def test_a_missing_bash_is_said(make_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TaskFailed) as caught:
        await Shell().run(make_call({"command": "true"}, env={"PATH": "/nowhere"}))
    assert caught.value.kind == "shell.missing"


async def test_nothing_runs_before_the_child_is_on_record(make_call: Any, services: Any) -> None:
    ran = make_call(None).folder / "ran"

    def refuse(run_id: str, pid: int, started: float) -> None:
        assert started > 0
        raise OSError("the record cannot be written")

    services.child_started = refuse
    with pytest.raises(OSError, match="record"):
        await Shell(grace=0.2).run(make_call({"command": "touch ran"}))
    assert not ran.exists()


async def test_no_descriptors_are_left_open(make_call: Any) -> None:
    await run(make_call, "true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await run(make_call, "cat; echo x", stdin="y")
        await failure(make_call, "exit 1")
        await failure(make_call, "true", cwd="nowhere")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_signals_have_their_usual_effect_in_a_script(make_call: Any) -> None:
    # a process pool or a shell in front may have set some to be ignored
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    output = await run(make_call, "set +o pipefail; yes | head -n 1")
    assert output == {"exit_code": 0, "stdout": "y\n", "stderr": ""}
