"""Every key of a flow and of a task: taken with what the language says, or refused with words that help."""

from __future__ import annotations

import pytest

from compiling import codes, compiled, flow, said, tasks
from flowbuilder.compiler import ir
from flowbuilder.core.durations import parse_duration, parse_size

SET = "a: {type: set, with: 1}"


@pytest.mark.parametrize(
    "line",
    [
        'version: "1.4.0"',
        "version: one",
        "description: What it is for",
        "namespace: team",
        "labels: {team: data, tier: 'gold'}",
        "timezone: Europe/Berlin",
        "inputs: {day: {type: string, format: date}, limit: {type: integer, minimum: 1, default: 100}}",
        "inputs: {any: {}}",
        "vars: {base: https://x.example/api, more: '${{ vars.base }}/x', env: '${{ env.A }}', r: '${{ run.id }}'}\nenv: {A: b}",
        "env: {REGION: eu, N: 1, B: true}",
        "defaults: {timeout: 30s, retry: 3, types: {http: {timeout: 5s}}}",
        "timeout: 1h",
        "fail_fast: true",
        "priority: 70",
        "concurrency: 2",
        "concurrency: {limit: 2, key: '${{ vars.v }}', when_full: skip}\nvars: {v: 1}",
        "debounce: 10s",
        "debounce: {wait: 10s, key: '${{ env.A }}', max: 1m}\nenv: {A: b}",
        "durability: none",
        "on_crash: fail",
        "on_failure: {b: {type: log, with: {message: '${{ error.message }}'}}}",
        "finally: {b: {type: log, with: {message: '${{ run.status }}'}}}",
        "outputs: {total: '${{ tasks.a.output }}', fixed: 1, deep: {x: ['${{ tasks.a.output }}']}}",
        "triggers: [{cron: '0 6 * * *'}]",
        "x-anything: {for: [tools, 1]}",
    ],
)
def test_a_key_of_a_flow_is_taken(line: str) -> None:
    assert codes(flow(SET, line + "\n")) == []


@pytest.mark.parametrize("name", ["wasm", "llm", "agent", "retrieve"])
def test_a_task_type_that_comes_later_says_so(name: str) -> None:
    (found,) = said(flow(f"a: {{type: {name}, with: {{x: 1}}}}"))

    assert found.code == "FB207"
    assert f"'{name}'" in found.what


@pytest.mark.parametrize(
    "task",
    [
        "{type: set, with: {x: [1]}}",
        "{run: 'true'}",
        "{type: shell, with: {command: 'true', cwd: /tmp, stdin: text, ok_codes: [0, 1]}}",
        "{type: script, with: {language: python, code: 'return 1', args: {a: 1}}}",
        "{type: script, with: {language: bash, path: x.sh}}",
        "{type: python, with: {call: 'm:f', args: {a: 1}}}",
        "{type: python, with: {call: 'm:f', args: [1, 2]}}",
        "{type: http, with: {url: 'http://h/', method: PUT, headers: {A: b}, query: {q: 1}, json: {}, ok_statuses: [404]}}",
        "{type: http, with: {url: 'http://h/', follow_redirects: false, verify: false, save_to: x.bin}}",
        "{type: sleep, with: {for: 10s}}",
        "{type: sleep, with: {until: '2026-01-05T10:00:00Z'}}",
        "{type: flow, with: {name: other, inputs: {a: 1}, wait: false, key: k}}",
        "{type: switch, with: {cases: [{when: 'true', value: 1}], default: 2}}",
        "{type: fail, with: {kind: my.kind, message: no, data: {a: 1}}}",
        "{type: log, with: {message: hello, level: warning, data: {a: 1}}}",
        "{type: assert, with: {that: '1 < 2', message: no, kind: my.kind}}",
        "{type: group, tasks: {i: {type: set, with: 1}}, outputs: {x: '${{ tasks.i.output }}'}}",
        "{type: set, with: 1, needs: b}",
        "{type: set, with: 1, needs: [b]}",
        "{type: set, with: 1, needs: []}",
        *(
            "{type: set, with: 1, needs: b, run_when: " + rule + "}"
            for rule in ("all_success", "none_failed", "any_success")
        ),
        *(
            "{type: set, with: 1, needs: b, run_when: " + rule + "}"
            for rule in ("any_failed", "all_done", "always")
        ),
        "{type: set, with: 1, if: inputs.n > 1}",
        "{type: set, with: '${{ row + row_index + item + index }}', for_each: [1, 2], as: row, concurrency: 4}",
        "{type: set, with: '${{ item.key }}', for_each: {a: 1}}",
        "{run: 'true', retry: 3, effect: read}",
        "{run: 'true', effect: read, retry: {attempts: 5, delay: 1s, backoff: exponential, factor: 3, max_delay: 1m, jitter: equal, on: [shell.*, timeout], not_on: [x], if: error.attempt < 3}}",
        "{run: 'true', timeout: 10s, deadline: 1m}",
        "{run: 'true', on_error: fail}",
        "{run: 'true', on_error: continue}",
        "{run: 'true', on_error: {value: '${{ error.kind }}', on: [timeout, http.5xx]}}",
        "{run: 'true', on_error: {tasks: {i: {type: set, with: '${{ error.message }}'}}, on: ['*']}}",
        "{run: 'true', priority: 0, executor: auto, effect: write, idempotency_key: '${{ run.id }}'}",
        "{run: 'true', name: A name, description: Why, tags: [x, y], env: {A: '${{ inputs.n }}', B: 1}}",
    ],
)
def test_a_task_is_taken(task: str) -> None:
    assert (
        codes(flow(f"a: {task}\nb: {{type: set, with: 1}}", "inputs: {n: {type: integer, default: 1}}\n"))
        == []
    )


