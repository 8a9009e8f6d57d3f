"""Where a secret may stand, and what may be done to it: seen at compile time, in every field."""

from __future__ import annotations

import pytest

from compiling import codes, flow, said

HEAD = """
secrets: [T]
vars: {v: "Bearer ${{ secrets.T }}", w: "${{ vars.v }}!", plain: 1}
"""


def about(task: str, tail: str = "") -> list[str]:
    """Return what is said of a task, but that a secret is not used."""
    return [
        code for code in codes(flow(f"x: {{type: set, with: 1}}\nt: {task}", HEAD, tail)) if code != "FB233"
    ]


EXPRESSIONS = ("secrets.T", "vars.v", "vars.w")


@pytest.mark.parametrize("mention", EXPRESSIONS)
@pytest.mark.parametrize(
    "task",
    [
        "{type: http, with: {url: 'http://h', headers: {A: '${{ X }}'}}}",
        "{type: http, with: {url: 'http://h', headers: {A: 'Bearer ${{ X }}!'}}}",
        "{type: http, with: {url: 'http://h', auth: {bearer: '${{ X }}'}}}",
        "{type: http, with: {url: 'http://h', method: POST, json: {a: ['${{ X }}']}}, effect: read}",
        "{type: http, with: {url: 'http://h', method: POST, form: {a: '${{ X }}'}}, effect: read}",
        "{type: http, with: {url: 'http://h', method: POST, body: '${{ X }}'}, effect: read}",
        "{run: 'true', env: {A: '${{ X }}'}}",
        "{run: 'true', env: {A: \"${{ 'a' + X }}\"}}",
        "{run: 'true', env: {A: '${{ base64_encode(X) }}'}}",
        "{run: 'true', env: {A: '${{ X | urlencode }}'}}",
        "{run: 'true', env: {A: '${{ sha256(X) }}'}}",
        "{run: 'true', env: {A: \"${{ hmac_sha256('body', X) }}\"}}",
        "{run: 'true', env: {A: \"${{ X if vars.plain == 1 else '' }}\"}}",
    ],
)
def test_a_secret_goes_into_the_fields_made_for_it(task: str, mention: str) -> None:
    assert about(task.replace("X", mention)) == []


@pytest.mark.parametrize("mention", EXPRESSIONS)
@pytest.mark.parametrize(
    "task",
    [
        "{type: set, with: '${{ X }}'}",
        "{type: set, with: {a: ['x ${{ X }}']}}",
        "{type: set, with: 1, if: \"X == 'a'\"}",
        "{type: set, with: 1, if: 'exists(X)'}",
        "{for_each: '${{ [X] }}', type: set, with: 1}",
        "{type: http, with: {url: 'http://h/${{ X }}'}}",
        "{type: http, with: {url: 'http://h', query: {t: '${{ X }}'}}}",
        "{type: http, with: {url: 'http://h', method: '${{ X }}'}, effect: read}",
        "{type: http, with: {url: 'http://h', save_to: '${{ X }}'}}",
        "{run: 'echo ${{ X }}'}",
        "{type: shell, with: {command: 'true', stdin: '${{ X }}'}}",
        "{type: shell, with: {command: 'true', cwd: '${{ X }}'}}",
        "{type: script, with: {language: python, code: 'return 1', args: {a: '${{ X }}'}}}",
        "{type: python, with: {call: 'm:f', args: {a: '${{ X }}'}}}",
        "{type: log, with: {message: '${{ X }}'}}",
        "{type: log, with: {message: a, data: {b: '${{ X }}'}}}",
        "{type: fail, with: {message: '${{ X }}'}}",
        "{type: assert, with: {that: \"X == 'a'\"}}",
        "{type: switch, with: {cases: [{when: \"X == 'a'\", value: 1}]}}",
        "{type: switch, with: {cases: [{when: 'true', value: 1}], default: '${{ X }}'}}",
        "{type: sleep, with: {for: '${{ X }}'}}",
        "{type: flow, with: {name: g, inputs: {a: '${{ X }}'}}}",
        "{type: flow, with: {name: g, key: '${{ X }}'}}",
        "{run: 'true', idempotency_key: '${{ X }}'}",
        "{run: 'true', retry: {attempts: 2, if: \"X == 'a'\"}, effect: read}",
        "{run: 'true', on_error: {value: '${{ X }}'}}",
        "{run: 'true', on_error: {tasks: {i: {type: set, with: '${{ X }}'}}}}",
        "{type: group, tasks: {i: {type: set, with: '${{ X }}'}}}",
        "{type: group, tasks: {i: {type: set, with: 1}}, outputs: {a: '${{ X }}'}}",
    ],
)
def test_a_secret_stands_nowhere_else(task: str, mention: str) -> None:
    assert about(task.replace("X", mention)) == ["FB232"]


