"""What the keys of a flow become in the representation."""

from collections.abc import Callable

import pytest

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Call, Choice, Const, Dict, Expr, Text
from flowbuilder.compiler.pipeline import Checked, compile_text
from flowbuilder.core.errors import FlowError
from flowbuilder.core.policies import RetryPolicy
from flowbuilder.tasks.catalogue import CATALOGUE


def check(text: str, resolve: Callable[[str, str], str] | None = None) -> Checked:
    return compile_text(text, "flows/f.yaml", catalogue=CATALOGUE, resolve=resolve)


def tasks(text: str, head: str = "") -> dict[str, ir.Task]:
    lines = "".join(f"  {line}\n" for line in text.strip("\n").split("\n"))
    return {task.id: task for task in check(f"flow: f\n{head}tasks:\n{lines}").flow.main.tasks}


def parameter(task: ir.Task, name: str) -> Expr:
    assert isinstance(task.work, ir.Invoke)
    params = task.work.params
    if isinstance(params, Const):
        return Const(params.at, params.value[name])  # type: ignore[index]
    assert isinstance(params, Dict)
    return {key.value: value for key, value in params.items if isinstance(key, Const)}[name]


def test_a_reference_is_a_dependency_and_needs_decide_what_counts() -> None:
    found = tasks("""
a: {type: set, with: 1}
b: {type: set, with: 2}
c: {type: set, with: '${{ [tasks.b.output, tasks.a.output] }}'}
d: {type: set, with: '${{ tasks.a.output }}', needs: b}
e: {type: set, with: 1, if: tasks.c.status == 'failed'}
f: {type: set, with: '${{ tasks.a.output }}', needs: []}
""")

    assert (found["c"].needs, found["c"].waits_for) == (("a", "b"), ("a", "b"))
    assert (found["d"].needs, found["d"].waits_for) == (("b",), ("a", "b"))
    assert (found["e"].needs, found["e"].waits_for) == ((), ("c",))
    assert (found["f"].needs, found["f"].waits_for) == ((), ("a",))


def test_a_group_waits_for_what_its_tasks_read() -> None:
    found = tasks("""
a: {type: set, with: 1}
g:
  type: group
  tasks:
    b: {type: set, with: '${{ tasks.a.output }}'}
    c: {type: set, with: '${{ tasks.b.output }}'}
h:
  type: set
  with: 1
  on_error: {tasks: {i: {type: set, with: '${{ tasks.g.output.c }}'}}}
""")
    group = found["g"].work

    assert found["g"].needs == ("a",)
    assert isinstance(group, ir.Group)
    assert [task.waits_for for task in group.graph.tasks] == [(), ("b",)]
    assert found["h"].waits_for == ("g",)


def test_run_is_a_shell_with_that_script() -> None:
    found = tasks("a: {run: echo hello, with: {cwd: /srv}}")

    assert found["a"].work.type == "shell"  # type: ignore[union-attr]
    assert parameter(found["a"], "command").value == "echo hello"  # type: ignore[union-attr]
    assert parameter(found["a"], "cwd").value == "/srv"  # type: ignore[union-attr]


def test_a_value_in_a_script_becomes_a_quoted_variable() -> None:
    found = tasks("a: {run: 'gzip ${{ inputs.x }} ${{ ''a  b'' }}'}", head="inputs: {x: {type: string}}\n")
    command = parameter(found["a"], "command")
    assert isinstance(command, Dict)
    script, variables = [value for _, value in command.items]

    assert script.value == 'gzip "${__fb_0}" "${__fb_1}"'  # type: ignore[union-attr]
    assert [key.value for key, _ in variables.items] == ["__fb_0", "__fb_1"]  # type: ignore
    assert all(isinstance(value, Text) for _, value in variables.items)  # type: ignore


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        ("${{ vars.b }}", []),
        ("${{ vars.b }}/x/${{ vars.v }}", ["v"]),
        ("${{ vars.b }}${{ vars.v }}", ["v"]),
        ("https://${{ vars.h }}/x", []),
        ("https://${{ vars.h }}.example/${{ vars.v }}?q=${{ vars.w }}", ["v", "w"]),
        ("${{ vars.s }}://${{ vars.h }}/${{ vars.v }}", ["v"]),
        ("https://x.example/${{ vars.v | raw }}/${{ vars.w }}", ["w"]),
        ("/local/${{ vars.v }}", ["v"]),
        ("https://x.example:${{ vars.p }}", []),
    ],
)
def test_values_behind_the_host_are_encoded(url: str, encoded: list[str]) -> None:
    names = "bvhwsp"
    head = "vars: {" + ", ".join(f"{name}: x" for name in names) + "}\n"
    tree = parameter(tasks(f"a: {{type: http, with: {{url: '{url}'}}}}", head)["a"], "url")
    parts = tree.parts if isinstance(tree, Text) else ()

    found = [part for part in parts if isinstance(part, Call) and part.function == "urlencode"]
    assert [part.args[0].parts[0].name for part in found] == encoded  # type: ignore[union-attr]