@pytest.mark.parametrize(
    ("task", "code", "word"),
    [
        ("{tpye: set, with: 1}", "FB201", "did you mean 'type'?"),
        ("{type: set, wiht: 1}", "FB201", "did you mean 'with'?"),
        ("{type: htpp, with: {url: 'http://h'}}", "FB206", "did you mean 'http'?"),
        ("{type: http, with: {ulr: 'http://h'}}", "FB212", "did you mean 'url'?"),
        ("{type: http, with: {method: GET}}", "FB213", "'url'"),
        ("{type: set, with: 1, run_when: any_sucess}", "FB209", "did you mean 'any_success'?"),
        ("{type: set, with: 1, depends_on: [b]}", "FB201", "it is called `needs`"),
        ("{type: set, with: 1, when: 'true'}", "FB201", "it is called `if`"),
        ("{with: 1}", "FB202", "type"),
        ("{run: 'true', type: set}", "FB211", ""),
        ("{run: 'true', retry: {attempts: 0}}", "FB210", ""),
        ("{run: 'true', retry: {attemps: 3}}", "FB201", "did you mean 'attempts'?"),
        ("{run: 'true', retry: {backoff: exp}}", "FB209", ""),
        ("{run: 'true', priority: 101}", "FB210", ""),
        ("{run: 'true', concurrency: 0}", "FB210", ""),
        ("{type: set, with: 1, needs: bbb}", "FB220", "did you mean 'bbbb'?"),
        ("{type: set}", "FB202", "with"),
        ("{type: set, with: 1, needs: a}", "FB224", ""),
        ("{type: set, with: 1, for_each: 3}", "FB203", "a list or a mapping"),
        ("{type: set, with: 1, for_each: 'x ${{ [1] }}'}", "FB203", "a list or a mapping"),
        ("{type: set, with: 1, for_each: [1], as: in-put}", "FB204", ""),
        ("{type: group, tasks: {}}", "FB202", ""),
        ("[1]", "FB203", ""),
        ("text", "FB203", ""),
        ("", "FB203", ""),
    ],
)
def test_a_mistake_in_a_task_has_a_hint(task: str, code: str, word: str) -> None:
    found = said(flow(f"a: {task}\nbbbb: {{type: set, with: 1}}"))

    assert code in [one.code for one in found], found
    assert any(word in text for one in found if one.code == code for text in (one.what, *one.hints)), found


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("my-task", "my_task"),
        ("1st", None),
        ("a b", "a_b"),
        ("é", None),
        ("a.b", "a_b"),
        ("", None),
    ],
)
@pytest.mark.parametrize("kind", ["tasks", "inputs", "vars"])
def test_a_name_is_a_word(kind: str, name: str, right: str | None) -> None:
    text = {
        "tasks": flow(f"'{name}': {{type: set, with: 1}}"),
        "inputs": flow(SET, f"inputs: {{'{name}': {{}}}}\n"),
        "vars": flow(SET, f"vars: {{'{name}': 1}}\n"),
    }[kind]
    found = [one for one in said(text) if one.code == "FB204"]

    assert len(found) == 1
    assert right is None or any(right in hint for hint in found[0].hints)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        ("1.5h", 5400.0),
        ("PT10S", 10.0),
        ("PT1H30M", 5400.0),
        ("P1D", 86400.0),
        ("P1DT1H", 90000.0),
        ("PT0.5S", 0.5),
    ],
)
def test_a_duration_is_written_in_these_ways(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds
    assert tasks(f"a: {{run: 'true', timeout: {written}}}")["a"].timeout == seconds


@pytest.mark.parametrize(
    "written",
    [
        "30",
        "1.5",
        "10 s",
        "1 minute",
        "-5s",
        "5S",
        "1h 30m",
        "s",
        "P",
        "PT",
        "1y",
        "''",
        "[1s]",
        "true",
        "null",
        "10s5",
        "1e3s",
        "١s",
    ],
)
def test_all_else_is_no_duration_and_a_bare_number_is_told_its_units(written: str) -> None:
    found = said(flow(f"a: {{run: 'true', timeout: {written}}}"))

    assert [one.code for one in found] in (["FB208"], ["FB203"])
    if written in ("30", "1.5"):
        assert f"{written}s" in " ".join((found[0].what, *found[0].hints))


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512B", 512),
        ("64KiB", 65536),
        ("10MB", 10_000_000),
        ("1.5 GiB", 3 << 29),
        ("1kB", 1000),
        ("2TiB", 2 << 40),
    ],
)
def test_a_size_is_written_in_these_ways(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["64", "64 ", "KiB", "64Kib", "-1B", "1e3B", "", "１B"])
def test_all_else_is_no_size(written: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_size(written)


@pytest.mark.parametrize(
    ("task", "effect"),
    [
        ("{run: 'true'}", "write"),
        ("{type: script, with: {language: python, code: 'return 1'}}", "write"),
        ("{type: python, with: {call: 'm:f'}}", "write"),
        ("{type: http, with: {url: 'http://h'}}", "read"),
        ("{type: http, with: {url: 'http://h', method: GET}}", "read"),
        ("{type: http, with: {url: 'http://h', method: OPTIONS}}", "read"),
        ("{type: http, with: {url: 'http://h', method: PATCH}}", "write"),
        ("{type: http, with: {url: 'http://h', method: DELETE}}", "write"),
        ("{type: http, with: {url: 'http://h', method: '${{ env.M }}'}}", "write"),
        ("{run: 'true', effect: pure}", "pure"),
        ("{run: 'true', effect: read}", "read"),
    ],
)
def test_each_type_has_an_effect_that_the_author_may_overrule(task: str, effect: str) -> None:
    work = tasks(f"a: {task}", "env: {M: GET}\n")["a"].work

    assert isinstance(work, ir.Invoke)
    assert work.effect == effect


@pytest.mark.parametrize(
    "task",
    [
        "{type: set, with: 1}",
        "{type: switch, with: {cases: [{when: 'true', value: 1}]}}",
        "{type: sleep, with: {for: 1s}}",
        "{type: group, tasks: {i: {type: set, with: 1}}}",
        "{type: flow, with: {name: g}}",
    ],
)
def test_defaults_for_calls_never_reach_what_calls_nothing(task: str) -> None:
    found = tasks(f"a: {task}", "defaults: {timeout: 1s, deadline: 2s, retry: 3, priority: 60}\n")["a"]

    assert (found.timeout, found.deadline, found.retry, found.priority) == (None, None, None, 60)


def test_a_groups_tasks_have_the_defaults_of_the_flow() -> None:
    work = tasks(
        "g: {type: group, tasks: {i: {run: 'true'}}}",
        "defaults: {timeout: 1s, types: {shell: {timeout: 2s}}}\n",
    )["g"].work

    assert isinstance(work, ir.Group)
    assert [task.timeout for task in work.graph.tasks] == [2.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {type: set, with: 1, needs: b}\nb: {type: set, with: 1, needs: a}", ["FB221"]),
        (
            "a: {type: set, with: '${{ tasks.b.output }}'}\nb: {type: set, with: '${{ tasks.a.output }}'}",
            ["FB221"],
        ),
        ("a: {type: set, with: '${{ tasks.a.output }}'}", ["FB224"]),
        ("a: {type: set, with: '${{ tasks.nope.output }}'}", ["FB310"]),
        (
            "g: {type: group, tasks: {i: {type: set, with: 1}}}\na: {type: set, with: '${{ tasks.i.output }}'}",
            ["FB222"],
        ),
        ("g: {type: group, tasks: {i: {type: set, with: 1}}}\na: {type: set, with: 1, needs: i}", ["FB222"]),
        (
            "a: {type: set, with: 1}\ng: {type: group, tasks: {i: {type: set, with: '${{ tasks.a.output }}'}}}",
            [],
        ),
        ("a: {type: set, with: 1}\ng: {type: group, tasks: {a: {type: set, with: 2}}}", ["FB223"]),
        ("g: {type: group, tasks: {g: {type: set, with: 2}}}", ["FB223"]),
        (
            "g: {type: group, tasks: {i: {type: set, with: 1}}}\nh: {type: group, tasks: {i: {type: set, with: 1}}}",
            [],
        ),
        (
            "g: {type: group, tasks: {h: {type: group, tasks: {i: {type: set, with: 1}, j: {type: set, with: '${{ tasks.i.output }}'}}}}}",
            [],
        ),
        ("g: {type: group, tasks: {i: {type: set, with: '${{ tasks.g.output }}'}}}", ["FB224"]),
        ("a: {type: set, with: 1, needs: [b, b]}\nb: {type: set, with: 1}", None),
        (
            "a: {type: set, with: '${{ tasks.b.status }}'}\nb: {type: set, with: '${{ tasks.a.status }}'}",
            ["FB221"],
        ),
    ],
)
def test_a_graph_holds_together_or_is_refused(text: str, expected: list[str] | None) -> None:
    found = codes(flow(text))

    assert found == expected or expected is None


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("on_failure: {a: {type: set, with: 1}}\n", ["FB223"]),
        ("on_failure: {b: {type: set, with: 1}}\nfinally: {b: {type: set, with: 1}}\n", ["FB223"]),
        (
            "on_failure: {b: {type: set, with: 1}}\nfinally: {c: {type: set, with: '${{ tasks.b.output }}'}}\n",
            [],
        ),
        (
            "on_failure: {b: {type: set, with: '${{ tasks.c.output }}'}}\nfinally: {c: {type: set, with: 1}}\n",
            ["FB225"],
        ),
        ("outputs: {x: '${{ tasks.b.output }}'}\nfinally: {b: {type: set, with: 1}}\n", ["FB225"]),
        ("finally: {b: {type: set, with: 1, needs: a}}\n", ["FB226"]),
        ("finally: {b: {type: set, with: '${{ [error, run.status, run.errors, run.tasks] }}'}}\n", []),
        ("outputs: {x: '${{ error }}'}\n", ["FB315"]),
        ("outputs: {x: '${{ item }}'}\n", ["FB315"]),
    ],
)
def test_handlers_and_outputs_see_what_has_ended(tail: str, expected: list[str]) -> None:
    assert codes(flow(SET, tail=tail)) == expected


