"""What a trigger's expressions become: functions of a scope that has a context and nothing else."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.codegen.names import Level, ScopeNames
from flowbuilder.core.plan import TriggerPlan

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.compiler.codegen.module import Module
    from flowbuilder.compiler.expressions.tree import Expr


class TriggerNames(ScopeNames):
    """Names in a trigger: `trigger` and `env`, and `event`, which is `trigger.event`."""

    def _name(self, name: str) -> ast.expr | None:
        if name == "event":
            trigger = ast.Attribute(self.context(), "trigger", ast.Load())
            return ast.Subscript(trigger, ast.Constant("event"), ast.Load())
        return super()._name(name)


def trigger_plan(module: Module, trigger: ir.Trigger, timezone: str) -> TriggerPlan:
    """Return the plan of a trigger; its functions arrive when the module is compiled.

    Args:
        module: gathers the functions.
        trigger: what it is.
        timezone: the flow's.
    """
    plan = TriggerPlan(
        name=trigger.name,
        at=trigger.at,
        kind=trigger.kind,
        timezone=trigger.timezone or timezone,
        labels=trigger.labels,
        priority=trigger.priority,
        enabled=trigger.enabled,
        description=trigger.description,
    )
    names = TriggerNames(Level(None), {})
    for field in ("condition", "filter", "inputs", "key"):
        expr: Expr | None = getattr(trigger, field)
        if expr is not None:
            _set(module, plan, field, expr, names, trigger.at.line)
    return plan


def _set(module: Module, plan: TriggerPlan, field: str, expr: Expr, names: TriggerNames, line: int) -> None:
    def receive(function: Any) -> None:
        setattr(plan, field, function)

    module.function(expr, names, receive, line, condition=field in ("condition", "filter"))
