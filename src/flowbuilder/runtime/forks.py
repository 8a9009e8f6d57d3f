"""Runs that begin where another has come to: a rerun of what failed, a fork with edited parts.

The new run's journal begins with what it takes over (`taking_over.py`), in
the batch that it is accepted with; the ordinary recovery carries it on.  It
is a run like any other: with an id, idempotency keys and child runs of its
own, and what it takes over it neither does nor undoes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.errors import CannotTakeOver, StoreCorrupt
from flowbuilder.core.plan import FlowPlan
from flowbuilder.core.records import NULL
from flowbuilder.core.rules import SUCCEEDED
from flowbuilder.core.sealed import Sealed
from flowbuilder.runtime.forked import FORK_FACT
from flowbuilder.runtime.plans import HIDDEN, SEALED
from flowbuilder.runtime.recovered import replay
from flowbuilder.runtime.start import Seed, Start
from flowbuilder.runtime.taking_over import Asked, History, around, is_sensitive, take_over
from flowbuilder.storage.api import LIVE, Fact, Keep
from flowbuilder.storage.blobs import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow

_INSIDE: Final = re.compile("[!~#]")
"""What stands in a path between a task and what is done instead of it, or to undo it, or its rounds."""
MOST_NAMED: Final = 100
"""Tasks that a fork's row names."""
_CARRIED: Final = ("trigger", "config", "profile", SEALED, HIDDEN)
"""What of `RunRow.about` goes over to the new run."""


class Edits(msgspec.Struct, frozen=True):
    """What is to be other than in the run before."""

    inputs: Mapping[str, Any] = {}
    """New values, by name or by a path into an input (`order.total`)."""
    outputs: Mapping[str, Any] = {}
    """New values, by `TASK.output` or a path into an output (`fetch.output.total`)."""
    flow: FlowPlan | None = None