@pytest.mark.parametrize(
    ("vars", "expected"),
    [
        ("{a: '${{ tasks.a.output }}'}", ["FB230"]),
        ("{a: '${{ item }}'}", ["FB230"]),
        ("{a: '${{ error }}'}", ["FB230"]),
        ("{a: '${{ vars.b }}', b: '${{ vars.a }}'}", ["FB231"]),
        ("{a: '${{ vars.a }}'}", ["FB231"]),
        (
            "{a: '${{ inputs.n + len(env.E) }}', b: '${{ [vars.a, run.id, now()] }}', c: {d: ['${{ vars.b }}']}}",
            [],
        ),
        ("{a: '${{ vars.nope }}'}", ["FB310"]),
        ("{a: '${{ env.HOME }}'}", ["FB310"]),
    ],
)
def test_a_variable_mentions_what_is_known_when_a_run_starts(vars: str, expected: list[str]) -> None:
    assert codes(flow(SET, f"inputs: {{n: {{default: 1}}}}\nenv: {{E: x}}\nvars: {vars}\n")) == expected


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("{type: set, with: '${{ item }}'}", ["FB315"]),
        ("{for_each: [1], type: set, with: 1, if: item == 1}", ["FB315"]),
        ("{for_each: '${{ [item] }}', type: set, with: 1}", ["FB315"]),
        ("{for_each: [1], as: row, type: set, with: '${{ rows }}'}", ["FB310"]),
        (
            "{for_each: [1], as: row, type: group, tasks: {i: {type: set, with: '${{ [row, row_index, item, index] }}'}}}",
            [],
        ),
        (
            "{for_each: [1], as: row, type: group, tasks: {i: {for_each: [2], as: cell, type: set, with: '${{ [row, cell, item] }}'}}}",
            [],
        ),
        (
            "{for_each: [1], run: 'true', env: {A: '${{ item }}'}, on_error: {value: '${{ [item, error.kind] }}'}}",
            [],
        ),
        ("{for_each: [1], as: inputs, type: set, with: 1}", ["FB316"]),
        ("{for_each: [1], as: if, type: set, with: 1}", ["FB316"]),
        ("{for_each: [1], as: 'null', type: set, with: 1}", ["FB316"]),
        ("{for_each: [1], as: item, type: set, with: 1}", ["FB316"]),
        (
            "{for_each: [1], as: x, type: group, tasks: {i: {for_each: [1], as: x_index, type: set, with: 1}}}",
            ["FB223"],
        ),
        ("{for_each: [1], as: day, type: set, with: '${{ day + day_index }}'}", []),
        ("{type: set, with: '${{ error }}'}", ["FB315"]),
        ("{type: set, with: '${{ output }}'}", ["FB315"]),
        ("{type: set, with: '${{ loop.index }}'}", ["FB315"]),
        ("{type: set, with: '${{ run.nope }}'}", ["FB314"]),
        ("{type: set, with: '${{ tasks }}'}", ["FB313"]),
        ("{type: set, with: \"${{ tasks['b'].output }}\"}", ["FB313"]),
        ("{type: set, with: '${{ tasks.b }}'}", ["FB314"]),
        ("{type: set, with: '${{ tasks.b.out }}'}", ["FB314"]),
        ("{type: set, with: '${{ inputs.nope }}'}", ["FB310"]),
        ("{type: set, with: '${{ len(inputs) + len(vars) }}'}", None),
        ("{run: 'true', idempotency_key: '${{ uuid() }}'}", ["FB315"]),
        ("{run: 'true', idempotency_key: '${{ now() }}'}", ["FB315"]),
        ("{run: 'true', idempotency_key: '${{ today() }}'}", ["FB315"]),
    ],
)
def test_names_mean_something_where_they_stand_or_are_refused(task: str, expected: list[str] | None) -> None:
    found = codes(flow(f"a: {task}\nb: {{type: set, with: 1}}"))

    assert found == expected or expected is None


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("{type: script, with: {language: python, code: 'return ${{ 1 }}'}}", "FB216"),
        ("{type: python, with: {call: '${{ env.M }}'}}", "FB216"),
        ("{type: '${{ \"set\" }}', with: 1}", "FB115"),
        ("{type: set, with: 1, needs: '${{ \"b\" }}'}", "FB115"),
        ("{type: set, with: 1, run_when: '${{ \"always\" }}'}", "FB115"),
        ("{type: set, with: {'${{ 1 }}': 1}}", "FB115"),
    ],
)
def test_an_expression_stands_where_the_language_lets_it(task: str, code: str) -> None:
    assert code in codes(flow(f"a: {task}\nb: {{type: set, with: 1}}"))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo ${{ inputs.t }} \"${{ inputs.t }}\" '${{ inputs.t }}' $(echo ${{ inputs.t }})", []),
        ("cat <<X\n${{ inputs.t }}\nX", []),
        ("cat <<'X'\n${{ inputs.t }}\nX", ["FB217"]),
        ("[[ ${{ inputs.t }} == a ]]", []),
        ("echo ${{ 1 + 1 }} # ${{ inputs.t }}", []),
        ("eval ${{ inputs.t }}", ["FB217"]),
        ("bash -c ${{ inputs.t }}", ["FB217"]),
    ],
)
def test_a_value_in_a_script_has_a_place_that_can_be_told(script: str, expected: list[str]) -> None:
    text = flow("a:\n  run: |\n    " + script.replace("\n", "\n    "), "inputs: {t: {type: string}}\n")

    assert codes(text) == expected


def test_everything_wrong_is_told_at_once_in_file_order_with_its_place() -> None:
    text = """flow: f
inputs:
  n: {type: intger}
vars:
  v: ${{ tasks.a.output }}
tasks:
  a: {type: htpp}
  b-c: {type: set, with: "${{ 1 + }}"}
  d: {type: set, with: "${{ inputs.m }}", needs: [x], timeout: 5}
outputs: {o: "${{ tasks.nope.output }}"}
"""
    found = said(text)

    assert [(one.at.line, one.at.column) for one in found] == sorted(
        (one.at.line, one.at.column) for one in found
    )
    assert {one.code for one in found} >= {
        "FB240",
        "FB230",
        "FB206",
        "FB204",
        "FB301",
        "FB310",
        "FB220",
        "FB208",
    }
    assert all(one.at.file == "f.yaml" for one in found)


def test_the_content_decides_the_hash_and_nothing_else_does() -> None:
    text = flow(SET)

    assert compiled(text).flow.content_hash == compiled(text).flow.content_hash
    assert compiled(text).flow.content_hash != compiled(text + "\n").flow.content_hash
