"""A flow that is called inside of another one: a run of its own."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowbuilder.sdk.pyflows.building import RESULT
from flowbuilder.sdk.pyflows.calls import graph_here, output_of, record, split
from flowbuilder.sdk.pyflows.recorded import Recorded
from flowbuilder.sdk.pyflows.recorder import Recorder, recording
from flowbuilder.sdk.pyflows.tasks import bind
from flowbuilder.sdk.pyflows.trees import member, results_in

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.flows import Flow
    from flowbuilder.sdk.pyflows.places import Place
    from flowbuilder.sdk.pyflows.recorder import TaskRecord

NOT_PARAMETERS = ("wait", "key")
"""Parameters of the type `flow` that a call may give besides the flow's inputs."""


def record_sub_flow(
    flow: Flow[..., Any], args: tuple[Any, ...], words: Mapping[str, Any], place: Place, over: Any
) -> Recorded:
    """Record a call of a flow, and return what stands for what it gives."""
    graph = graph_here(flow.name)
    signature = inspect.signature(flow.fn)
    what = f"the flow '{flow.name}'"
    own = {
        word: value
        for word, value in words.items()
        if word in NOT_PARAMETERS and word not in signature.parameters
    }
    rest = {word: value for word, value in words.items() if word not in own}
    given, options = split(rest, signature.parameters, place, what)
    inputs, places = bind(signature, args, given, place, what)
    with recording(None):
        built = flow.build(tolerant=True)
    graph.recorder.problems += built.problems
    path = _path(graph.recorder, flow, built)
    params: dict[str, Any] = {"path": path}
    if inputs:
        params["inputs"] = inputs
    made = record("flow", flow.fn.__name__, params | own, options, place)
    made.places |= {key.replace("args.", "inputs.", 1): at for key, at in places.items()}
    if over is not None:
        made.over = over
    return _result(made, over) if built.single and own.get("wait") is not False else output_of(made)


def _path(recorder: Recorder, flow: Flow[..., Any], built: Any) -> str:
    """Return the path by which the calling flow names this one, and keep its text under it."""
    base = built.path
    path, number = base, 1
    while path in recorder.sub_flows and recorder.sub_flows[path].text != built.text:
        number += 1
        path = f"{base}~{number}"
    recorder.sub_flows |= built.sub_flows
    recorder.sub_flows[path] = built
    return os.path.relpath(path, recorder.folder)


def _result(made: TaskRecord, over: Any) -> Recorded:
    output = output_of(made)
    tree = member(output._tree, RESULT) if over is None else results_in(output._tree, RESULT, over)
    return Recorded(tree, made.place, made)
