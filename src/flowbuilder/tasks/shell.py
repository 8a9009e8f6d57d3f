"""`shell`: a script for `bash -euo pipefail`."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.masking import Masker
from flowbuilder.core.shellquote import check_variable
from flowbuilder.core.values import MAX_BYTES
from flowbuilder.tasks.child import (
    GRACE,
    Child,
    child_environment,
    close_all,
    data_file,
    make_gate,
    run_child,
    working_folder,
)
from flowbuilder.tasks.endings import ending
from flowbuilder.tasks.params import codes, mapping, refuse, written
from flowbuilder.tasks.references import keep_file, with_paths
from flowbuilder.tasks.specs.commands import SHELL
from flowbuilder.tasks.spool import Lines, Replaced, Spool, Tail
from flowbuilder.tasks.told import VARIABLE, make_file, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbuilder.tasks.api import Call

_EXPORTS_FUNCTIONS: Final = re.compile(r"\b(export|declare|typeset)\s+-[a-zA-Z]*[fx]")
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,+@%=- ")
_BYTES: Final = [chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in range(256)]
_ERROR_TAIL: Final = 2000


class Shell:
    """Runs a script; its output is the exit code and what it wrote.

    When `run` ends, in whatever way, nothing of the script's process group is left.

    Args:
        grace: seconds between TERM and KILL when an attempt is cancelled.
        limit: bytes of standard output; more fails with `output.size`.
    """

    spec = SHELL

    def __init__(self, grace: float = GRACE, limit: int = MAX_BYTES) -> None:
        self._grace = grace
        self._limit = limit

    async def run(self, call: Call) -> dict[str, Any]:
        """Do one attempt."""
        params = mapping(call.params)
        script, variables = _command(with_paths(call, params.get("command")))
        script = prelude(script, variables) + script
        async with call.services.slot("shells", call.urgency):
            return await run_bash(call, params, script, grace=self._grace, limit=self._limit)


async def run_bash(
    call: Call,
    params: dict[str, Any],
    script: str,
    arguments: Sequence[str] = (),
    *,
    grace: float,
    limit: int,
    before: Sequence[str] = (),
    prepare: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run a bash script with the parameters that all such tasks have.

    What it wrote to `$FLOWBUILDER_OUTPUT` is in `values`, what `files` names in `files`.

    Raises:
        TaskFailed: `shell.exit` for a bad exit code, `output.size` for too much output,
            `shell.missing`, `shell.start`, `shell.output`, `shell.file`, `input`.
    """
    ok = codes(params)
    files = _files(params)
    stdin = params.get("stdin")
    folder, environment = working_folder(call, params), child_environment(call)
    fed = b"" if stdin is None else stdin if isinstance(stdin, bytes) else written(stdin, "stdin").encode()
    source = _encoded(script)
    told = make_file()
    environment[VARIABLE] = str(told)
    try:
        with Output(call, limit) as output:
            gate, file = _behind_gate(source)
            output.name_script(file, call.task)
            child = Child(
                argv=(*before, "bash", "-euo", "pipefail", f"/dev/fd/{file}", *arguments),
                cwd=folder,
                env=environment,
                gate=gate,
                pass_fds=(file,),
                stdin=fed,
                on_stdout=output.on_stdout,
                on_stderr=output.on_stderr,
                prepare=prepare,
            )
            code = await run_child(child, call, grace=grace)
            output.end()
            if code not in ok:
                raise _failure(code, output)
            result = {"exit_code": code, "stdout": output.stdout.text(), "stderr": output.stderr.text()}
        if values := read_values(told):
            result["values"] = values
    finally:
        told.unlink(missing_ok=True)
    if files:
        result["files"] = {name: await _kept(call, folder, name, path) for name, path in files.items()}
    return result


def _files(params: dict[str, Any]) -> dict[str, str]:
    """Return the files that are to be kept, by name."""
    files = params.get("files")
    if files is None:
        return {}
    if not isinstance(files, dict) or not all(isinstance(path, str) and path for path in files.values()):
        refuse("files", "a mapping of names to paths", files)
    return files


async def _kept(call: Call, folder: Path, name: str, path: str) -> dict[str, Any]:
    """Keep a file that a script has made, and return the reference to it."""
    try:
        return await keep_file(call, folder / os.path.expanduser(path))  # noqa: ASYNC240 - asks no disk
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TaskFailed(
            "shell.file", f"'files.{name}': the script has left no file {path!r}: {why}"
        ) from None


