"""`shell`, `script` and `python`: code of the author."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import TEXT, described, with_

_COMMAND_OUTPUT: Final = {
    "type": "object",
    "properties": {
        "exit_code": {"type": "integer"},
        "stdout": described(TEXT, "As it was written; bytes that are no UTF-8 are replaced."),
        "stderr": described(TEXT, "Its end, where it is long."),
        "values": {
            "type": "object",
            "description": "What it wrote to `$FLOWBUILDER_OUTPUT` as `name=value`, where it wrote any.",
        },
        "files": {"type": "object", "description": "References to the kept `files`, by name."},
    },
    "required": ["exit_code", "stdout", "stderr"],
}

_CWD: Final = described(TEXT, "Working folder; a relative one starts at the flow file's folder.")
_OK_CODES: Final = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
    "minItems": 1,
    "default": [0],
    "description": "Exit codes that count as success.",
}

_TIME: Final = {"type": "string", "pattern": r"^\s*P|^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$"}
_SIZE: Final = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[KMGT]i?B\s*$"}
_FILES: Final = {
    "type": "object",
    "additionalProperties": {"type": "string", "minLength": 1},
    "description": "Files that it leaves, by name; they are kept, and `output.files.<name>` refers to them.",
}

SHELL: Final = TaskSpec(
    name="shell",
    summary="Runs a script with `bash -euo pipefail`.",
    params=with_(
        {
            "command": described(
                TEXT, "The script; values in it become quoted variables.", minLength=1, format="shell"
            ),
            "cwd": _CWD,
            "stdin": {"description": "Text for standard input; what is no text is written as JSON."},
            "ok_codes": _OK_CODES,
            "files": _FILES,
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
    params=with_(
        {
            "language": {"enum": ["python", "javascript", "bash"]},
            "code": described(TEXT, "The body of a function; `args` are its variables.", minLength=1),
            "path": described(TEXT, "A file with the code, from the flow file's folder on.", minLength=1),
            "args": {
                "type": ["object", "array"],
                "description": "Variables by name; a list where the code is bash: `$1`, `$2`, …",
            },
            "cwd": _CWD,
            "stdin": {"description": "bash only: text for standard input."},
            "ok_codes": described(_OK_CODES, "bash only: exit codes that count as success."),
            "files": described(_FILES, "bash only: files that it leaves, by name, as of `shell`."),
            "limits": {
                **with_(
                    {
                        "cpu": described(_TIME, "Seconds of a processor, of each process: `10s`."),
                        "memory": described(_SIZE, "Of each process: `512MB`."),
                        "time": described(_TIME, "By the clock: `30s`."),
                        "open_files": {"type": "integer", "minimum": 8},
                    }
                ),
                "description": "What it may use: `cpu`, `memory`, `time`, `open_files`. More fails with "
                "`resource.cpu`, `resource.memory`, `resource.time`, `resource.files`.",
            },
            "network": {
                "type": "boolean",
                "default": False,
                "description": "Whether it has a network. Without, nothing can be reached, where the kernel lets "
                "the engine see to that (Linux).",
            },
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
    params=with_(
        {
            "call": described(
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
