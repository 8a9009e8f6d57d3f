"""What a group of submitted writes comes to, sorted by the table it goes to.

Pure: the writer collects what has gathered, and `apply` turns it into SQL.
Writes of one run that fall into the same group melt: the last change of a
column wins, and a run's first batch goes into its own row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.storage.api import (
    Accept,
    Append,
    Change,
    Compact,
    Done,
    Fact,
    Forget,
    Keep,
    Log,
    RunRow,
    Statistic,
)
from flowbuilder.storage.events import Emit, News, Subscribe, Take, Unsubscribe
from flowbuilder.storage.sqlite.labels import Label, of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import apsw

_astuple = msgspec.structs.astuple
_encode = msgspec.msgpack.Encoder().encode


Columns = tuple[Any, ...]
Batch = tuple[str, int, bytes]


class Job:
    """A rare write that a thread waits for: runs on the writer's thread, in the group's transaction."""

    __slots__ = ("error", "finished", "result", "work")

    def __init__(self, work: Callable[[apsw.Cursor], Any], finished: Callable[[], object]) -> None:
        self.work = work
        self.finished = finished
        """Called when `result` or `error` holds what came of it."""
        self.result: Any = None
        self.error: BaseException | None = None


Item = Accept | Append | Compact | Change | Log | Statistic | Keep | Forget | News | Job | Done
_NEWS = frozenset({Emit, Subscribe, Unsubscribe, Take})


class Group:
    """Writes that are committed together, and who waits for them."""

    __slots__ = (
        "_melted",
        "_unclaimed",
        "accepts",
        "appends",
        "changes",
        "compacts",
        "facts",
        "jobs",
        "keyed",
        "labels",
        "logs",
        "news",
        "statistics",
        "waiters",
    )

    def __init__(self) -> None:
        self.accepts: dict[str, RunRow] = {}
        self.keyed: dict[str, RunRow] = {}
        """New runs with a key, which may turn out to be taken."""
        self.appends: list[Append] = []
        self.changes: dict[str, dict[str, Any]] = {}
        self.labels: list[Label] = []
        """Of new runs."""
        self.compacts: list[Compact] = []
        self.logs: list[Log] = []
        self.statistics: list[Statistic] = []
        self.facts: dict[tuple[str, str], Fact | None] = {}
        """By kind and key the last that was said; None for one that holds no longer."""
        self.news: list[News] = []
        """What has to do with events, in order."""
        self.jobs: list[Job] = []
        self.waiters: list[tuple[Done, tuple[str, ...]]] = []
        """Each with the keyed runs that were submitted since the one before."""
        self._unclaimed: list[str] = []
        self._melted: tuple[list[Columns], list[Columns], list[Batch]] | None = None

    def add(self, items: Iterable[Any]) -> None:
        """Sort more items into the group, in the order they were submitted."""
        append = self.appends.append
        count = self.statistics.append
        for item in items:
            kind = type(item)
            if kind is Append:
                append(item)
            elif kind is Statistic:
                count(item)
            elif kind is Accept:
                self._accept(item.row)
            elif kind is Change:
                self._change(item)
            elif kind is Compact:
                self.compacts.append(item)
            elif kind is Log:
                self.logs.append(item)
            elif kind is Keep:
                self.facts[item.fact.kind, item.fact.key] = item.fact
            elif kind is Forget:
                self.facts[item.kind, item.key] = None
            elif kind in _NEWS:
                self.news.append(item)
            elif kind is Job:
                self.jobs.append(item)
            else:
                self.waiters.append((item, tuple(self._unclaimed)))
                self._unclaimed.clear()

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for the group; otherwise it may gather for a while."""
        return bool(self.waiters or self.jobs)

    @property
    def writes(self) -> bool:
        """Whether it holds anything that was submitted."""
        return bool(
            self.appends
            or self.accepts
            or self.keyed
            or self.changes
            or self.logs
            or self.statistics
            or self.facts
            or self.news
            or self.compacts
        )

    @property
    def rests(self) -> bool:
        """Whether runs rest on it: it holds what is a run's own, or what a run waits for or has taken.

        What is lost of lines, statistics and facts stops nobody, but whoever waits for it.
        """
        return bool(self.appends or self.accepts or self.keyed or self.changes) or any(
            _whose(item) is not None for item in self.news
        )

    def runs(self) -> set[str]:
        """Return the runs that have writes in the group."""
        found = {write.run_id for write in self.appends}
        found.update(self.accepts, self.keyed, self.changes)
        found.update(log.run_id for log in self.logs)
        found.update(run_id for item in self.news if (run_id := _whose(item)) is not None)
        return found

    def drop(self, refused: Iterable[str]) -> None:
        """Take out whatever belongs to runs that were not accepted."""
        gone = set(refused)
        for run_id in gone:
            self.accepts.pop(run_id, None)
            self.keyed.pop(run_id, None)
            self.changes.pop(run_id, None)
        self.appends = [write for write in self.appends if write.run_id not in gone]
        self.labels = [label for label in self.labels if label[2] not in gone]
        self.logs = [log for log in self.logs if log.run_id not in gone]
        self.news = [item for item in self.news if _whose(item) not in gone]

    def melt(self) -> tuple[list[Columns], list[Columns], list[Batch]]:
        """Return new rows of `runs` without and with a key, and of `journal`.

        Takes first batches and changes of new runs into their rows; done once,
        however often it is tried to commit the group.
        """
        if self._melted is None:
            self._melted = self._melt()
        return self._melted

    def _melt(self) -> tuple[list[Columns], list[Columns], list[Batch]]:
        if not self.accepts and not self.keyed:
            return [], [], [_astuple(write) for write in self.appends]
        firsts: dict[str, bytes] = {}
        batches: list[Batch] = []
        for write in self.appends:
            if write.sequence == 0 and (write.run_id in self.accepts or write.run_id in self.keyed):
                firsts[write.run_id] = write.data
            else:
                batches.append((write.run_id, write.sequence, write.data))
        return self._rows(self.accepts, firsts), self._rows(self.keyed, firsts), batches

    def _rows(self, accepts: dict[str, RunRow], firsts: dict[str, bytes]) -> list[Columns]:
        rows = []
        changes = self.changes
        for run_id, row in accepts.items():
            if changes and run_id in changes:
                row = msgspec.structs.replace(row, **changes.pop(run_id))
            values = _astuple(row)
            labels = None
            if values[15]:
                labels = _encode(values[15])
                self.labels += of_run(run_id, values[15])
            rows.append((*values[:15], labels, *values[16:], firsts.get(run_id)))
        return rows

    def _accept(self, row: RunRow) -> None:
        if row.key is None:
            self.accepts[row.id] = row
        else:
            self.keyed[row.id] = row
            self._unclaimed.append(row.id)

    def _change(self, change: Change) -> None:
        known = self.changes.get(change.run_id)
        self.changes[change.run_id] = {**known, **change.values} if known else change.values


def _whose(item: News) -> str | None:
    """Return the run that a write about events is of."""
    match item:
        case Subscribe(subscription):
            return subscription.run_id
        case Emit():
            return None
        case _:
            return item.run_id
