"""What starts a flow by itself, as drawings and explanations name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowbuilder.compiler.written import written
from flowbuilder.core.triggers import manner_of, words_for

if TYPE_CHECKING:
    from flowbuilder.compiler.ir import Flow, Trigger

_WIDTH = 60


def starts_of(flow: Flow) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each trigger's name, and what is said of it: what it waits for first."""
    for trigger in flow.triggers:
        yield trigger.name, tuple(_words(flow, trigger))


def _words(flow: Flow, trigger: Trigger) -> Iterator[str]:
    yield words_for(trigger.kind, trigger.timezone or flow.timezone)
    if not trigger.enabled:
        yield "disabled"
    yield from manner_of(trigger.kind)
    if trigger.filter is not None:
        yield f"filter {written(trigger.filter, _WIDTH)}"
    if trigger.condition is not None:
        yield f"if {written(trigger.condition, _WIDTH)}"
    if trigger.key is not None:
        yield f"key {written(trigger.key, _WIDTH)}"
    if trigger.priority is not None:
        yield f"priority {trigger.priority}"
