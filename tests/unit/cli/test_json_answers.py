"""Whatever a command prints of schedules, events, approvals, limits, caches, plug-ins and connections, a program can read."""

from __future__ import annotations

import pytest

from flowbuilder.cli.command import TABLE, command_of

GROUPS = (
    "schedules",
    "backfill",
    "limits",
    "cache",
    "events",
    "approvals",
    "plugins",
    "connections",
    "signal",
)
NAMES = [name for name in TABLE if name.split()[0] in GROUPS]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_prints_json(name: str) -> None:
    assert any("--json" in option.names for option in command_of(name).options)