class Forks:
    """Starts runs from where others have come to."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def rerun(self, source: RunRow, plan: FlowPlan | None, how: Start) -> RunRow:
        """Start a run of the same flow with the same inputs, from the start; of `plan` where that is given."""
        old = await self._machine.in_thread(functools.partial(self._plan_of, source))
        how = self._start(source, how, {"rerun_of": source.id})
        return await self._begin(
            source, plan or old, values.to_json(self._machine.sealing.inputs(source)), how
        )

    async def anew(self, source: RunRow, edits: Edits, how: Start) -> RunRow:
        """Start a run with other inputs that takes over nothing."""
        old = await self._machine.in_thread(functools.partial(self._plan_of, source))
        how = self._start(source, how, {"forked_from": source.id, "edited": list(edits.inputs)})
        return await self._begin(
            source, edits.flow or old, edited_inputs(self._machine.sealing.inputs(source), edits.inputs), how
        )

    async def fork(
        self,
        source: RunRow,
        again: Sequence[str],
        edits: Edits,
        how: Start,
        *,
        link: str = "forked_from",
        only_failed: bool = False,
    ) -> RunRow:
        """Start a run that takes over what need not be done again.

        Args:
            source: the run to begin from; what of it is on disk by now counts.
            again: tasks to be done again, with all that follows them.
            edits: what is to be other than before.
            how: key, priority, labels and profile, if not those of the run before.
            link: how the new run says where it comes from.
            only_failed: refuse a run of which everything has ended well, or that has not ended.

        Raises:
            NotFound: there is no such task.
            CannotTakeOver: what was asked for makes no sense; says why.
            InputError: the edited inputs break their schemas.
        """
        self._machine.committer.flush_all()
        run_id = self._machine.starts.new_id(self._machine.clock.now())
        work = functools.partial(self._prepare, source, run_id, tuple(again), edits, only_failed)
        plan, seed, about = await self._machine.in_thread(work)
        how = self._start(source, how, {link: source.id, **about}, seed)
        how = msgspec.structs.replace(how, id=run_id)
        return await self._begin(
            source, plan, edited_inputs(self._machine.sealing.inputs(source), edits.inputs), how
        )

    @staticmethod
    def _start(source: RunRow, how: Start, about: dict[str, Any], seed: Seed | None = None) -> Start:
        before = values.decode(source.about) if source.about is not None else {}
        other = dict(how.about or {})  # another profile: its own config, then
        left = ("config", "profile") if "profile" in other else ()
        carried = {name: before[name] for name in _CARRIED if name in before and name not in left}
        return msgspec.structs.replace(
            how,
            priority=source.priority if how.priority is None else how.priority,
            labels={**source.labels, **(how.labels or {})} or None,
            about={**carried, **other, **about},
            seed=seed,
        )

    async def _begin(self, source: RunRow, plan: FlowPlan, inputs: Mapping[str, Any], how: Start) -> RunRow:
        machine = self._machine
        row = await machine.starts.start(plan, inputs, how)
        retention = machine.config.store.retention
        until = machine.clock.now() + 2 * retention if retention else None
        machine.store.submit(Keep(Fact(FORK_FACT, f"{source.id}/{row.id}", values.NULL_BYTES, until)))
        return row

    def _plan_of(self, row: RunRow) -> FlowPlan:
        definition = self._machine.store.flow(row.flow_hash)
        if definition is None:
            raise StoreCorrupt(f"the flow of run {row.id} is not in the store")
        return self._machine.plans.of_run(row, definition)

    def _prepare(
        self, source: RunRow, run_id: str, again: tuple[str, ...], edits: Edits, only_failed: bool
    ) -> tuple[FlowPlan, Seed, dict[str, Any]]:
        """Work out what the new run begins with; on a thread."""
        store = self._machine.store
        old = self._plan_of(source)
        plan = edits.flow or old
        if old.sealed:
            plan = self._machine.plans.sealed(plan)
        journal = [record for batch in store.journal(source.id) for record in records.decode(batch)]
        outputs = self._edited_outputs(source, edits.outputs)
        asked = Asked(again, outputs, bool(edits.inputs or edits.outputs or plan is not old))
        history = History.of(journal)
        taken = take_over(plan, history, asked, old)
        if only_failed and (source.status in LIVE or not taken.again):
            what = "has not ended yet" if source.status in LIVE else "has no task that failed"
            raise CannotTakeOver(f"run {source.id} {what}")
        now = self._machine.clock.now()
        copied = _Copying(self._machine, source.id, run_id, plan)
        kept = [
            *copied.kept(journal, taken.paths),
            *(copied.given(path, value, now) for path, value in outputs.items()),
        ]
        for record in kept:
            if isinstance(record, records.Ended) and record.blob is not None:
                store.blobs().renew(record.blob)  # nobody sweeps it before the new run refers to it
        seed = [records.TakenOver(source.id, now, True), *kept, records.TakenOver(source.id, now, False)]
        found = replay([records.encode(seed)], store.blobs().get, self._machine.sealing.opener(run_id))
        about: dict[str, Any] = {"again": taken.again[:MOST_NAMED]}
        if edited := [*edits.inputs, *edits.outputs]:
            about["edited"] = edited
        if taken.stale:
            about["stale"] = taken.stale[:MOST_NAMED]
        return plan, Seed(seed, found), about

    def _edited_outputs(self, source: RunRow, edits: Mapping[str, Any]) -> dict[str, Any]:
        """Return whole outputs by the path of their tasks."""
        if not edits:
            return {}
        store = self._machine.store
        open = self._machine.sealing.opener(source.id)
        recorded = replay(store.journal(source.id), store.blobs().get, open).ended
        outputs: dict[str, Any] = {}
        for name, value in edits.items():
            path, found, rest = name.partition(".output")
            if not found or (rest and rest[0] not in ".["):
                raise CannotTakeOver(f"'{name}' is no output: write tasks.TASK.output, and what of it behind")
            if path not in outputs:
                ended = recorded.get(path)
                outputs[path] = values.copy(ended.output) if ended is not None else None
            outputs[path] = put(outputs[path], steps_of(rest), value, f"tasks.{name}")
        return outputs


class _Copying:
    """Copies records to a new run; what is sealed for the run before is sealed anew for that one.

    So is what was not sealed, where the new run's version says that it is sensitive.
    """

    def __init__(self, machine: Machine, source_id: str, run_id: str, plan: FlowPlan) -> None:
        self._plan = plan
        self._machine = machine
        self._blobs = machine.store.blobs()
        self._source_id = source_id
        self._run_id = run_id

    def kept(self, journal: Sequence[records.Record], paths: Mapping[str, str]) -> Iterator[records.Record]:
        """Yield what is taken over of a journal, in its order."""
        for record in journal:
            match record:
                case records.RegionEnded():
                    kept = []
                    for path, output in zip(record.paths, record.outputs, strict=True):
                        if path not in paths:
                            continue
                        if self._hides(paths[path]):
                            yield self._hidden(record, paths[path], output)
                        else:
                            kept.append((paths[path], output))
                    if kept:
                        outputs = values.prepare_list([output for _, output in kept])
                        names = tuple([path for path, _ in kept])
                        yield records.RegionEnded(names, outputs, record.started_at, record.ended_at)
                case records.EventTaken() if not record.signal and not around(record.path).isdisjoint(paths):
                    # no wait of the new run is to take it again; the path is none's, as nobody is to get it
                    yield msgspec.structs.replace(record, path="", payload=NULL)
                case records.ChildStarted() if record.path in paths:
                    yield msgspec.structs.replace(record, path=paths[record.path])
                case records.Ended() if record.path in paths:
                    yield self._ended(record, paths[record.path])

    def _ended(self, record: records.Ended, path: str) -> records.Ended:
        encoded = self._blobs.get(record.blob) if record.blob is not None else record.output
        value = values.decode(encoded) if values.is_sealed(encoded) or self._hides(path) else None
        if type(value) is Sealed:
            value = self._machine.sealing.open(self._source_id, record.path, value)
        elif value is None:
            return msgspec.structs.replace(record, path=path)
        output, blob, keeps = self._sealed(path, values.encode(value, max_bytes=len(encoded)))
        return msgspec.structs.replace(record, path=path, output=output, blob=blob, keeps=keeps)

    def _hides(self, path: str) -> bool:
        """Tell whether the output at a path is sensitive by the version that the new run has."""
        return self._plan.seals and is_sensitive(self._plan, _INSIDE.split(path)[0])

    def _hidden(self, region: records.RegionEnded, path: str, output: Any) -> records.Ended:
        """Return the end of a task that was one of a region."""
        sealed, blob, keeps = self._sealed(path, values.encode(output))
        return records.Ended(
            path, SUCCEEDED, region.started_at, region.ended_at, sealed, blob=blob, keeps=keeps
        )

    def given(self, path: str, value: Any, now: float) -> records.Ended:
        """Return the end of a task whose output somebody gives."""
        encoded = values.encode(value, max_bytes=self._machine.config.limits.output_bytes)
        keep = self._sealed if is_sensitive(self._plan, path) else self._plain
        output, blob, keeps = keep(path, encoded)
        return records.Ended(path, SUCCEEDED, now, now, output, 0, None, "edited", blob, keeps=keeps)

    def _sealed(self, path: str, encoded: bytes) -> tuple[msgspec.Raw, str | None, list[str] | None]:
        return self._plain(path, self._machine.sealing.seal(self._run_id, path, encoded))

    def _plain(self, _path: str, encoded: bytes) -> tuple[msgspec.Raw, str | None, list[str] | None]:
        """Return an output as a record has it: in place, or the names of a blob and of those that it refers to."""
        if len(encoded) <= values.BLOB_BYTES:
            return msgspec.Raw(encoded), None, None
        return NULL, self._blobs.put(encoded), names_in(encoded) or None


# -- paths into values -------------------------------------------------------------


def edited_inputs(given: Mapping[str, Any], edits: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's inputs with some of them, or parts of them, replaced; as JSON, to be checked again."""
    inputs: Any = values.to_json(dict(given))
    for path, value in edits.items():
        inputs = put(inputs, steps_of("." + path), value, f"inputs.{path}")
    return dict(inputs)


