"""The default store: one SQLite file in WAL mode, one writer thread, group commit.

Start reading at `store`; `writer` is where groups are committed, `group` what
a group comes to.  The other modules are named for what they hold.
"""

from __future__ import annotations

from flowbuilder.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
