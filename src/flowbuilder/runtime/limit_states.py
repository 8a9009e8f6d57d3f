"""How limits stand: what people and programs see of them, read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import FlowBuilderError, NotFound
from flowbuilder.runtime import breakers, rates, resources, slots
from flowbuilder.runtime.lanes import HELD
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.config import Config
    from flowbuilder.storage.api import Fact, Facts, RunRow, Store
    from flowbuilder.storage.lanes import LaneState

Kind = Literal["rate", "breaker", "queue", "resources", "concurrency", "debounce"]
KINDS: Final[tuple[Kind, ...]] = ("rate", "breaker", "queue", "resources", "concurrency", "debounce")
RESETTABLE: Final[dict[str, str]] = {"rate": rates.KIND, "breaker": breakers.KIND}
"""Kinds that may begin anew, and what their states are kept as."""
_PAGE: Final = 1000


class LimitState(msgspec.Struct, frozen=True):
    """A limit with one key, as it stands."""

    kind: Kind
    key: str
    state: str
    """In a word: `free`, `busy`, `full`; of breakers `closed`, `open`, `half open`."""
    used: float | None = None
    """Of queues, resources and runs: how much is in use."""
    limit: float | None = None
    waiting: int = 0
    """Attempts or runs that wait."""
    next_at: float | None = None
    """When the next attempt may begin, in seconds since 1970 UTC; None: now, or when something ends."""
    about: str = ""
    """What else there is to say."""


def limit_states(
    store: Store, config: Config, now: float, plan_of: Callable[[str], FlowPlan | None]
) -> list[LimitState]:
    """Return all limits that the store knows of, by kind and key; blocks while it reads.

    Args:
        store: opened, at least for reading.
        config: the settings, which say how large queues and the machine are.
        now: the present moment.
        plan_of: returns the plan of a version of a flow.
    """
    facts = store.facts()
    living = {engine.id for engine in store.engines() if engine.alive}
    found = [_rate(fact, now) for fact in _all(facts, rates.KIND)]
    found += [_breaker(fact, now, living) for fact in _all(facts, breakers.KIND)]
    found += _queues(facts, config, living)
    found += _resources(facts, config, living)
    for lane in store.lanes().states():
        found.append(_lane(lane, plan_of))
    return sorted(found, key=lambda each: (KINDS.index(each.kind), each.key))


def reset(facts: Facts, kind: str, key: str) -> None:
    """Have a rate limit or a circuit breaker begin anew.

    Raises:
        NotFound: there is none with this key.
    """
    of_kind = RESETTABLE[kind]
    if facts.get(of_kind, key) is None:
        known = ", ".join(f"'{fact.key}'" for fact in facts.list(of_kind, limit=5))
        raise NotFound(
            f"{kind} limit" if kind == "rate" else kind, key, f"there are {known}" if known else ""
        )
    facts.change(of_kind, key, lambda _: None)


def _all(facts: Facts, kind: str) -> Iterator[Fact]:
    after = ""
    while page := facts.list(kind, after=after, limit=_PAGE):
        yield from page
        after = page[-1].key


def _rate(fact: Fact, now: float) -> LimitState:
    state = rates.state_of(fact)
    slice = state.per / state.limit if state.limit else 0.0
    ahead = max(0.0, state.free_at - now)
    waiting = max(0, round(ahead / slice) - 1) if slice else 0
    return LimitState(
        "rate",
        fact.key,
        "busy" if ahead > 0 else "free",
        limit=state.limit,
        waiting=waiting,
        next_at=state.free_at if ahead > 0 else None,
        about=f"per {format_duration(state.per)}" if state.per else "",
    )


def _breaker(fact: Fact, now: float, living: set[str]) -> LimitState:
    state = breakers.state_of(fact)
    word, next_at = "closed", None
    if state.opened_at is not None:
        until = min(state.opened_at, now) + state.reset
        trying = state.probe is not None and state.probe.engine in living
        word, next_at = ("open", until) if now < until else ("half open", None)
        if word == "half open" and trying and state.probe is not None:
            return LimitState(
                "breaker",
                fact.key,
                word,
                used=state.failures,
                limit=state.limit or None,
                about=f"run {state.probe.run} tries",
            )
    return LimitState(
        "breaker",
        fact.key,
        word,
        used=state.failures,
        limit=state.limit or None,
        next_at=next_at,
        about="failures in a row",
    )


def _queues(facts: Facts, config: Config, living: set[str]) -> Iterator[LimitState]:
    known = {fact.key: slots.shared_of(fact) for fact in _all(facts, slots.KIND)}
    for name in sorted({*known, *config.queues}):
        queue, _, key = name.partition("/")
        shared = known.get(name)
        settings = config.queues.get(queue)
        capacity = shared.capacity if shared is not None else settings.concurrency if settings else 0
        holdings = shared.holdings if shared is not None else {}
        alive = [each for engine, each in holdings.items() if engine in living]
        used, waiting = sum(each.used for each in alive), sum(each.wanted for each in alive)
        state = "free" if not used else "full" if used >= capacity else "busy"
        about = f"of key '{key}'" if key else ""
        yield LimitState("queue", name, state, used=used, limit=capacity, waiting=waiting, about=about)


def _resources(facts: Facts, config: Config, living: set[str]) -> Iterator[LimitState]:
    for fact in _all(facts, resources.KIND):
        if fact.key not in living:
            continue
        usage = resources.usage_of(fact)
        for name, used, limit in (
            ("cpu", usage.used.cpu, usage.capacity.cpu),
            ("memory", usage.used.memory, usage.capacity.memory),
            ("gpu", usage.used.gpu, usage.capacity.gpu),
        ):
            if limit:
                state = "free" if not used else "full" if used >= limit else "busy"
                key = f"{name} of engine {fact.key}"
                yield LimitState("resources", key, state, used=used, limit=limit, waiting=usage.waiting)


def _lane(lane: LaneState, plan_of: Callable[[str], FlowPlan | None]) -> LimitState:
    first = lane.first
    if lane.lane.startswith(HELD):
        key = lane.lane.removeprefix(HELD)
        return LimitState(
            "debounce", key, "waiting", waiting=1, next_at=first.wake_at, about=f"run {first.id} is held"
        )
    limit = _places(first, plan_of)
    full = limit is not None and lane.placed >= limit
    return LimitState(
        "concurrency",
        lane.lane,
        "full" if full else "busy" if lane.placed else "free",
        used=lane.placed,
        limit=limit,
        waiting=lane.queued,
        about=f"run {first.id} is next" if lane.queued else "",
    )


def _places(row: RunRow, plan_of: Callable[[str], FlowPlan | None]) -> int | None:
    try:
        plan = plan_of(row.flow_hash)
    except FlowBuilderError:
        return None
    lanes = plan.lanes if plan is not None else None
    return lanes.concurrency.limit if lanes is not None and lanes.concurrency is not None else None


def as_json(state: LimitState) -> dict[str, Any]:
    """Return the object that `--json` prints of a limit."""
    return {
        "kind": state.kind,
        "key": state.key,
        "state": state.state,
        "used": state.used,
        "limit": state.limit,
        "waiting": state.waiting,
        "next_at": iso(state.next_at),
        "about": state.about,
    }
