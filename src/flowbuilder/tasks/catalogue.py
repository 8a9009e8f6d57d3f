"""What the task types that come along are, as data: the compiler, the editor and the docs read this.

Importing it loads no implementation; `tasks.registry` does that on first
use.  `set`, `switch`, `sleep`, `flow` and `group` are here too, though the
compiler and the runtime carry them out themselves.

A parameter with the role `shell` is a text where the author wrote no
expression in it, else the mapping that `core.shellquote` describes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.waiting import APPROVAL, EMIT, WAIT

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT: Final = {"type": "string"}
SCALAR: Final = {"type": ["string", "number", "boolean"]}
DURATION: Final = {"type": ["string", "number"], "format": "duration"}
PAIRS: Final = {
    "type": "object",
    "additionalProperties": {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}, {"type": "null"}]},
}


def _with(
    properties: dict[str, Any], *, required: tuple[str, ...] = (), one_of: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the schema of a `with` that is a mapping of these parameters and no others."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    if one_of:
        schema["oneOf"] = [{"required": [name]} for name in one_of]
    return schema


def _described(schema: Mapping[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {**schema, "description": text, **more}


_COMMAND_OUTPUT: Final = {
    "type": "object",
    "properties": {
        "exit_code": {"type": "integer"},
        "stdout": _described(TEXT, "As it was written; bytes that are no UTF-8 are replaced."),
        "stderr": _described(TEXT, "Its end, where it is long."),
    },
    "required": ["exit_code", "stdout", "stderr"],
}
_NOTHING: Final = {"type": "null"}
_CWD: Final = _described(TEXT, "Working folder; a relative one starts at the flow file's folder.")
_OK_CODES: Final = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
    "minItems": 1,
    "default": [0],
    "description": "Exit codes that count as success.",
}

SET: Final = TaskSpec(
    name="set",
    summary="Computes a value from others.",
    params={},
    output={},
    effect="pure",
    calls=False,
    icon="variable",
    whole=True,
)

SWITCH: Final = TaskSpec(
    name="switch",
    summary="Takes the value of the first case whose condition holds.",
    params=_with(
        {
            "cases": {
                "type": "array",
                "minItems": 1,
                "items": _with(
                    {
                        "when": {
                            "type": "boolean",
                            "description": "The condition; `${{ }}` may be left out.",
                        },
                        "value": {},
                    },
                    required=("when", "value"),
                ),
            },
            "default": {"description": "The value where no case holds; null unless given."},
        },
        required=("cases",),
    ),
    output={},
    effect="pure",
    calls=False,
    icon="split",
)

SHELL: Final = TaskSpec(
    name="shell",
    summary="Runs a script with `bash -euo pipefail`.",
    params=_with(
        {
            "command": _described(
                TEXT, "The script; values in it become quoted variables.", minLength=1, format="shell"
            ),
            "cwd": _CWD,
            "stdin": {"description": "Text for standard input; what is no text is written as JSON."},
            "ok_codes": _OK_CODES,
        },
        required=("command",),
    ),
    output=_COMMAND_OUTPUT,
    effect="write",
    roles={"command": ("shell",)},
    icon="terminal",
)

SCRIPT: Final = TaskSpec(
    name="script",
    summary="Runs a piece of Python, JavaScript or bash in a process of its own.",
    params=_with(
        {
            "language": {"enum": ["python", "javascript", "bash"]},
            "code": _described(TEXT, "The body of a function; `args` are its variables.", minLength=1),
            "path": _described(TEXT, "A file with the code, from the flow file's folder on.", minLength=1),
            "args": {
                "type": ["object", "array"],
                "description": "Variables by name; a list where the code is bash: `$1`, `$2`, …",
            },
            "cwd": _CWD,
            "stdin": {"description": "bash only: text for standard input."},
            "ok_codes": _described(_OK_CODES, "bash only: exit codes that count as success."),
        },
        required=("language",),
        one_of=("code", "path"),
    ),
    output={},
    effect="write",
    roles={"language": ("literal",), "code": ("literal",)},
    icon="file-code",
)

PYTHON: Final = TaskSpec(
    name="python",
    summary="Calls a Python function.",
    params=_with(
        {
            "call": _described(
                TEXT,
                "`module:function`; modules in the flow file's folder are found.",
                pattern=r"^[^\s:]+(:[^\s:]+)?$",
            ),
            "args": {"type": ["object", "array"], "description": "By name, or in order."},
        },
        required=("call",),
    ),
    output={},
    effect="write",
    roles={"call": ("literal",)},
    icon="python",
)

HTTP: Final = TaskSpec(
    name="http",
    summary="Makes an HTTP request.",
    params=_with(
        {
            "url": _described(TEXT, "Values behind the host are percent-encoded.", minLength=1, format="uri"),
            "method": _described(TEXT, "GET, POST, …", default="GET", pattern=r"^[A-Za-z]+$"),
            "headers": _described(PAIRS, "A list sends a header several times; null leaves it out."),
            "query": _described(PAIRS, "Added to the URL's own; a list repeats a name; null leaves it out."),
            "json": {"description": "The body, as JSON."},
            "form": _described(PAIRS, "The body, as a form."),
            "body": {"description": "The body, as it is: text or bytes."},
            "multipart": {
                "type": "object",
                "description": "The body, in parts: a text, or a file by `path` or `content`.",
                "additionalProperties": {
                    "anyOf": [
                        SCALAR,
                        _with(
                            {"path": TEXT, "content": {}, "filename": TEXT, "content_type": TEXT},
                            one_of=("path", "content"),
                        ),
                    ]
                },
            },
            "auth": {
                "type": "object",
                "oneOf": [
                    _with({"bearer": TEXT}, required=("bearer",)),
                    _with(
                        {"basic": _with({"username": TEXT, "password": TEXT}, required=("username",))},
                        required=("basic",),
                    ),
                ],
            },
            "ok_statuses": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[1-5]([0-9]{2}|xx)$"}]
                },
                "default": ["2xx"],
                "description": "Statuses that count as success: numbers, or `2xx` for a hundred.",
            },
            "follow_redirects": {"type": "boolean", "default": True},
            "verify": {
                "type": ["boolean", "string"],
                "default": True,
                "description": "Whether certificates are checked, or a file with those to trust.",
            },
            "save_to": _described(TEXT, "A file that the body is written to; its path is then the output's."),
        },
        required=("url",),
    ),
    output={
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "description": "Names in lower case."},
            "json": {"description": "The body, where it says that it is JSON."},
            "text": _described(TEXT, "The body, where it is text and no JSON."),
            "body": {"description": "The body as bytes, where it is neither."},
            "path": _described(TEXT, "The file, with `save_to`."),
            "bytes": {"type": "integer", "description": "Its size, with `save_to`."},
            "url": _described(TEXT, "After redirects."),
            "elapsed": {"type": "number", "description": "Seconds."},
        },
        "required": ["status", "headers", "url", "elapsed"],
    },
    effect="write",
    effect_by=("method", {"GET": "read", "HEAD": "read", "OPTIONS": "read"}),
    roles={
        "url": ("url",),
        "headers": ("secret",),
        "auth": ("secret",),
        "json": ("secret",),
        "form": ("secret",),
        "body": ("secret",),
        "multipart": ("secret",),
    },
    icon="globe",
)

SLEEP: Final = TaskSpec(
    name="sleep",
    summary="Waits for a time to pass or to come.",
    params=_with(
        {"for": DURATION, "until": {"type": "string", "format": "date-time"}}, one_of=("for", "until")
    ),
    output=_NOTHING,
    effect="read",
    calls=False,
    icon="clock",
)

FLOW: Final = TaskSpec(
    name="flow",
    summary="Runs another flow as a run of its own.",
    params=_with(
        {
            "path": _described(TEXT, "The flow's file, from this file's folder on.", minLength=1),
            "name": _described(TEXT, "The flow's name.", minLength=1),
            "inputs": {"type": "object"},
            "wait": {"type": "boolean", "default": True, "description": "Whether to wait for its end."},
            "key": {"type": ["string", "integer"], "description": "Makes starting it twice start it once."},
        },
        one_of=("path", "name"),
    ),
    output={},
    effect="write",
    calls=False,
    icon="workflow",
)

GROUP: Final = TaskSpec(
    name="group",
    summary="Runs the tasks inside it as one.",
    params=_with({}),
    output={},
    effect="pure",
    calls=False,
    icon="group",
)

FAIL: Final = TaskSpec(
    name="fail",
    summary="Fails, with an error of the author's own.",
    params=_with(
        {
            "kind": _described(
                TEXT, "Dotted, such as `order.invalid`.", default="fail", pattern=r"^[A-Za-z0-9_.-]+$"
            ),
            "message": _described(TEXT, "What went wrong."),
            "data": {"description": "Whatever helps whoever handles it."},
        },
        required=("message",),
    ),
    output=_NOTHING,
    effect="read",
    calls=False,
    icon="octagon-x",
)

LOG: Final = TaskSpec(
    name="log",
    summary="Writes a line to the run's log.",
    params=_with(
        {
            "message": TEXT,
            "level": {"enum": ["debug", "info", "warning", "error"], "default": "info"},
            "data": {"description": "Kept beside the message."},
        },
        required=("message",),
    ),
    output=_NOTHING,
    effect="read",
    calls=False,
    icon="scroll-text",
)

ASSERT: Final = TaskSpec(
    name="assert",
    summary="Fails unless something holds.",
    params=_with(
        {
            "that": {"type": "boolean", "description": "What must hold."},
            "message": TEXT,
            "kind": _described(TEXT, "Of the error.", default="assert", pattern=r"^[A-Za-z0-9_.-]+$"),
        },
        required=("that",),
    ),
    output=_NOTHING,
    effect="read",
    roles={"that": ("condition",)},
    calls=False,
    icon="circle-check",
)

CATALOGUE: Final[Mapping[str, TaskSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            *(SET, SWITCH, SHELL, SCRIPT, PYTHON, HTTP),
            *(SLEEP, FLOW, GROUP, FAIL, LOG, ASSERT),
            *(WAIT, EMIT, APPROVAL),
        )
    }
)
"""The task types that come with the engine, by name."""
