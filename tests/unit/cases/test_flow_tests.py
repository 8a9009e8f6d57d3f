"""Tests of flows: mocks stand for tasks, time is skipped, every difference is told."""

import asyncio
from pathlib import Path

import pytest

from flowbuilder.core.errors import FlowError, NotFound
from flowbuilder.testing.cases.differences import differences
from flowbuilder.testing.cases.find import find_suites
from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import Result, coverage, run_cases

FLOW = """
flow: orders
inputs: {day: {type: string}, most: {type: integer, default: 3}}
secrets: [TOKEN]
tasks:
  fetch:
    type: http
    with: {url: "https://shop.example/orders/${{ inputs.day }}", headers: {Auth: "${{ secrets.TOKEN }}"}}
    retry: {attempts: 3, delay: 1h, jitter: none, on: [http.5xx]}
  size: {type: switch, with: {cases: [{when: inputs.most > 2, value: many}, {when: inputs.most > 1, value: two}], default: few}}
  rows: {type: set, with: "${{ tasks.fetch.output.json[:inputs.most] }}"}
  notify:
    for_each: ${{ tasks.rows.output }}
    run: notify "$ID"
    env: {ID: "${{ item.id }}"}
    on_error: continue
  pause: {needs: [notify], type: sleep, with: {for: 2d}}
  rare: {needs: [pause], if: inputs.most > 100, run: rare}
outputs: {ids: "${{ [row.id for row in tasks.rows.output] }}", size: "${{ tasks.size.output }}"}
"""
SHELL = "'type:shell': {output: {exit_code: 0, stdout: '', stderr: ''}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.yaml").write_text(FLOW)
    return tmp_path


def results(folder: Path, tests: str, name: str = "orders.test.yaml") -> list[Result]:
    path = folder / name
    path.write_text(tests)

    async def run() -> list[Result]:
        return [result async for result in run_cases(read_suite(path).cases, 8)]

    return asyncio.run(run())


def problems(folder: Path, case: str) -> list[str]:
    (result,) = results(folder, "tests:\n  one:\n" + "\n".join("    " + line for line in case.splitlines()))
    return result.problems


GOOD = f"""
inputs: {{day: today}}
mocks:
  fetch: {{output: {{json: [{{id: 1}}, {{id: 2}}]}}}}
  {SHELL}
"""


def test_a_flow_runs_with_mocks_in_place_of_its_calls(folder: Path) -> None:
    assert (
        problems(folder, GOOD + "expect: {outputs: {ids: [1, 2], size: many}, tasks: {rare: skipped}}") == []
    )


def test_a_test_without_expectations_wants_success(folder: Path) -> None:
    assert problems(folder, GOOD) == []
    (told,) = problems(folder, "inputs: {day: x}\nmocks: {fetch: {error: {kind: http.404, message: gone}}}")
    assert told == "status: expected succeeded, got failed in fetch: http.404: gone"


@pytest.mark.parametrize("jitter", ["", "jitter: full", "jitter: equal"])
def test_nothing_of_a_retrys_delay_is_left_to_chance(tmp_path: Path, jitter: str) -> None:
    retry = f"{{attempts: 4, delay: 1h, max_delay: 1d, {jitter}}}"
    (tmp_path / "f.yaml").write_text(f"flow: f\ntasks: {{a: {{run: x, effect: read, retry: {retry}}}}}\n")
    case = "mocks: {a: {error: http.503}}\nexpect: {status: failed, duration: 7h}"

    assert (
        results(tmp_path, "tests:\n  one: {" + case.replace("\n", ", ") + "}", "f.test.yaml")[0].problems
        == []
    )


def test_answers_are_given_in_order_and_retries_skip_time(folder: Path) -> None:
    case = f"""
inputs: {{day: today}}
mocks:
  fetch:
    - {{error: {{kind: http.503}}, delay: 20m}}
    - {{error: {{kind: http.500}}}}
    - {{output: {{json: [{{id: 7}}]}}}}
  {SHELL}
expect:
  tasks: {{fetch: {{status: succeeded, attempts: 3}}}}
  duration: [2d2h20m, 2d2h21m]
"""
    assert problems(folder, case) == []


