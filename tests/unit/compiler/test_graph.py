"""Drawings of a flow's graph."""

from __future__ import annotations

import pytest

from flowbuilder.compiler.expressions import tree
from flowbuilder.compiler.graph import GRAPH_FORMATS, draw_graph
from flowbuilder.compiler.ir import Compute, Flow, Graph, Group, Invoke, OnError, SubFlow, Task, Work
from flowbuilder.core.span import NOWHERE, Span


class Nowhere:
    def span(self, start: int, end: int) -> Span:
        return NOWHERE


AT = tree.At(Nowhere(), 0, 0)
NULL = tree.Const(AT, None)


def task(id: str, *needs: str, work: Work | None = None, **more: object) -> Task:
    return Task(id, NOWHERE, work or Compute(NULL), needs, needs, **more)  # type: ignore[arg-type]


def flow(*tasks: Task, **more: object) -> Flow:
    return Flow("test", NOWHERE, "0" * 64, Graph(tasks), **more)  # type: ignore[arg-type]


def lanes(*tasks: Task) -> list[str]:
    """Return the lines of tasks without the key below them and the types behind them."""
    text = draw_graph(flow(*tasks))
    return [line.removesuffix("  set") for line in text.split("\n\n")[0].splitlines()]


def test_a_chain_goes_straight_down() -> None:
    assert lanes(task("a"), task("b", "a"), task("c", "b")) == ["○  a", "○  b", "○  c"]


def test_branches_have_lanes_of_their_own_and_joins_bring_them_together() -> None:
    assert lanes(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c")) == [
        "○  a",
        "├─○  b",
        "○ │  c",
        "○─┘  d",
    ]


def test_a_line_passes_lanes_that_it_has_nothing_to_do_with() -> None:
    found = lanes(
        task("a"), task("b", "a"), task("c", "a"), task("d", "a"), task("e", "c"), task("f", "b", "d", "e")
    )

    assert found == [
        "○  a",
        "├─○  b",
        "├─│─○  c",
        "○ │ │  d",
        "│ │ ○  e",
        "○─┴─┘  f",
    ]


def test_tasks_are_drawn_behind_what_they_wait_for_whatever_their_order() -> None:
    assert lanes(task("c", "b"), task("b", "a"), task("a")) == ["○  a", "○  b", "○  c"]


def test_signs_and_words_tell_what_a_task_does() -> None:
    effects = [task(effect, work=Invoke("http", NULL, effect)) for effect in ("pure", "read", "write")]  # type: ignore[arg-type]
    start = task("start", work=SubFlow(None, None, NULL, True, None))
    dead = task("dead", condition=tree.Const(AT, False), pruned="its condition is always false")
    asks = task("asks", condition=tree.Name(AT, "x"), run_when="all_done")

    found = draw_graph(flow(*effects, start, dead, asks))

    assert found.splitlines()[:6] == [
        "○  pure  http",
        "◐  read  http",
        "●  write  http",
        "●  start  flow",
        "×  dead  set, never runs",
        "○  asks  set, if x, when all_done",
    ]


def nested() -> Flow:
    inner = Group(Graph((task("x"), task("y", "x"))), None)
    rescue = OnError(graph=Graph((task("r"),)))
    return flow(
        task("a"),
        task("g", "a", work=inner, on_error=rescue),
        task("z", "a", "g"),
        finally_=Graph((task("t"),)),
    )


def test_bodies_of_groups_and_handlers_are_drawn_inside() -> None:
    assert draw_graph(nested(), extra={"g.x": "first"}).splitlines()[:9] == [
        "○  a  set",
        "├─◇  g  group",
        "│ │    ○  x  set, first",
        "│ │    ○  y  set",
        "│ │    on_error:",
        "│ │    ○  r  set",
        "○─┘  z  set",
        "finally:",
        "○  t  set",
    ]


def test_a_graph_too_wide_to_draw_is_listed() -> None:
    wide = flow(task("a"), *(task(f"t{n}", "a") for n in range(60)), task("z", *(f"t{n}" for n in range(60))))

    lines = draw_graph(wide).splitlines()

    assert lines[1] == "○ t0  set  ← a"
    assert lines[61].startswith("○ z  set  ← t0, t1, t2")


def test_mermaid_has_a_subgraph_for_each_part() -> None:
    assert draw_graph(nested(), "mermaid").splitlines() == [
        "flowchart TD",
        '  t0(["<b>a</b><br/>set"])',
        '  subgraph t1["<b>g</b><br/>group"]',
        '    t3(["<b>x</b><br/>set"])',
        '    t4(["<b>y</b><br/>set"])',
        "    t3 --> t4",
        "  end",
        '  subgraph e5["g: on_error"]',
        '    t6(["<b>r</b><br/>set"])',
        "  end",
        "  t1 -.-> e5",
        "  t0 --> t1",
        '  t2(["<b>z</b><br/>set"])',
        "  t0 --> t2",
        "  t1 --> t2",
        '  subgraph part7["finally"]',
        '    t8(["<b>t</b><br/>set"])',
        "  end",
        "  classDef never stroke-dasharray: 4 4, opacity: 0.5",
    ]


def test_dot_has_a_cluster_for_each_part() -> None:
    text = draw_graph(nested(), "dot")

    assert text.count("subgraph cluster") == 3
    assert "  t0 -> t1\n" in text
    assert 't1 [label="g\\ngroup", shape=folder]' in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("format", ["mermaid", "dot"])
def test_what_an_author_writes_does_not_end_a_label(format: str) -> None:
    evil = tree.Const(AT, 'x" ] & <b>\\" -->\n')

    text = draw_graph(flow(task("a", condition=evil), task("b", "a")), format)

    assert '\\"' in text if format == "dot" else "#quot;" in text
    assert not any(line.strip().startswith("]") for line in text.splitlines())
    assert '" ]' not in text.replace('\\"', "")


def test_there_are_three_formats() -> None:
    assert GRAPH_FORMATS == ("text", "mermaid", "dot")
    with pytest.raises(ValueError, match="no format 'png'; there are text, mermaid, dot"):
        draw_graph(flow(task("a")), "png")