def test_defaults_are_merged_key_by_key_and_reach_only_what_calls_something() -> None:
    found = tasks(
        """
a: {type: http, with: {url: 'http://localhost'}, retry: {delay: 5s}}
b: {type: set, with: 1}
c: {type: sleep, with: {for: 1s}}
d: {run: 'true', retry: 1}
""",
        head="""
defaults:
  timeout: 30s
  retry: {attempts: 4, jitter: none}
  priority: 70
  types: {http: {timeout: 5s, retry: {on: [timeout]}, with: {headers: {A: b}, method: PUT}}}
""".lstrip(),
    )
    a = found["a"]

    assert a.timeout == 5.0
    assert a.retry is not None
    assert a.retry.policy == RetryPolicy(attempts=4, delay=5.0, jitter="none", on=("timeout",))
    assert parameter(a, "method").value == "PUT"  # type: ignore[union-attr]
    assert a.work.effect == "write"  # type: ignore[union-attr]
    assert {id: (t.timeout, t.retry is not None, t.priority) for id, t in found.items() if id != "a"} == {
        "b": (None, False, 70),
        "c": (None, False, 70),
        "d": (30.0, True, 70),
    }


@pytest.mark.parametrize(
    ("written", "effect"),
    [
        ("type: http, with: {url: 'http://localhost'}", "read"),
        ("type: http, with: {url: 'http://localhost', method: post}", "write"),
        ("type: http, with: {url: 'http://localhost', method: head}", "read"),
        ("type: http, with: {url: 'http://localhost', method: '${{ env.M }}'}", "write"),
        ("type: http, with: {url: 'http://localhost', method: POST}, effect: read", "read"),
        ("run: 'true'", "write"),
    ],
)
def test_the_effect_is_the_types_unless_a_parameter_or_the_author_says_more(
    written: str, effect: str
) -> None:
    found = tasks(f"a: {{{written}}}", head="env: {M: GET}\n")

    assert found["a"].work.effect == effect  # type: ignore[union-attr]


def test_a_switch_is_a_nested_choice() -> None:
    found = tasks("""
a:
  type: switch
  with:
    cases:
      - {when: 1 > 2, value: small}
      - {when: '${{ 2 > 1 }}', value: [large]}
""")
    tree = found["a"].work.value  # type: ignore[union-attr]

    assert isinstance(tree, Choice)
    assert isinstance(tree.otherwise, Choice)
    assert tree.otherwise.otherwise.value is None  # type: ignore[union-attr]


def test_a_sleep_takes_a_duration_or_a_moment() -> None:
    found = tasks(
        """
a: {type: sleep, with: {for: 1h30m}}
b: {type: sleep, with: {until: '2026-01-05T10:00:00+01:00'}}
c: {type: sleep, with: {for: '${{ inputs.n }}s'}}
d: {type: sleep, with: {for: '${{ inputs.n }}'}}
""",
        head="inputs: {n: {type: integer}}\n",
    )
    a, b, c, d = (task.work for task in found.values())

    assert a.duration.value == 5400.0  # type: ignore[union-attr]
    assert (b.duration, b.until.function) == (None, "datetime")  # type: ignore[union-attr]
    assert c.duration.function == "duration"  # type: ignore[union-attr]
    assert d.duration.name == "n"  # type: ignore[union-attr]


def test_env_values_are_texts_as_they_were_written() -> None:
    flow = check(
        "flow: f\nenv: {A: 8080, B: 3.10, C: yes, D: ''}\ntasks: {a: {run: 'true', env: {E: 010}}}\n"
    ).flow

    assert flow.env == {"A": "8080", "B": "3.10", "C": "yes", "D": ""}
    assert flow.main.tasks[0].env.items[0][1].value == "010"  # type: ignore[union-attr]


