"""The text of a flow in Python says the same as the flow: compiled again it is the same version, and gives the same."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbuilder import call, flow, group, map, sleep, task, types, when
from flowbuilder.testing import run_flow
from flowbuilder.testing.flows import load_text

TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        *(
            "",
            " ",
            "yes",
            "null",
            "~",
            "1e3",
            "0o17",
            "0x1F",
            "1_000",
            "3.10",
            "12:30:00",
            "2026-01-05",
            "<<",
            "*",
        ),
        *("a: b", "a #b", "- x", "? x", "{a}", "[a]", "'", '"', "\\d", "|", ">", "%", "@", "`", "!x", "&x"),
        *(
            "${{ x }}",
            "$${{",
            "${{",
            "}}",
            "{{ inputs.x }}",
            "a\nb",
            "a\n",
            "\n",
            " a ",
            "a\tb",
            "a\r\nb",
            "é",
            "名前",
        ),
        *("\u2028", "\x85", "\x7f", "\ufeff", "😀", "a" * 300, "x " * 80, "\x00", "\x1b[0m"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS.filter(lambda key: "${{" not in key), inner, max_size=4)
    ),
    max_leaves=12,
)


def holds(value: Any) -> bool:
    """Tell whether a flow can hold a value as it is: a surrogate can be written nowhere."""
    try:
        msgspec.json.encode(value)
    except (UnicodeEncodeError, ValueError):
        return False
    return True


def plain(text: str) -> bool:
    """Tell whether a text may stand where no expression may: no way to write `${{` there."""
    return holds(text) and "${{" not in text


@task(effect="pure")
def same(value):
    return value


@given(constant=VALUES.filter(holds), default=VALUES.filter(holds), said=TEXTS.filter(plain))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_constants_defaults_and_texts_come_back_as_they_were(constant: Any, default: Any, said: str) -> None:
    import asyncio

    @flow(description=said or "x")
    def whole(given=default):
        kept = types.set(constant)
        return {"kept": kept, "same": same(constant), "given": given}

    text = whole.to_yaml()
    again = load_text(text)

    assert again.flow.content_hash == whole.load().flow.content_hash
    assert isinstance(yaml.safe_load(text), dict)
    view = asyncio.run(run_flow(again))
    assert view.status == "succeeded", view.error
    assert equal(view.outputs, {"kept": constant, "same": constant, "given": default})


def equal(one: Any, other: Any) -> bool:
    """Tell whether two values are the same: `1` is not `true`, and `1.0` is not `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.copysign(1, one) == math.copysign(1, other) and one == other
    return type(one) is type(other) and one == other


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "retry": st.integers(1, 5) | st.just({"attempts": 2, "delay": "1s", "on": ["http.*", "timeout"]}),
        "timeout": st.sampled_from(["10s", "1h30m"]),
        "on_error": st.sampled_from(["continue", "fail", {"value": {"a": [1, None]}}]),
        "priority": st.integers(0, 100),
        "name": TEXTS.filter(plain),
        "tags": st.lists(st.sampled_from(["a", "yes", "1"]), max_size=2),
        "cache": st.just({"key": "k", "ttl": "1h"}),
    },
)


@given(
    options=OPTIONS,
    blocks=st.lists(st.sampled_from(["when", "group", "map", "sleep", "shell", "plain"]), max_size=5),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_stated_is_the_same_version_when_its_text_is_compiled(
    options: dict[str, Any], blocks: list[str]
) -> None:
    @flow(labels={"a": "1"})
    def whole(n: int = 3, names: list[str] = ["a", "b"]):  # noqa: B006
        value: Any = same(n, **options)
        for block in blocks:
            match block:
                case "when":
                    with when(n > 1) as more:
                        same(value)
                    with more.otherwise():
                        value = same(0)
                case "group":
                    with group("some", timeout="5m"):
                        value = same(value)
                case "map":
                    value = map(lambda name: [same(name), value][0], names)
                case "sleep":
                    sleep("1s", needs=[value] if hasattr(value, "_task") and value._task else [])
                case "shell":
                    call("shell", command='echo "$X"', env={"X": "${{ 1 }}"}, effect="read", if_=n > 2)
                case _:
                    value = same({"x": value, "y": [n, "z"]})
        return value

    found, again = whole.load().flow, load_text(whole.to_yaml()).flow

    assert again.content_hash == found.content_hash
    assert [task.id for task in again.main.tasks] == [task.id for task in found.main.tasks]
    assert again.inputs
    assert [(each.name, each.schema, each.default) for each in again.inputs] == [
        (each.name, each.schema, each.default) for each in found.inputs
    ]
