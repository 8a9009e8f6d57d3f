"""`script`: a piece of Python, JavaScript or bash in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import keyword
import logging
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import OutputError, TaskFailed
from flowbuilder.core.values import MAX_BYTES, to_json
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
from flowbuilder.tasks.params import get_boolean, get_text, mapping, refuse, text, written
from flowbuilder.tasks.references import with_paths
from flowbuilder.tasks.sandbox import Limits, explained, limits_of, without_network
from flowbuilder.tasks.script_javascript import BOOT
from flowbuilder.tasks.shell import masker_of, prelude, run_bash
from flowbuilder.tasks.specs.commands import SCRIPT
from flowbuilder.tasks.spool import Lines, Spool, Tail

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

_log = logging.getLogger("flowbuilder.engine")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROOT: Final = str(Path(__file__).parents[2])
_PYTHON_BOOT: Final = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from flowbuilder.tasks.script_python import main; main(*map(int, sys.argv[1:]))"
)
_ERROR_TAIL: Final = 2000


class _Code(msgspec.Struct, frozen=True):
    """A script, and how it is run."""

    text: str
    file: str
    """What errors call it."""
    before: tuple[str, ...]
    """What its command is put behind."""
    limits: Limits


class Script:
    """Runs code; in Python and JavaScript it is a function's body, and what it returns is the output.

    What it prints goes to the log.  When `run` ends, in whatever way, nothing
    of the script's process group is left.

    Args:
        grace: seconds between TERM and KILL when an attempt is cancelled.
        limit: bytes of output; more fails with `output.size`.
    """

    spec = SCRIPT

    def __init__(self, grace: float = GRACE, limit: int = MAX_BYTES) -> None:
        self._grace = grace
        self._limit = limit
        self._told = False
        """Whether it was said that scripts keep their network."""

    async def run(self, call: Call) -> Any:
        """Do one attempt.

        Raises:
            TaskFailed: what the code raised, as `python.<Class>` or `javascript.<Name>`;
                `script.exit` if its process left without a word; `shell.exit` for bash;
                `shell.missing`, `input`, `output.size`, `output.type`;
                `resource.cpu`, `resource.memory`, `resource.files`, `resource.time` for a limit.
        """
        params = mapping(call.params)
        language = text(params, "language")
        if language not in ("python", "javascript", "bash"):
            raise TaskFailed("input", f"'language' is python, javascript or bash, not {language[:40]!r}")
        code, file = await _code(params, call)
        limits, network = limits_of(params), get_boolean(params, "network", False)
        before = await self._behind(call, language, network=network)
        async with call.services.slot("shells", call.urgency):
            try:
                async with asyncio.timeout(limits.time):
                    return await self._in(language, call, params, _Code(code, file, before, limits))
            except TimeoutError:
                raise TaskFailed(
                    "resource.time", f"the script had not ended after {limits.time:g} s: raise `limits.time`"
                ) from None
            except TaskFailed as error:
                raise explained(error, limits, network=network) from None

    async def _behind(self, call: Call, language: str, *, network: bool) -> tuple[str, ...]:
        """Return what the script's command is put behind."""
        if network:
            return ()
        before: tuple[str, ...] = await call.services.in_thread(without_network)
        if not before and not self._told:
            self._told = True
            _log.warning("scripts keep their network: this machine lets nobody make a network namespace")
        program = {"python": sys.executable, "javascript": "node", "bash": "bash"}[language]
        return before if shutil.which(program) else ()  # whoever starts it says that it is missing

    async def _in(self, language: str, call: Call, params: dict[str, Any], code: _Code) -> Any:
        if language == "bash":
            return await self._bash(call, params, code)
        args = with_paths(call, _arguments(params))
        if language == "python":
            given = _encoded({"code": code.text, "file": code.file, "args": args})
            return await self._function(call, params, given, code, _python_command, values.decode)
        given = msgspec.json.encode({"code": code.text, "file": code.file, "args": to_json(args)})
        command = functools.partial(_javascript_command, code.limits.memory)
        return await self._function(call, params, given, code, command, msgspec.json.decode)

    async def _bash(self, call: Call, params: dict[str, Any], begun: _Code) -> dict[str, Any]:
        code = begun.text
        how: dict[str, Any] = {
            "grace": self._grace,
            "limit": self._limit,
            "before": begun.before,
            "prepare": functools.partial(begun.limits.apply, heap=False),
        }
        args = with_paths(call, params.get("args"))
        if isinstance(args, list):
            arguments = [written(value, "args") for value in args]
            if any("\0" in argument for argument in arguments):
                raise TaskFailed("input", "an argument has a NUL character in it")
            return await run_bash(call, params, code, arguments, **how)
        given = with_paths(call, _arguments(params))
        variables = {name: written(value, f"args.{name}") for name, value in given.items()}
        script = prelude(code, variables) + code
        return await run_bash(call, params, script, **how)

    async def _function(
        self,
        call: Call,
        params: dict[str, Any],
        given: bytes,
        begun: _Code,
        command: Callable[[int, int, int], Sequence[str]],
        decode: Callable[[bytes], Any],
    ) -> Any:
        """Run code that is a function's body, and return what it returned."""
        folder, environment = working_folder(call, params), child_environment(call)
        with (
            contextlib.closing(Spool(self._limit, "what the script returned")) as result,
            Printed(call) as printed,
        ):
            gate = make_gate()
            pipe = make_gate()
            try:
                source = data_file(lambda _: given)
            except BaseException:
                close_all(*gate, *pipe)
                raise
            child = Child(
                argv=(*begun.before, *command(gate[0], source, pipe[1])),
                cwd=folder,
                env=environment,
                gate=gate,
                pass_fds=(source, pipe[1]),
                on_stdout=printed.out,
                on_stderr=printed.err,
                on_result=(pipe[0], result.write),
                prepare=functools.partial(begun.limits.apply, heap=command is not _python_command),
            )
            code = await run_child(child, call, grace=self._grace)
            printed.end()
            return _outcome(code, result, printed, decode, call)