def steps_of(path: str) -> list[str | int]:
    """Return the steps of a path into a value: `.total`, `.rows[0].id`, `["a b"]`.

    Raises:
        CannotTakeOver: it is no such path.
    """
    steps: list[str | int] = []
    rest = path
    while rest:
        if rest[0] == ".":
            end = min((at for mark in ".[" if (at := rest.find(mark, 1)) > 0), default=len(rest))
            name, rest = rest[1:end], rest[end:]
            if not name:
                raise CannotTakeOver(f"'{path}' is no path: a name is missing behind a '.'")
            steps.append(name)
            continue
        inside, bracket, rest = rest[1:].partition("]")
        if not bracket or not inside:
            raise CannotTakeOver(f"'{path}' is no path: write [0] or [\"name\"]")
        steps.append(int(inside) if inside.lstrip("-").isdecimal() else inside.strip("\"'"))
        if rest and rest[0] not in ".[":
            raise CannotTakeOver(f"'{path}' is no path: write a '.' behind the brackets")
    return steps


def put(value: Any, steps: Sequence[str | int], new: Any, name: str) -> Any:
    """Return a value in which one place holds `new`; members that are missing are made.

    Raises:
        CannotTakeOver: there is no such place.
    """
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or not -len(value) <= step < len(value):
            raise CannotTakeOver(f"{name}: there is no [{step}] to set")
        return [
            *value[: step % len(value)],
            put(value[step], rest, new, name),
            *value[step % len(value) + 1 :],
        ]
    if value is None and not rest:
        value = {}
    if not isinstance(value, dict):
        raise CannotTakeOver(f"{name}: '{step}' cannot be set, since what is there is no mapping")
    return {**value, step: put(value.get(step), rest, new, name)}