def test_each_element_may_have_a_mock_of_its_own(folder: Path) -> None:
    case = """
inputs: {day: today}
mocks:
  fetch: {output: {json: [{id: 1}, {id: 2}]}}
  notify: {output: {exit_code: 0, stdout: "", stderr: ""}}
  "notify[1]": {error: {kind: shell.exit, message: no}}
expect:
  tasks:
    "notify[0]": succeeded
    "notify[1]": {status: failed, error: shell.exit}
  that: ["tasks.notify.errors[0].kind == 'shell.exit'"]
"""
    assert problems(folder, case) == []


def test_calls_are_counted_and_what_they_are_given_is_known(folder: Path) -> None:
    case = f"""
inputs: {{day: today}}
mocks:
  fetch: {{output: {{json: [{{id: 1}}, {{id: 2}}]}}}}
  {SHELL}
expect:
  calls:
    fetch: [{{url: "https://shop.example/orders/today"}}]
    notify: {{count: 2, with: {{command: notify "$ID"}}}}
    rare: 0
  order: [fetch, rows, notify, pause]
"""
    assert problems(folder, case) == []


def test_secrets_are_made_up_and_masked(folder: Path) -> None:
    case = GOOD + "expect: {calls: {fetch: [{headers: {Auth: '***'}}]}}"

    assert problems(folder, case) == []


def test_every_difference_is_told(folder: Path) -> None:
    told = problems(
        folder,
        GOOD
        + """
expect:
  status: failed
  outputs: {ids: [1, 3], size: {a: 1}, more: 1}
  error: http.404
  tasks: {rows: {status: skipped, output: []}, nowhere: succeeded, fetch: {attempts: 2}}
  order: [pause, rows]
  calls: {fetch: 2, notify: {with: {command: x}}}
  logs: [hello]
  duration: 1d
  that: ["outputs.size == 'few'", "outputs.nothing > 1"]
""",
    )

    assert [line.partition(":")[0] for line in told] == [
        "status",
        "error",
        "outputs.ids[1]",
        "outputs.size",
        "outputs.more",
        "tasks.rows.status",
        "tasks.rows.output",
        "tasks.nowhere",
        "tasks.fetch.attempts",
        "order",
        "calls.fetch",
        "calls.notify",
        "logs",
        "duration",
        "that",
        "that",
    ]
    assert "tasks.rows.output: expected 0 elements, got 2" in told


def test_inputs_that_break_their_schemas_are_refused(folder: Path) -> None:
    assert problems(folder, "inputs: {day: 5}\nexpect: refused") == []
    assert problems(folder, "inputs: {day: 5}\nexpect: {error: input}") == []
    assert "refused" in problems(folder, "inputs: {day: 5}")[0]


def test_a_mock_of_no_task_is_told(folder: Path) -> None:
    (told,) = problems(folder, "inputs: {day: x}\nmocks: {fech: {output: 1}}")
    assert told.startswith("there is no task 'fech' to be mocked (")
    assert told.endswith("orders.test.yaml:4:13); did you mean 'fetch'?")

    (told,) = problems(folder, "inputs: {day: x}\nmocks: {zzz: {output: 1}}")
    assert told.endswith("; there are fetch, size, rows, notify, pause, rare")


def test_only_mocks_names_a_call_that_is_not_mocked(folder: Path) -> None:
    case = "inputs: {day: x}\nonly_mocks: true\nmocks: {fetch: {output: {json: [{id: 1}, {id: 2}]}}}"

    assert problems(folder, case) == [
        "the task 'notify' (shell) is called and not mocked, and 'only_mocks' is set"
    ], "once, though the flow goes on after the failures of its elements"


def test_only_mocks_wants_no_mock_for_what_is_never_called(folder: Path) -> None:
    (folder / "orders.yaml").write_text(
        FLOW.replace("tasks:\n", "tasks:\n  pay: {run: pay, undo: {run: back}}\n", 1)
    )
    mocks = "{fetch: {output: {json: []}}, pay: {output: {stdout: ''}}}"
    failing = "{fetch: {error: {kind: http.404}}, pay: {output: {stdout: ''}}}"

    assert problems(folder, f"inputs: {{day: x}}\nonly_mocks: true\nmocks: {mocks}") == []
    assert problems(folder, "only_mocks: true\nexpect: refused") == []
    told = problems(folder, f"inputs: {{day: x}}\nonly_mocks: true\nmocks: {failing}\nexpect: failed")
    assert told[0] == "the task 'pay~undo' (shell) is called and not mocked, and 'only_mocks' is set"