class Output:
    """What a child writes: masked, logged line by line, and kept."""

    def __init__(self, call: Call, limit: int) -> None:
        masker = masker_of(call.secrets)
        self.stdout = Spool(limit, "standard output")
        self.stderr = Tail()
        self._out_mask, self._err_mask = masker.stream(), masker.stream()
        self._named = Replaced()
        self._out_lines = Lines(functools.partial(_log_line, call.log, "info"))
        self._err_lines = Lines(functools.partial(_log_line, call.log, "warning"))

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()

    def name_script(self, descriptor: int, name: str) -> None:
        """Have bash's complaints name the task, and not the descriptor that it reads the script from."""
        self._named = Replaced(b"/dev/fd/%d: line " % descriptor, f"{name}: line ".encode())

    def on_stdout(self, data: bytes) -> None:
        """Take a chunk of standard output."""
        self._keep_stdout(self._out_mask.feed(data))

    def on_stderr(self, data: bytes) -> None:
        """Take a chunk of standard error."""
        self._keep_stderr(self._err_mask.feed(self._named.feed(data)))

    def end(self) -> None:
        """Take what was held back."""
        self._keep_stdout(self._out_mask.close())
        self._keep_stderr(self._err_mask.feed(self._named.close()))
        self._keep_stderr(self._err_mask.close())
        self._out_lines.close()
        self._err_lines.close()

    def _keep_stdout(self, data: bytes) -> None:
        self.stdout.write(data)
        self._out_lines.feed(data)

    def _keep_stderr(self, data: bytes) -> None:
        self.stderr.write(data)
        self._err_lines.feed(data)


@functools.lru_cache(maxsize=64)
def masker_of(secrets: tuple[str, ...]) -> Masker:
    """Return what masks these values; made once, since a flow's are the same for all its tasks."""
    return Masker({str(number): value for number, value in enumerate(secrets)})


def prelude(script: str, variables: Mapping[str, str]) -> str:
    """Return the assignments that stand in front of a script, on its first line.

    They are no environment variables: so no program that the script starts
    sees them, and they may be as long as they like.  Only a script that
    exports functions, in which they may stand, has them exported.

    Raises:
        TaskFailed: `input` if bash cannot be given one of them.
    """
    if not variables:
        return ""
    parts = []
    for name, value in variables.items():
        try:
            check_variable(name, value)
        except ValueError as error:
            raise TaskFailed("input", str(error)) from None
        parts.append(f"{name}=$'{''.join([_BYTES[byte] for byte in _encoded(value)])}'")
    export = "export " if _EXPORTS_FUNCTIONS.search(script) else ""
    return f"{export}{' '.join(parts)}; "


def _command(command: Any) -> tuple[str, dict[str, str]]:
    """Return the script and its variables, from either form that `core.shellquote` describes."""
    if isinstance(command, str):
        script, variables = command, {}
    elif isinstance(command, dict) and isinstance(command.get("script"), str):
        script = command["script"]
        variables = {name: written(v, "command") for name, v in (command.get("variables") or {}).items()}
    else:
        refuse("command", "a text", command)
    if "\0" in script:
        raise TaskFailed("input", "'command' has a NUL character in it")
    return script, variables


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TaskFailed("input", "a text has half a character in it (a lone surrogate)") from None


def _behind_gate(source: bytes) -> tuple[tuple[int, int], int]:
    """Return a gate, and a file with a script that waits at it."""
    gate = make_gate()
    # one line more than the author's would shift the lines that bash names in errors
    head = b"read -r -u %d _ || exit 125; exec %d<&- %%d<&-; BASH_ARGV0=command; " % (gate[0], gate[0])
    try:
        return gate, data_file(lambda fd: head % fd + source)
    except BaseException:
        close_all(*gate)
        raise


def _failure(code: int, output: Output) -> TaskFailed:
    tail = output.stderr.text(_ERROR_TAIL).strip()
    what = ending(code)
    return TaskFailed("shell.exit", f"{what}: {tail}" if tail else what, {"exit_code": code, "stderr": tail})


def _log_line(log: Callable[[str, str, Any], None], level: str, line: str) -> None:
    log(level, line, None)
