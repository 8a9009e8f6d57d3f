"""`file`: files here and elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import TEXT, described, with_

if TYPE_CHECKING:
    from flowbuilder.core.policies import Effect

LOOKS: Final = ("read", "list", "glob", "exists", "info")
CHANGES: Final = ("write", "append", "copy", "move", "delete", "mkdir")
FORMATS: Final = ("text", "bytes", "json", "lines", "csv", "reference")


def _effect(params: Mapping[str, Any]) -> Effect:
    return "read" if any(name in params for name in LOOKS) else "write"


_PATH: Final = {"type": "string", "minLength": 1}
_SOURCE: Final = {"type": ["string", "object"]}

FILE: Final = TaskSpec(
    name="file",
    summary="Reads, writes, lists, copies, moves and deletes files, here or in a store such as S3.",
    params=with_(
        {
            "read": described(
                _SOURCE, "A file whose content is the output; a path, or a reference to a kept file."
            ),
            "write": described(_PATH, "A file that gets `content`, whole or not at all; folders are made."),
            "append": described(_PATH, "A file at whose end `content` is put."),
            "list": described(_PATH, "A folder; the output is a list of what is in it."),
            "glob": described(_PATH, "A pattern such as `data/**/*.csv`; the output is a list of what fits."),
            "copy": described(_SOURCE, "A file, folder or kept file, copied `to`."),
            "move": described(_PATH, "A file or folder, moved `to`."),
            "delete": described(
                _PATH, "A file, or with `recursive` a folder; the output tells whether it was there."
            ),
            "exists": described(_PATH, "A path; the output tells whether something is there."),
            "info": described(_PATH, "A path; the output is its entry, as in a list."),
            "mkdir": described(_PATH, "A folder to be made, with those above it."),
            "to": described(_PATH, "Where `copy` and `move` go."),
            "content": {
                "description": "What `write` and `append` put there; also a reference to a kept file."
            },
            "as": {
                "enum": list(FORMATS),
                "description": "The content's format: `text` (unless given), `bytes`, `json`, `lines`, `csv` (a list "
                "of mappings), or `reference`: the file is kept, and the output refers to it.",
            },
            "encoding": described(TEXT, "Of texts.", default="utf-8"),
            "recursive": {"type": "boolean", "default": False, "description": "For `list` and `delete`."},
            "overwrite": {
                "type": "boolean",
                "default": True,
                "description": "Whether `write`, `copy` and `move` may replace what is there.",
            },
            "missing_ok": {
                "type": "boolean",
                "default": True,
                "description": "Whether `delete` takes it that nothing is there.",
            },
            "anywhere": {
                "type": "boolean",
                "default": False,
                "description": "Whether paths on this machine may lead out of the project's folder.",
            },
            "connection": described(
                TEXT, "A connection of type `files`: where paths start, with keys and options."
            ),
        },
        one_of=(*LOOKS, *CHANGES),
    ),
    output={},
    effect="write",
    effect_of=_effect,
    roles={"connection": ("secret",)},
    connects=("files",),
    icon="folder",
)