def test_a_mock_may_be_a_function_in_the_flows_folder(folder: Path) -> None:
    (folder / "doubles.py").write_text("def shop(given):\n    return {'json': [{'id': given['url'][-3:]}]}\n")
    case = f"inputs: {{day: xyz}}\nmocks:\n  fetch: {{call: 'doubles:shop'}}\n  {SHELL}\nexpect: {{outputs: {{ids: [xyz]}}}}"

    assert problems(folder, case) == []


def test_a_run_that_waits_for_ever_is_told_and_ended(folder: Path) -> None:
    (folder / "orders.yaml").write_text("flow: f\ntasks:\n  hang: {type: python, with: {call: 'hang:up'}}\n")
    (folder / "hang.py").write_text("import asyncio\nasync def up():\n    await asyncio.Event().wait()\n")
    (told,) = problems(folder, "timeout: 200ms")

    assert told == "it did not end within 0.2 s"


def test_a_cancel_comes_at_its_moment(folder: Path) -> None:
    case = (
        GOOD
        + "send: [{cancel: enough, at: 1d}]\nexpect: {status: cancelled, duration: 1d, tasks: {pause: cancelled}}"
    )

    assert problems(folder, case) == []


def test_sub_flows_are_mocked_as_tasks_or_through_the_types_of_theirs(folder: Path) -> None:
    (folder / "orders.yaml").write_text(
        "flow: f\ntasks:\n  child: {type: flow, with: {path: child.yaml, inputs: {n: 2}}}\n"
        "outputs: {got: '${{ tasks.child.output }}'}\n"
    )
    (folder / "child.yaml").write_text(
        "flow: child\ninputs: {n: {type: integer}}\ntasks: {a: {run: real}}\n"
        "outputs: {said: '${{ tasks.a.output.stdout }}'}\n"
    )

    assert (
        problems(
            folder,
            "mocks: {child: {output: {x: 1}}}\nexpect: {outputs: {got: {x: 1}}, calls: {child: [{n: 2}]}}",
        )
        == []
    )
    assert (
        problems(
            folder, "mocks: {'type:shell': {output: {stdout: hi}}}\nexpect: {outputs: {got: {said: hi}}}"
        )
        == []
    )


def test_many_tests_run_at_once_each_in_a_world_of_its_own(folder: Path) -> None:
    cases = "".join(
        f"  t{number}:\n    inputs: {{day: d{number}}}\n    mocks: {{fetch: {{output: {{json: []}}}}}}\n"
        f"    expect: {{calls: {{fetch: [{{url: 'https://shop.example/orders/d{number}'}}]}}}}\n"
        for number in range(60)
    )

    found = results(folder, "tests:\n" + cases)

    assert [result.problems for result in found] == [[]] * 60
    assert [result.case.name for result in found] == [f"t{number}" for number in range(60)]


def test_a_test_that_is_skipped_is_not_run(folder: Path) -> None:
    (result,) = results(folder, "tests: {one: {skip: the shop is closed, inputs: {day: 5}}}")

    assert (result.verdict, result.problems) == ("skipped", ["the shop is closed"])


def test_defaults_hold_for_each_test_key_by_key(folder: Path) -> None:
    found = results(
        folder,
        "defaults:\n  inputs: {day: a, most: 1}\n  mocks: {fetch: {output: {json: []}}}\n"
        "tests:\n  one: {expect: {outputs: {size: few}}}\n  two: {inputs: {most: 2}, expect: {outputs: {size: two}}}\n",
    )

    assert [result.problems for result in found] == [[], []]


def test_coverage_names_what_no_test_has_reached(folder: Path) -> None:
    found = results(
        folder,
        f"tests:\n  one:\n    inputs: {{day: a, most: 1}}\n    mocks:\n      fetch: {{output: {{json: [{{id: 1}}]}}}}\n      {SHELL}\n",
    )
    (flow,) = coverage(found)

    assert flow.counts(branches=False) == (5, 6)
    assert [str(point) for point in flow.missed(branches=False)] == ["rare"]
    assert [str(point) for point in flow.missed(branches=True)] == [
        "size: case 1 holds",
        "size: case 2 holds",
        "notify: on_error is taken",
        "rare: if is true",
    ]


