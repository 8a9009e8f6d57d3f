"""What a trigger asks for is there, and what it gives fits the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.references import references
from flowbuilder.compiler.expressions.tree import Const, Dict
from flowbuilder.compiler.inputs import make_validator
from flowbuilder.core.triggers import FlowTrigger, WebhookTrigger, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler import ir
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.span import Span

COMMON: Final = ("type", "name", "by")
FIELDS: Final = {
    "cron": (*COMMON, "scheduled_at"),
    "every": (*COMMON, "scheduled_at"),
    "file": (*COMMON, "file"),
    "event": (*COMMON, "event", "chain"),
    "flow": (*COMMON, "run", "chain"),
    "webhook": (*COMMON, "event"),
}
"""What `trigger` has, by the kind of trigger."""


def check_triggers(subject: Subject, findings: Findings) -> None:
    """Report what a trigger asks of itself in vain, and inputs that no run could be started with."""
    flow = subject.flow
    for trigger in flow.triggers:
        kind = kind_of(trigger.kind)
        for expr in (trigger.condition, trigger.filter, trigger.inputs, trigger.key):
            if expr is not None:
                _members(subject, kind, expr, findings)
        _inputs(subject, trigger, findings)
        if (
            type(trigger.kind) is FlowTrigger
            and flow.name in trigger.kind.flows
            and trigger.condition is None
        ):
            findings.error(
                "FB285",
                f"the flow '{flow.name}' starts itself whenever it ends, without end",
                trigger.at,
                "give the trigger an `if`, or name another flow",
            )
        if type(trigger.kind) is WebhookTrigger:
            secret = trigger.kind.secret
            if secret is not None and secret not in flow.secrets:
                hint = subject.ctx.near(secret, flow.secrets) or f"declare it: `secrets: [{secret}]`"
                findings.error("FB286", f"there is no secret '{secret[:60]}'", trigger.at, hint)


def _members(subject: Subject, kind: str, expr: Expr, findings: Findings) -> None:
    known = FIELDS[kind]
    for reference in references(expr):
        if reference.root == "trigger" and reference.path and reference.path[0] not in known:
            name = reference.path[0]
            near = subject.ctx.near(name, known) or f"it has {', '.join(known)}"
            article = "an" if kind[0] in "ae" else "a"
            findings.error("FB287", f"{article} `{kind}` trigger has no '{name[:60]}'", reference.span, near)


def _inputs(subject: Subject, trigger: ir.Trigger, findings: Findings) -> None:
    """Compare what the trigger gives with what the flow takes, as far as that is known now."""
    flow = subject.flow
    given = dict(_given(trigger))
    known = {entry.name: entry for entry in flow.inputs}
    for name, (value, at) in given.items():
        entry = known.get(name)
        if entry is None:
            hint = subject.ctx.near(name, known) or ("it has " + ", ".join(known) if known else "it has none")
            findings.error("FB283", f"the flow '{flow.name}' has no input '{name[:60]}'", at, hint)
        elif type(value) is Const:
            for error in list(make_validator(entry.schema).iter_errors(value.value))[:1]:
                findings.error(
                    "FB283", f"the input '{name}' does not fit: {error.message[:200]}", at, f"see {entry.at}"
                )
    for name, entry in known.items():
        if entry.required and name not in given:
            findings.error(
                "FB283",
                f"trigger '{trigger.name}' does not give the input '{name}', which has no default",
                trigger.at,
                f"write `with: {{{name}: …}}`, or give the input a default",
            )


def _given(trigger: ir.Trigger) -> Iterator[tuple[str, tuple[Any, Span]]]:
    expr = trigger.inputs
    if type(expr) is Const and type(expr.value) is dict:
        for name, value in expr.value.items():
            yield str(name), (Const(expr.at, value), expr.at.span)
    elif type(expr) is Dict:
        for key, value in expr.items:
            if type(key) is Const:
                yield str(key.value), (value, value.at.span)