@pytest.mark.parametrize("mention", EXPRESSIONS)
@pytest.mark.parametrize(
    "tail",
    [
        "outputs: {a: '${{ X }}'}\n",
        "finally: {i: {type: set, with: '${{ X }}'}}\n",
        "on_failure: {i: {type: set, with: '${{ X }}'}}\n",
    ],
)
def test_nor_in_outputs_and_handlers(tail: str, mention: str) -> None:
    assert about("{type: set, with: 1}", tail.replace("X", mention)) == ["FB232"]


@pytest.mark.parametrize("mention", EXPRESSIONS)
@pytest.mark.parametrize(
    "expression",
    [
        "X[0]",
        "X[:4]",
        "upper(X)",
        "len(X)",
        "X == 'a'",
        "'a' in X",
        "X | default('a')",
        "exists(X)",
        "[c for c in [X]]",
        "[X][0]",
        "{'a': X}.a",
        "{X: 1}",
        "to_json(X)",
        "str(X)",
        "X and 'a'",
        "X or 'a'",
        "not X",
        "'a' if X else 'b'",
        "'a' if X == 'b' else 'c'",
        "X < 'b'",
        "X is null",
        "replace(X, 'a', 'b')",
        "split(X, '')",
        "matches(X, 'a')",
        "base64_decode(X)",
        "digest(X)",
        "uuid5(X)",
        "X * 2",
        "-X",
        "join([X], '')",
        "sha256(upper(X))",
    ],
)
def test_a_secret_is_not_taken_apart_nor_compared(expression: str, mention: str) -> None:
    found = about(f"{{run: 'true', env: {{A: \"${{{{ {expression.replace('X', mention)} }}}}\"}}}}")

    assert found == ["FB232"]


@pytest.mark.parametrize(
    "expression",
    [
        "secrets",
        "to_json(secrets)",
        "secrets['T']",
        "secrets[vars.plain]",
        "secrets | str",
        "[s for s in secrets]",
        "secrets.items()",
    ],
)
def test_the_secrets_are_no_value(expression: str) -> None:
    assert "FB317" in about(f"{{run: 'true', env: {{A: \"${{{{ {expression} }}}}\"}}}}")


def test_a_secret_that_is_not_declared_is_unknown() -> None:
    found = said(flow("t: {run: 'true', env: {A: '${{ secrets.TT }}'}}", HEAD))

    assert [(one.code, one.hints) for one in found if one.code != "FB233"] == [
        ("FB310", ("did you mean 'T'?",))
    ]


def test_a_secret_is_in_no_default_and_no_constant() -> None:
    assert "FB115" in codes(flow("t: {run: 'true'}", "secrets: [T]\nenv: {A: '${{ secrets.T }}'}\n"))
    assert "FB115" in codes(
        flow("t: {run: 'true'}", "secrets: [T]\ninputs: {a: {default: '${{ secrets.T }}'}}\n")
    )


def test_a_member_of_a_mapping_that_holds_secrets_is_a_secret_as_a_whole() -> None:
    head = "secrets: [T]\nvars: {login: {user: me, token: '${{ secrets.T }}'}}\n"

    assert codes(flow("t: {run: 'true', env: {A: '${{ vars.login.token }}'}}", head)) == []
    assert codes(flow("t: {type: set, with: '${{ vars.login.token }}'}", head)) == ["FB232"]
    assert codes(flow("t: {run: 'true', env: {A: '${{ secrets.T.part }}'}}", head)) == ["FB232"]