def test_all_mistakes_of_a_file_are_told_at_their_places(folder: Path) -> None:
    path = folder / "orders.test.yaml"
    path.write_text(
        "tests:\n"
        "  one:\n"
        "    input: {day: x}\n"
        "    mocks:\n"
        "      fetch: {output: 1, error: {kind: x}}\n"
        "      rows: []\n"
        "    clock: tomorrow\n"
        "    send: [{signal: a, event: b}]\n"
        "    expect: {status: great, that: ['nope > 1', 'outputs.x >'], duration: soon}\n"
    )

    with pytest.raises(FlowError) as caught:
        read_suite(path)

    assert [(d.code, d.at.line) for d in caught.value.diagnostics] == [
        ("FB201", 3),
        ("FB211", 5),
        ("FB210", 6),
        ("FB208", 7),
        ("FB211", 8),
        ("FB209", 9),
        ("FB310", 9),
        ("FB301", 9),
        ("FB208", 9),
    ]


def test_tests_of_no_flow_are_told(tmp_path: Path) -> None:
    path = tmp_path / "lonely.test.yaml"
    path.write_text("tests: {one: {}}")

    with pytest.raises(FlowError, match=r"no flow 'lonely\.yaml' beside these tests"):
        read_suite(path)


def test_a_flow_that_is_wrong_fails_its_tests_with_its_findings(folder: Path) -> None:
    (folder / "orders.yaml").write_text("flow: f\ntasks: {a: {type: htp}}\n")

    (told,) = problems(folder, "expect: succeeded")

    assert "there is no task type 'htp'" in told


def test_files_of_tests_are_found_in_folders_and_beside_flows(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    names = ["orders.test.yaml", "deep/er/a.test.yaml", ".hidden/b.test.yaml"]
    for name in names:
        (folder / name).write_text("tests: {}")

    assert list(find_suites([folder])) == [folder / "deep/er/a.test.yaml", folder / "orders.test.yaml"]
    assert list(find_suites([folder / "orders.yaml"])) == [folder / "orders.test.yaml"]
    with pytest.raises(NotFound):
        list(find_suites([folder / "nowhere"]))


def test_a_file_of_tests_that_is_no_text_is_told(folder: Path) -> None:
    path = folder / "orders.test.yaml"
    path.write_bytes(b"tests:\n  one: {skip: \xff}\n")
    with pytest.raises(FlowError) as raised:
        read_suite(path)

    (found,) = raised.value.diagnostics
    assert (found.code, found.at.line, found.at.column) == ("FB101", 2, 15)


def test_the_tests_of_a_flow_in_python_are_found_by_its_file_or_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "flows.py").write_text("")
    (folder / "shop" / "flows.test.yaml").write_text("tests: {}")
    monkeypatch.chdir(folder)

    expected = [Path("shop/flows.test.yaml")]
    assert list(find_suites([Path("shop/flows.py:report")])) == expected
    assert list(find_suites([Path("shop.flows:report")])) == expected
    with pytest.raises(NotFound):
        list(find_suites([Path("shop.other:report")]))


@pytest.mark.parametrize(
    ("expected", "got", "told"),
    [
        ("a" * 300 + "b", "a" * 300 + "c", "(they differ from character 301 on)"),
        ("a\n" * 60 + "b", "a\n" * 60 + "c", "(they differ from character 121 on, in line 61)"),
        ("a" * 300, "a" * 299, "(they differ from character 300 on)"),
    ],
)
def test_of_long_texts_it_is_shown_where_they_differ(expected: str, got: str, told: str) -> None:
    (found,) = differences("outputs.x", expected, got)

    assert found.endswith(told)
    assert found.startswith('outputs.x: expected "…a')
    assert len(found) < 350
    assert list(differences("x", expected, expected)) == []


def test_very_many_differences_are_counted(folder: Path) -> None:
    case = GOOD.replace("[{id: 1}, {id: 2}]", "[1, 2]")
    expected = ", ".join(str(number) for number in range(500))
    found = problems(
        folder,
        case
        + f"expect: {{outputs: {{ids: [{expected}]}}, logs: [{', '.join('x' + str(n) for n in range(50))}]}}",
    )

    assert len(found) == 31
    assert found[-1].startswith("… and ")
