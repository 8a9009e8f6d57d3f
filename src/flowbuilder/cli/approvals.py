"""What the commands about approvals have in common."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import Argument, Option
from flowbuilder.cli.inputs import from_text
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.payloads import payload_of
from flowbuilder.core.errors import InputError
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from flowbuilder.core.approvals import OpenApproval, Voice

TASK: Final = Argument("TASK", "The task that asks, where the run asks for several things", count="optional")
AS: Final = Option(("--as",), "Who decides; the login name unless given", "NAME")


def person_of(arguments: argparse.Namespace) -> str:
    """Return who decides."""
    named: str | None = getattr(arguments, "as")
    if named is not None:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise UsageError("it cannot be told who decides", "approvals", "name somebody with --as") from None


def filled_in(
    schema: Mapping[str, Any] | None, data: str | None, pairs: Iterable[str], command: str
) -> dict[str, Any]:
    """Return the fields of a form, texts converted by its schema.

    Raises:
        UsageError: something cannot be read.
        InputError: texts that are no values of their field's type.
    """
    form = payload_of(data, (), command)
    if form is not None and not isinstance(form, dict):
        raise UsageError("--data is no mapping of fields", command)
    fields = dict(form or {})
    properties = (schema or {}).get("properties", {})
    wrong: list[tuple[str, str]] = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"'{pair}' is no field: write '{pair}=VALUE'", command)
        field = properties.get(name, {})
        try:
            fields[name] = from_text(text, field if isinstance(field, dict) else {})
        except ValueError as error:
            wrong.append((f"$.{name}", str(error)))
    if wrong:
        raise InputError(wrong)
    return fields


def decided(arguments: argparse.Namespace, approval: OpenApproval, by: str, *, approve: bool) -> int:
    """Say what was decided, and where its consequence is seen."""
    found = {"run_id": approval.run_id, "task": approval.task, "by": by, "approve": approve}
    what = f"{'approved' if approve else 'rejected'} by {by}: {approval.message}"
    return answer(arguments, found, what, f"  = see `flowbuilder runs show {approval.run_id}`")


def as_object(approval: OpenApproval, voices: Sequence[Voice]) -> dict[str, Any]:
    """Return an approval as `--json` shows it."""
    return {
        "run_id": approval.run_id,
        "task": approval.task,
        "flow": approval.flow,
        "message": approval.message,
        "form": approval.form,
        "assignees": list(approval.assignees) if approval.assignees is not None else None,
        "quorum": approval.quorum,
        "opened_at": iso(approval.opened_at),
        "due_at": iso(approval.due_at),
        "escalated_at": iso(approval.escalated_at),
        "voices": [
            {
                "by": voice.by,
                "at": iso(voice.at),
                "approve": voice.approve,
                "form": voice.form_shown(),
                "reason": voice.reason_shown(),
            }
            for voice in voices
        ],
    }
