"""Every exception survives what processes do to it."""

import pickle

import pytest

from flowbuilder.core import errors
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.span import Span

SAMPLES = [
    errors.FlowError([Diagnostic("FB101", "it cannot be read", Span("a.yaml", 1, 2, 1, 3))]),
    errors.ExpressionError("expression.type", "no"),
    errors.OutputError("output.type", "a socket", "$.a[0]"),
    errors.InputError([("$.day", "is not a date")]),
    errors.TaskFailed("http.503", "busy", {"a": 1}),
    errors.RunFailed("r1", {"kind": "timeout", "message": "late"}),
    errors.RunCancelled("r1", "asked"),
    errors.KeyConflict("k", "r1"),
    errors.NotFound("run", "r1", "try `flowbuilder runs list`"),
    errors.StoreFull("the disk is full", "free some space"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_an_error_survives_pickling(error: errors.FlowBuilderError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_drawn_tree_names_every_class() -> None:
    drawn = errors.__doc__ or ""
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]

    assert all(c.__name__ in drawn for c in classes)
