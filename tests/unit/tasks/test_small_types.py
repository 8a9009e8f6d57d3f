from typing import Any

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.assert_ import Assert
from flowbuilder.tasks.fail import Fail
from flowbuilder.tasks.log import Log


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"message": "no"}, ("fail", "no", None)),
        ({"message": "no", "kind": "order.bad", "data": {"a": 1}}, ("order.bad", "no", {"a": 1})),
        ({"message": [1]}, ("fail", "[1]", None)),
        ({}, ("input", "'message' is a text, not null", None)),
        ({"message": "no", "kind": 1}, ("input", "'kind' is a text, not a number", None)),
    ],
)
async def test_fail(make_call: Any, params: Any, expected: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Fail().run(make_call(params))
    assert caught.value.args == expected


async def test_log(make_call: Any, log: Any) -> None:
    await Log().run(make_call({"message": "plain"}))
    await Log().run(make_call({"message": {"a": 1}, "level": "error", "data": [1]}))
    assert list(log) == [("info", "plain", None), ("error", '{"a":1}', [1])]
    for wrong in ({"message": "m", "level": "loud"}, {"message": None}, {"message": "m", "level": 1}, "text"):
        with pytest.raises(TaskFailed) as caught:
            await Log().run(make_call(wrong))
        assert caught.value.kind == "input"


@pytest.mark.parametrize("that", [True, 1, [0], {"a": 1}])
async def test_assert_passes(make_call: Any, that: Any) -> None:
    await Assert().run(make_call({"that": that}))


@pytest.mark.parametrize(
    ("params", "kind", "message"),
    [
        ({"that": False}, "assert", "does not"),
        ({"that": None}, "assert", "does not"),
        ({"that": [], "message": "empty", "kind": "data.empty"}, "data.empty", "empty"),
        ({"that": "false"}, "input", "condition"),
        ({}, "input", "condition"),
    ],
)
async def test_assert_fails(make_call: Any, params: Any, kind: str, message: str) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Assert().run(make_call(params))
    assert caught.value.kind == kind
    assert message in caught.value.message
