"""`repeat`: the task in rounds, as long as a condition holds or until it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.references import MOMENTARY, references
from flowbuilder.compiler.expressions.tree import Call, Const
from flowbuilder.compiler.expressions.walk import walk
from flowbuilder.compiler.lower.fields import CONDITION, DELAY, EXPRESSION, Field, integer
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.compiler.nodes import Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.compiler.nodes import Node

_ROUNDS: Final = integer(1, 1_000_000_000_000)
ENDLESS: Final = 0
"""What stands for `max: none` while a file is read."""


def _read_max(ctx: Context, node: Node, key: str) -> int | None:
    if type(node) is Scalar and node.text == "none":
        return ENDLESS
    if type(node) is Scalar and not node.text:
        ctx.error("FB203", f"'{key}' is empty", node, "write how many rounds there may be, or `none`")
        return None
    most: int | None = _ROUNDS.read(ctx, node, key)
    return most


REPEAT: Final = Table(
    "a repeat",
    {
        "while": Key(CONDITION, "Asked before each round: the loop ends when it does not hold."),
        "until": Key(CONDITION, "Asked after each round: the loop ends when it holds; it sees `output`."),
        "max": Key(
            Field(_read_max, {"anyOf": [_ROUNDS.schema, {"const": "none"}]}),
            "How many rounds there may be, or `none`; one more fails with `repeat.max`.",
        ),
        "delay": Key(DELAY, "How long to wait between two rounds."),
        "state": Key(EXPRESSION, "What `loop.state` is at first; then it is the output of the last round."),
        "collect": Key(EXPRESSION, "A value from each round; then the output is the list of them."),
    },
    elsewhere={
        "times": "write `while: loop.index < 3`, and `max`",
        "count": "write `while: loop.index < 3`, and `max`",
        "limit": "it is called `max`",
        "max_rounds": "it is called `max`",
        "max_iterations": "it is called `max`",
        "interval": "it is called `delay`",
        "every": "it is called `delay`",
        "sleep": "it is called `delay`",
        "if": "write `while` (asked before a round) or `until` (after it)",
        "initial": "it is called `state`",
        "for_each": "it stands in the task itself, beside `repeat`",
    },
    required=("max",),
)


def read_repeat(ctx: Context, node: Node, key: str) -> ir.Repeat | None:
    """Return the rounds of a task."""
    if type(node) is not MappingNode:
        ctx.expected(
            "a mapping", node, key, "write for example `{until: output.json.ready, max: 100, delay: 10s}`"
        )
        return None
    values = read_record(ctx, node, REPEAT, f"'{key}'")
    unknown = Const(ctx.at(node), True)  # so that `loop` means something all the same
    if ("while" in node.pairs) == ("until" in node.pairs):
        both = "both 'while' and 'until'" if "while" in node.pairs else "neither 'while' nor 'until'"
        ctx.error(
            "FB211",
            f"'{key}' has {both}",
            node,
            "`while` is asked before a round, `until` after it",
            "" if "while" in node.pairs else "for a loop without a condition write `while: true`",
        )
        return ir.Repeat(unknown, until=True, max=1, collect=values.get("collect"))
    test = values.get("until", values.get("while", unknown))
    word = "until" if "until" in values else "while"
    if values.get("max") == ENDLESS:
        _warn_of_endless(ctx, node.pairs[word][1], word, test)
    return ir.Repeat(
        test=test,
        until=word == "until",
        max=values.get("max") or None,
        delay=values.get("delay", 0.0),
        state=values.get("state"),
        collect=values.get("collect"),
    )


def _warn_of_endless(ctx: Context, node: Node, word: str, test: Expr) -> None:
    """Warn of a loop without a bound whose condition no round can change, unless it says so: `while: true`."""
    if type(test) is Const:
        return
    changing = {"loop", "output"}
    if any(reference.root in changing for reference in references(test)) or any(
        type(part) is Call and part.function in MOMENTARY for part in walk(test)
    ):
        return
    ctx.warn(
        "FB263",
        "no round changes this condition, and `max` is none",
        node,
        "a condition that rounds can change mentions `loop`, `now()`, or in `until` the round's `output`",
        f"a loop that is to go on for ever says so: `{word}: {'false' if word == 'until' else 'true'}`",
    )


def mention(mentions: Mentions, repeat: ir.Repeat) -> None:
    """Add the tasks that the rounds refer to."""
    for expr in (repeat.test, repeat.state, repeat.collect):
        mentions.of(expr)


def repeat_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `repeat`, from that of its mapping."""
    return {**record, "oneOf": [{"required": ["while"]}, {"required": ["until"]}]}


FIELD: Final = Field(read_repeat, {"$ref": "#/$defs/repeat"})
