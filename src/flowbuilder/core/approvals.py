"""Approvals as everybody sees them: what is open, who may decide, what a voice must hold."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.masking import MASK

KIND: Final = "approval"
"""Of the facts that say which approvals are open."""


class Voice(msgspec.Struct, frozen=True):
    """What somebody has decided."""

    by: str
    approve: bool
    at: float
    form: dict[str, Any] = {}
    reason: str = ""
    sealed: Any = None
    """`form` and `reason`, encrypted, in place of them: what was asked for is sensitive."""

    def shown(self) -> dict[str, Any]:
        """Return it for people."""
        if self.approve:
            return {"by": self.by, "form": self.form_shown()}
        return {"by": self.by, "reason": self.reason_shown()}

    def kept(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def form_shown(self) -> Any:
        """Return what was filled in, for people."""
        return MASK if self.sealed is not None else self.form

    def reason_shown(self) -> str:
        """Return the reason, for people."""
        return MASK if self.sealed is not None else self.reason


class OpenApproval(msgspec.Struct):
    """An approval that is not decided."""

    run_id: str
    task: str
    """Its path in the run."""
    attempt: int
    flow: str
    message: str
    quorum: int
    opened_at: float
    form: dict[str, Any] | None = None
    """JSON Schema of what an approval fills in."""
    assignees: tuple[str, ...] | None = None
    """Who may decide; None: anybody."""
    due_at: float | None = None
    escalated_at: float | None = None
    voices: list[Voice] = []
    """Those who have approved."""
    sensitive: bool = False
    """What is filled in is encrypted, from the moment that somebody does so."""

    def refusal(self, voice: Voice) -> str | None:
        """Return why a voice may not be counted; None if it may."""
        if not voice.by.strip():
            return "nobody is named who decides"
        if self.assignees is not None and voice.by not in self.assignees:
            return "only " + ", ".join(self.assignees) + " may decide"
        if any(known.by == voice.by for known in self.voices):
            return f"{voice.by} has decided already, and has one voice"
        return None

    def payload(self) -> dict[str, Any]:
        """Return what events and `--json` say of it."""
        return {
            "run_id": self.run_id,
            "task": self.task,
            "flow": self.flow,
            "message": self.message,
            "assignees": list(self.assignees) if self.assignees is not None else None,
            "quorum": self.quorum,
            "approved_by": [voice.by for voice in self.voices],
        }

    def encode(self) -> bytes:
        """Return it as it is kept."""
        kept = {name: getattr(self, name) for name in self.__struct_fields__}
        return values.encode({**kept, "voices": [voice.kept() for voice in self.voices]})


def decode(data: bytes) -> OpenApproval:
    """Return what was kept."""
    return msgspec.convert(values.decode(data), OpenApproval)


def approval_key(run_id: str, task: str) -> str:
    """Return the key of an approval's fact."""
    return f"{run_id}/{task}"


def signal_name(task: str) -> str:
    """Return the name of the signals that carry voices: one that no flow can write."""
    return f"approval:{task}"


def voice_place(task: str, by: str) -> str:
    """Return the place in a run that what somebody filled in is sealed for."""
    return f"{task} voice of {by}"


def voice_id(open: OpenApproval, by: str) -> str:
    """Return the id of somebody's voice: one person has one."""
    return _id("voice", open.run_id, open.task, str(open.attempt), by)


def nudge_id(run_id: str, task: str, attempt: int, kind: str, number: int) -> str:
    """Return the id of a reminder or an escalation."""
    return _id(kind, run_id, task, str(attempt), str(number))


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
