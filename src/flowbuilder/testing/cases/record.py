"""Makes a test of a real run: what its calls yielded is what their mocks yield."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from flowbuilder.compiler.nodes import Scalar
from flowbuilder.compiler.read.scalars import UnusableNumber, value_of
from flowbuilder.core import values
from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.core.records import AttemptFailed, CancelAsked, Ended, RoundEnded
from flowbuilder.core.rules import CACHED, CANCELLED, SUCCEEDED
from flowbuilder.runtime.plans import Definition
from flowbuilder.storage.api import LIVE
from flowbuilder.testing.cases.mocks import once_path, plain_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbuilder.core.plan import FlowPlan, GraphPlan, TaskPlan
    from flowbuilder.core.records import Record
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.reader import Reader

_UNMOCKED: Final = frozenset({"compute", "group", "sleep"})
"""Kinds of work that a test carries out as a run does."""
FOR_EVER: Final = "1000d"
_ELEMENT: Final = re.compile(r"\[[^\]]*\]$")
_INNER: Final = frozenset({"fail", "log", "assert"})
"""Types that a test carries out as a run does."""


def record(reader: Reader, run_id: str) -> tuple[Path, str]:
    """Return the flow's file, and the text of a file of tests with one that is like the run.

    Raises:
        NotFound: there is no such run.
        FlowBuilderError: it has not ended.
    """
    view = reader.show(run_id)
    if view.status in LIVE:
        raise FlowBuilderError(f"run {view.run_id} is {view.status}: a test is made of a run that has ended")
    plan = reader.plan(view.run_id)
    flow = Path(msgspec.msgpack.decode(plan.definition, type=Definition).file)
    journal = reader.journal(view.run_id)
    mocks = _mocks(journal, plan, reader)
    sendings = _cancel(view, journal)
    case = {
        "description": f"Recorded from run {view.run_id}",
        **({"inputs": values.to_json(view.inputs)} if view.inputs else {}),
        **({"clock": _moment(view)} if view.started_at else {}),
        **({"mocks": mocks} if mocks else {}),
        **({"send": sendings} if sendings else {}),
        "expect": _expected(view),
    }
    document = {"flow": flow.name, "tests": {f"as in run {view.run_id}": case}}
    text = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return flow, text


def _moment(view: RunView) -> str:
    return str(view.to_json(full=True)["started_at"])


def _mocks(journal: Sequence[Record], plan: FlowPlan, reader: Reader) -> dict[str, Any]:
    """Return a mock for each task that called something: by path, elements of maps each by itself.

    Attempts, rounds and attempts of groups come one after the other, and so do the answers.
    """
    calling = {path for path, task in _tasks(plan) if task.kind not in _UNMOCKED and task.type not in _INNER}
    ends = [record for record in journal if isinstance(record, Ended)]
    maps = {_ELEMENT.sub("", once_path(end.path)) for end in ends if end.path.endswith("]")}
    looped: set[str] = set()
    answers: dict[str, list[Any]] = {}
    for record in journal:
        if not isinstance(record, AttemptFailed | Ended | RoundEnded):
            continue
        path = once_path(record.path)
        if path in maps or plain_path(path) not in calling:
            continue
        if isinstance(record, RoundEnded):
            looped.add(path)
        answer = _answer(record, reader, ended=path in looped)
        if answer is not None:
            answers.setdefault(path, []).append(answer)
    return {path: some[0] if _all_alike(some) else some for path, some in answers.items()}


def _answer(
    record: AttemptFailed | Ended | RoundEnded, reader: Reader, *, ended: bool
) -> dict[str, Any] | None:
    """Return what a call came to; None where there was none.

    Args:
        record: what was written down of its end.
        reader: knows the output.
        ended: of the end of a loop: its rounds have said what they yield.
    """
    if isinstance(record, AttemptFailed):
        return {"error": _error(record.error)}
    if isinstance(record, RoundEnded):
        return {"output": values.to_json(reader.output_of(record))}
    if record.code == CANCELLED and record.attempts:
        return {"output": None, "delay": FOR_EVER}  # it went on until somebody cancelled the run
    if record.error is not None and record.attempts:
        return {"error": _error(record.error)}
    if ended or record.code != SUCCEEDED or not (record.attempts or record.reason == CACHED):
        return None
    return {"output": values.to_json(reader.output_of(record))}


def _all_alike(answers: list[Any]) -> bool:
    """Tell whether one answer says it: the last one answers all further calls."""
    return all(answer == answers[0] for answer in answers)


def _error(error: dict[str, Any] | None) -> dict[str, Any]:
    error = error or {"kind": "unknown", "message": ""}
    kept = {"kind": error["kind"], "message": error["message"]}
    return kept if error.get("data") is None else {**kept, "data": values.to_json(error["data"])}


def _cancel(view: RunView, journal: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what cancels the run as it was cancelled."""
    began = view.started_at or view.created_at
    return [
        {"cancel": record.reason or "cancelled", "at": format_duration(max(0.0, record.at - began))}
        for record in journal
        if isinstance(record, CancelAsked) and record.kind == "cancelled" and view.status == "cancelled"
    ][:1]


def _expected(view: RunView) -> dict[str, Any]:
    expected: dict[str, Any] = {"status": view.status}
    if view.status == "succeeded" and view.outputs:
        expected["outputs"] = values.to_json(view.outputs)
    if view.error is not None:
        expected["error"] = {"kind": view.error["kind"]}
    expected["tasks"] = {path: task.status for path, task in view.tasks.items()}
    return expected


def _tasks(plan: FlowPlan) -> Iterator[tuple[str, TaskPlan]]:
    for graph, prefix in ((plan.main, ""), (plan.on_failure, "on_failure:"), (plan.finally_, "finally:")):
        if graph is not None:
            yield from _of_graph(graph, prefix)


def _of_graph(graph: GraphPlan, prefix: str) -> Iterator[tuple[str, TaskPlan]]:
    for task in graph.tasks:
        yield prefix + task.id, task
        if task.undo is not None:
            yield from _of_graph(task.undo, prefix + task.id)
        if task.body is not None:
            yield from _of_graph(task.body, f"{prefix}{task.id}.")
        if task.on_error is not None and task.on_error.graph is not None:
            yield from _of_graph(task.on_error.graph, f"{prefix}{task.id}!")


class _Dumper(yaml.SafeDumper):
    """Writes what our reader reads: texts that look like something else are quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts each time: a test is read by people."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not any(line.endswith(" ") for line in text.splitlines()) else None
    if style is None and not _is_text(text):
        style = "'"  # PyYAML would leave `1e3` and `0o17` bare, which are numbers to us
    return dumper.represent_scalar("tag:yaml.org,2002:str", text.replace("${{", "$${{"), style=style)


def _is_text(text: str) -> bool:
    try:
        return type(value_of(Scalar(text, "", 0, len(text)))) is str
    except UnusableNumber:
        return False


_Dumper.add_representer(str, _text)


def write_beside(flow: Path, text: str, target: Path | None) -> Path:
    """Write a file of tests where it is wanted, beside the flow otherwise; nothing is written over.

    Raises:
        FlowBuilderError: there is such a file.
    """
    path = target or flow.with_name(flow.stem + ".test.yaml")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise FlowBuilderError(f"{path} is there already: name another file with --output") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path
