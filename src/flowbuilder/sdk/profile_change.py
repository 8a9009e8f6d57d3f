"""Another profile for runs that are to be carried on: their connections from then on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from flowbuilder.core import values
from flowbuilder.core.errors import ProfileError
from flowbuilder.runtime.on_disk import put_on_disk
from flowbuilder.storage.api import LIVE, Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.runtime.machine import Machine


async def change_profile(machine: Machine, run_ids: Sequence[str], name: str) -> None:
    """Have runs that nobody drives go on with a profile; the values of their `config` stay what they were.

    Once this returns, it is on disk.

    Raises:
        ProfileError: with all that the profile lacks; nothing is changed then.
        StoreError: nothing was changed.
    """
    changes = await machine.in_thread(functools.partial(_changes, machine, run_ids, name))
    if changes:
        await put_on_disk(machine.store, changes)


def _changes(machine: Machine, run_ids: Sequence[str], name: str) -> list[Change]:
    """Return the changes of rows, once it is sure that the profile will do; on a thread."""
    changes: list[Change] = []
    lacking: dict[tuple[str, str, str], None] = {}
    for run_id in run_ids:
        row = machine.store.run(run_id)
        definition = None if row is None else machine.store.flow(row.flow_hash)
        if row is None or row.status not in LIVE or definition is None:
            continue
        plan = machine.plans.of_definition(row.flow_hash, definition)
        profile = machine.profiles.profile(plan.folder, name)
        lacking |= dict.fromkeys(machine.profiles.connections.lacking(plan, profile))
        about = values.decode(row.about) if row.about is not None else {}
        changes.append(Change(row.id, {"about": values.encode({**about, "profile": name})}))
    if lacking:
        raise ProfileError(list(lacking))
    return changes