class Printed:
    """What code prints: masked, and logged line by line."""

    def __init__(self, call: Call) -> None:
        masker = masker_of(call.secrets)
        self._masks = masker.stream(), masker.stream()
        self._lines = (
            Lines(functools.partial(_log_line, call, "info")),
            Lines(functools.partial(_log_line, call, "warning")),
        )
        self.tail = Tail()

    def __enter__(self) -> Printed:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def out(self, data: bytes) -> None:
        """Take a chunk of standard output."""
        self._lines[0].feed(self._masks[0].feed(data))

    def err(self, data: bytes) -> None:
        """Take a chunk of standard error."""
        masked = self._masks[1].feed(data)
        self.tail.write(masked)
        self._lines[1].feed(masked)

    def end(self) -> None:
        """Take what was held back; to call it again does nothing."""
        for mask, lines in zip(self._masks, self._lines, strict=True):
            lines.feed(mask.close())
            lines.close()


async def _code(params: dict[str, Any], call: Call) -> tuple[str, str]:
    """Return the code and the name that errors give it."""
    code, path = get_text(params, "code"), get_text(params, "path")
    if (code is None) == (path is None):
        raise TaskFailed("input", "a script has either 'code' or 'path'")
    if code is None:
        assert path is not None
        try:
            file = call.folder / path
            code = await call.services.in_thread(functools.partial(file.read_text, "utf-8"))
        except (OSError, ValueError) as error:
            raise TaskFailed("input", f"'path' cannot be read: {error}") from None
        return code, str(file)
    if "\0" in code:
        raise TaskFailed("input", "'code' has a NUL character in it")
    return code, "<script>"


def _arguments(params: dict[str, Any]) -> dict[str, Any]:
    args = params.get("args")
    if args is None:
        return {}
    if not isinstance(args, dict):
        refuse("args", "a mapping", args)
    for name in args:
        if not _NAME.fullmatch(name) or keyword.iskeyword(name):
            raise TaskFailed("input", f"'args': {name[:80]!r} is no name of a variable")
    return args


def _encoded(value: Any) -> bytes:
    try:
        return values.encode(value)
    except OutputError as error:
        raise TaskFailed("input", f"'args' cannot be given to the script: {error}") from None


def _python_command(gate: int, source: int, result: int) -> Sequence[str]:
    # -P: a `json.py` in the flow's folder is the author's business, not that of our own imports
    return (sys.executable, "-P", "-c", _PYTHON_BOOT, _ROOT, str(gate), str(source), str(result))


def _javascript_command(memory: int | None, gate: int, source: int, result: int) -> Sequence[str]:
    heap = () if memory is None else (f"--max-old-space-size={max(1, memory // 1024 // 1024)}",)
    return ("node", *heap, "--input-type=commonjs", "-e", BOOT, "--", str(gate), str(source), str(result))


def _outcome(code: int, result: Spool, printed: Printed, decode: Callable[[bytes], Any], call: Call) -> Any:
    """Return what the script returned.

    Raises:
        TaskFailed: what it raised, or that it left without a word.
    """
    try:
        outcome = decode(result.data())
    except (msgspec.DecodeError, OutputError, ValueError):
        tail = printed.tail.text(_ERROR_TAIL).strip()
        what = f"the script ended without a result ({ending(code)})"
        raise TaskFailed("script.exit", f"{what}: {tail}" if tail else what, {"exit_code": code}) from None
    if outcome[0] == "value":
        return outcome[1]
    _, kind, message, data, retry_after, trace = outcome
    if trace:
        call.log("error", trace, None)
    raise TaskFailed(kind, message, data, retry_after=retry_after)


def _log_line(call: Call, level: str, line: str) -> None:
    call.log(level, line, None)
