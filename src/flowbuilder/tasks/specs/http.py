"""`http`: requests."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import PAIRS, SCALAR, TEXT, described, with_

HTTP: Final = TaskSpec(
    name="http",
    summary="Makes an HTTP request.",
    params=with_(
        {
            "url": described(TEXT, "Values behind the host are percent-encoded.", minLength=1, format="uri"),
            "method": described(TEXT, "GET, POST, …", default="GET", pattern=r"^[A-Za-z]+$"),
            "headers": described(PAIRS, "A list sends a header several times; null leaves it out."),
            "query": described(PAIRS, "Added to the URL's own; a list repeats a name; null leaves it out."),
            "json": {"description": "The body, as JSON."},
            "form": described(PAIRS, "The body, as a form."),
            "body": {"description": "The body, as it is: text or bytes."},
            "multipart": {
                "type": "object",
                "description": "The body, in parts: a text, or a file by `path` or `content`.",
                "additionalProperties": {
                    "anyOf": [
                        SCALAR,
                        with_(
                            {"path": TEXT, "content": {}, "filename": TEXT, "content_type": TEXT},
                            one_of=("path", "content"),
                        ),
                    ]
                },
            },
            "auth": {
                "type": "object",
                "oneOf": [
                    with_({"bearer": TEXT}, required=("bearer",)),
                    with_(
                        {"basic": with_({"username": TEXT, "password": TEXT}, required=("username",))},
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
            "save_to": described(TEXT, "A file that the body is written to; its path is then the output's."),
        },
        required=("url",),
    ),
    output={
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "description": "Names in lower case."},
            "json": {"description": "The body, where it says that it is JSON."},
            "text": described(TEXT, "The body, where it is text and no JSON."),
            "body": {"description": "The body as bytes, where it is neither."},
            "path": described(TEXT, "The file, with `save_to`."),
            "bytes": {"type": "integer", "description": "Its size, with `save_to`."},
            "url": described(TEXT, "After redirects."),
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
