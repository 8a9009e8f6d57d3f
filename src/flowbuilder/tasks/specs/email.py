"""`email`: mails."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import SCALAR, TEXT, described, with_

_PEOPLE: Final = {"type": ["string", "array"], "items": {"type": "string"}}

EMAIL: Final = TaskSpec(
    name="email",
    summary="Sends a mail by SMTP.",
    params=with_(
        {
            "connection": described(
                TEXT,
                "A connection of type `smtp`, or a URL such as `smtp://localhost:25?tls=none`.",
                minLength=1,
            ),
            "from": described(
                TEXT, "The sender: `Reports <reports@example.com>`; else the connection's `from`."
            ),
            "to": described(_PEOPLE, "Whom it goes to: an address, several with commas, or a list."),
            "cc": described(_PEOPLE, "Who gets a copy."),
            "bcc": described(_PEOPLE, "Who gets a copy that the others do not see."),
            "reply_to": described(_PEOPLE, "Where answers go."),
            "subject": TEXT,
            "text": described(TEXT, "The mail as plain text."),
            "html": described(TEXT, "The mail as HTML, beside the text or in place of it."),
            "attachments": {
                "type": "array",
                "description": "Files by `path` (also of a kept file: a reference), or `content` with a `name`.",
                "items": {
                    "anyOf": [
                        TEXT,
                        with_(
                            {"path": {"type": ["string", "object"]}, "name": TEXT, "content_type": TEXT},
                            required=("path",),
                        ),
                        with_(
                            {"content": {}, "name": TEXT, "content_type": TEXT}, required=("content", "name")
                        ),
                        {"type": "object", "required": ["$file"]},
                    ]
                },
            },
            "headers": {
                "type": "object",
                "additionalProperties": SCALAR,
                "description": "Further headers.",
            },
        },
        required=("connection", "to"),
    ),
    output={
        "type": "object",
        "properties": {
            "message_id": described(TEXT, "The mail's own; the same for each attempt of a task."),
            "accepted": {"type": "array", "description": "Addresses that the server took."},
            "refused": {"type": "object", "description": "Addresses that it did not take, and why."},
        },
        "required": ["message_id", "accepted", "refused"],
    },
    effect="write",
    roles={"connection": ("secret",), "headers": ("secret",)},
    connects=("smtp",),
    icon="mail",
)