def test_a_sub_flow_is_compiled_once_and_counts_in_the_hash() -> None:
    asked = []

    def resolve(text: str) -> Callable[[str, str], str]:
        def read(path: str, from_file: str) -> str:
            asked.append((path, from_file))
            return text

        return read

    main = "flow: f\ntasks:\n  a: {type: flow, with: {path: sub/g.yaml}}\n  b: {type: flow, with: {path: ./sub/g.yaml}}\n"
    sub = "flow: g\ntasks: {x: {type: set, with: 1}}\n"
    one = check(main, resolve(sub))
    two = check(main, resolve(sub + "# another version\n"))

    assert asked == [("sub/g.yaml", "flows/f.yaml")] * 2
    assert [task.work.flow.name for task in one.flow.main.tasks] == ["g", "g"]  # type: ignore[union-attr]
    assert dict(one.sources) == {"flows/f.yaml": main, "flows/sub/g.yaml": sub}
    assert one.flow.content_hash != two.flow.content_hash


def test_a_flow_may_call_itself() -> None:
    main = "flow: f\ntasks:\n  a: {type: flow, if: false, with: {path: f.yaml}}\n"
    work = check(main, lambda path, file: main).flow.main.tasks[0].work

    assert isinstance(work, ir.SubFlow)
    assert (work.flow, work.name) == (None, None)


def test_the_same_text_gives_the_same_flow() -> None:
    text = (
        "flow: f\nvars: {a: 1}\ntasks: {a: {type: set, with: '${{ vars.a }}'}, b: {run: 'true', needs: a}}\n"
    )
    one, two = check(text).flow, check(text.replace("\n", "\r\n")).flow

    assert one == two


def test_a_number_of_errors_in_one_file_are_reported_in_one_pass() -> None:
    text = "flow: F\ntasks:\n  a: {type: htp, needs: [x]}\n  b: {run: 'true', timeout: 5}\nnope: 1\n"

    with pytest.raises(FlowError) as caught:
        check(text)

    assert [d.code for d in caught.value.diagnostics] == ["FB204", "FB206", "FB220", "FB208", "FB201"]


def test_ten_thousand_errors_are_cut_off_and_take_no_time() -> None:
    text = "flow: f\ntasks:\n" + "".join(f"  t{n}: {{type: sett, with: 1}}\n" for n in range(5000))

    with pytest.raises(FlowError) as caught:
        check(text)

    assert len(caught.value.diagnostics) == 1000


@pytest.mark.parametrize(
    ("that", "code"),
    [
        ("tasks.x.output > 3", None),
        ("'${{ tasks.x.output > 3 }}'", None),
        ("true", None),
        ("\"tasks.x.output == 'a' and inputs.n\"", "FB310"),
        ("'x ${{ tasks.x.output }}'", "FB303"),
        ("\"'false'\"", "FB318"),
        ("\"${{ 'false' }}\"", "FB318"),
        ("5", "FB214"),
        ("[1]", "FB203"),
        ("''", "FB203"),
    ],
)
def test_what_is_asserted_is_a_condition(that: str, code: str | None) -> None:
    text = f"flow: f\ntasks:\n  x: {{type: set, with: 1}}\n  a: {{type: assert, with: {{that: {that}}}}}\n"
    found: list[str] = []
    try:
        check(text)
    except FlowError as error:
        found = [one.code for one in error.diagnostics]

    assert found == ([code] if code else [])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "flow: f\nvars: {"
        + ", ".join(f"v{'x' * 60}{n}: 1" for n in range(3_000))
        + "}\ntasks:\n"
        + "".join(f"  t{n}: {{type: set, with: '${{{{ vars.v{'x' * 60}z{n} }}}}'}}\n" for n in range(3_000)),
        "flow: f\ntasks:\n"
        + "".join(
            f"  t{'x' * 90}{n}: {{type: set, with: 1, needs: t{'x' * 90}y{n}}}\n" for n in range(4_000)
        ),
        "flow: f\ntasks:\n"
        + "".join(f"  t{n}: {{type: set, with: '${{{{ {'f' * 90}{n}(1) }}}}'}}\n" for n in range(4_000)),
        "flow: f\ntasks:\n"
        + "".join(f"  t{n}: {{type: set, with: 1, {'k' * 80}{n}: 1}}\n" for n in range(4_000)),
    ],
)
def test_near_misses_among_thousands_of_long_names_take_no_time(text: str) -> None:
    with pytest.raises(FlowError) as caught:
        check(text)

    assert len(caught.value.diagnostics) == 1_000
