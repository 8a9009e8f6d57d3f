"""Ways out that other evaluators of expressions have had: none leads anywhere here."""

from __future__ import annotations

from typing import Any

import pytest

from flowbuilder.compiler.expressions import ExpressionSyntaxError, parse_expression
from flowbuilder.compiler.expressions.check import ScopeNames, check
from flowbuilder.compiler.expressions.generate import GLOBALS
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.core.errors import ExpressionError, FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from formulas import LINE, Refused, evaluate


class Trap(dict[str, Any]):
    """A mapping that notices when its own code runs."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError("code of a value has run")

    __eq__ = __contains__ = __iter__ = __len__ = __getitem__  # type: ignore[assignment]


DATA = {"inputs": {"xs": [1, 2], "t": "text", "m": {"a": {"b": 1}}, "n": 1, "day": None}}

NOT_READ_OR_REFUSED = [
    # attributes, and members that begin with two underscores
    "().__class__.__bases__[0].__subclasses__()",
    "[].__class__()",
    "''.__class__.__mro__[1].__subclasses__()",
    "inputs.xs.__class__()",
    "len.__self__",
    "len.__globals__['x']",
    "inputs.__init__.__globals__()",
    "__import__('os').system('true')",
    "__builtins__",
    "__builtins__['eval']('1')",
    "__class__",
    "getattr(inputs, '__class__')",
    "vars(inputs)",
    "globals()",
    "locals()",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "print('x')",
    "breakpoint()",
    "help()",
    "exit()",
    "type('X', [], {})",
    "super()",
    "object()",
    "classmethod(1)",
    "memoryview('a')",
    # texts that walk objects
    "'{0.__class__}'.format(1)",
    "'{0.append.__self__.__class__.__mro__}'.format(inputs.xs)",
    "'{a}'.format_map({'a': 1})",
    "f'{inputs.__class__}'",
    "f'{1:>1000000000}'",
    "t'{1}'",
    "'%s' % inputs.__class__.x()",
    # targets of comprehensions
    "[0 for inputs.a['b'] in [666]]",
    "[0 for inputs['a'] in [666]]",
    "[x for x in [[0]] for x[0] in [x]]",
    "[0 for inputs.m.a in [666]]",
    "[0 for *x in [[1]]]",
    "[0 for x, *y in [[1, 2]]]",
    "[0 for inputs in [1]]",
    "[0 for tasks in [1]]",
    "[0 for secrets in [1]]",
    "[0 for len in [1]]",
    # generators and their frames
    "(x for x in inputs.xs).gi_frame.f_globals",
    "(x for x in inputs.xs)",
    "[(x for x in inputs.xs)]",
    "len(x for x in inputs.xs)",
    "str(x for x in inputs.xs)",
    "sum(x for x in inputs.xs).gi_frame()",
    "(yield 1)",
    "(await x)",
    "[x async for x in inputs.xs]",
    # what changes values, binds names or defines functions
    "inputs.xs.append(5)",
    "inputs.m.update({'a': 0})",
    "inputs.m.pop('a')",
    "inputs.xs.sort()",
    "inputs.xs.clear()",
    "inputs.xs.extend([1])",
    "inputs.xs.__setitem__(0, 1)",
    "inputs.xs.__iadd__([1])",
    "(x := 5)",
    "inputs.n = 5",
    "inputs.n += 5",
    "del inputs.n",
    "lambda: 1",
    "(lambda: 1)()",
    "[lambda: x for x in inputs.xs]",
    "x if (y := 1) else 2",
    # functions and methods as values
    "len",
    "[len]",
    "{'a': len}",
    "inputs.xs | len | __class__()",
    "(len)(inputs.xs)",
    "inputs.t.upper()()",
    "len(inputs.xs)(1)",
    "inputs['xs'](1)",
    "[len][0](inputs.xs)",
    # arguments that unpack, and names of the generated code
    "len(*[inputs.xs])",
    "dict(**{'a': 1})",
    "round(budget=1)",
    "len(budget=[0], value=[1])",
    "_b",
    "_b[0]",
    "_f_len(1)",
    "_add(1, 2)",
    "_each([9], inputs.xs)",
    "s",
    "s[0]",
    "e",
    "v0",
    "x0",
    "_Exception",
    # names that only look like names
    "ſecrets.T",
    "ｓecrets.T",
    "s\u200becrets.T",
    "secrets\u00ad.T",
    "inputs.ſecret",
    "\U0001d42c.T",
    "inputs\x00.n",
    "inputs.n\x00",
    "inputs.n\ufeff",
    "inputs.n\u202e",
    # tasks that are computed, secrets as a whole
    "tasks['a'].output",
    "tasks[inputs.t].output",
    "tasks.get('a')",
    "tasks",
    "[tasks]",
    "to_json(secrets)",
    "secrets['T']",
    "secrets | str",
    "[secrets]",
    "secrets.items()",
    # numbers and marks of Python that nobody means
    "...",
    "1j",
    "0xff",
    "1_000",
    "b'a'",
    "{1, 2}",
    "(1, 2)",
    "1, 2",
    "a @ b",
    "a if b",
    "not",
    "`1`",
    "1; 2",
    "1\\\n+ 1",
]


@pytest.mark.parametrize("text", NOT_READ_OR_REFUSED)
def test_what_leads_out_elsewhere_is_refused_before_anything_runs(text: str) -> None:
    names = {**DATA, "tasks": {}, "secrets": {}}
    scope = ScopeNames(names, {"tasks": ["a"]})
    codes: list[str] = []
    try:
        codes = [found.code for found in check(parse_expression(text, LINE), scope)]
    except ExpressionSyntaxError as error:
        codes = [found.code for found in error.diagnostics]

    assert codes
    assert all(code.startswith("FB3") for code in codes)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("inputs.xs.__class__", "expression.type"),
        ("inputs.t.__class__.__mro__", "expression.type"),
        ("inputs.n.__add__", "expression.type"),
        ("inputs.m.__class__", "expression.missing"),
        ("inputs.m['__class__']", "expression.missing"),
        ("inputs.m.a.b.__init__", "expression.type"),
        ("inputs.xs.append", "expression.type"),
        ("inputs.t.format", "expression.type"),
        ("inputs.m.update", "expression.missing"),
        ("inputs['__dict__']", "expression.missing"),
        ("inputs.xs['__class__']", "expression.type"),
        ("'{0.__class__}'.a", "expression.type"),
        ("inputs.m[inputs.xs]", "expression.type"),
        ("inputs.m[{}]", "expression.type"),
        ("inputs.m | items | __len__", None),
        ("[].append", "expression.type"),
        ("'a'.join", "expression.type"),
        ("{}.items", "expression.missing"),
    ],
)
def test_a_member_is_looked_for_in_a_mapping_and_nowhere_else(text: str, kind: str | None) -> None:
    with pytest.raises((ExpressionError, Refused)) as caught:
        evaluate(text, DATA)

    assert getattr(caught.value, "kind", None) == kind


def test_members_that_look_like_pythons_are_data_like_any_other() -> None:
    data = {"inputs": {"__class__": 1, "format": 2, "m": {"append": 3, "if": 4, "gi_frame": 5}}}

    found = evaluate(
        "[inputs.__class__, inputs.format, inputs.m.append, inputs.m.if, inputs.m.gi_frame]", data
    )

    assert found == [1, 2, 3, 4, 5]


def test_texts_that_look_like_code_stay_texts() -> None:
    value = "__import__('os').system('true') or ${{ secrets.T }} {0.__class__} %s $(id)"
    data = {"inputs": {"v": value}}

    assert evaluate("inputs.v + ''", data) == value
    assert evaluate("join([inputs.v, inputs.v], '')", data) == value * 2
    assert evaluate("inputs.v | replace('x', 'y')", data) == value
    assert evaluate("re_replace('a', 'a', replace(inputs.v, '\\\\', ''))", data) == value


def test_generated_code_reaches_nothing_but_the_table() -> None:
    assert GLOBALS["__builtins__"] == {}
    for name, value in GLOBALS.items():
        assert name.startswith("_")
        if name not in ("__builtins__", "_Exception", "_any", "_all"):
            assert callable(value)
            assert value.__module__.startswith("flowbuilder."), name


def test_a_subclass_among_the_values_runs_no_code_of_its_own() -> None:
    for text in (
        "inputs.v == 1",
        "inputs.v in [1]",
        "[inputs.v] == [1]",
        "type(inputs.v)",
        "inputs.v | keys",
    ):
        with pytest.raises((ExpressionError, KeyError)):
            evaluate(text, {"inputs": {"v": Trap()}})


@pytest.mark.parametrize(
    "text",
    [
        "flow: f\ntasks:\n  __class__: {type: set, with: 1}\noutputs: {x: '${{ tasks.__class__.output }}'}\n",
        "flow: f\nvars: {__builtins__: 1}\ntasks: {a: {type: set, with: '${{ vars.__builtins__ }}'}}\n",
        "flow: f\ninputs: {_b: {default: 1}}\ntasks: {a: {type: set, with: '${{ inputs._b }}'}}\n",
        "flow: f\ntasks:\n  a: {for_each: [1], as: __import__, type: set, with: '${{ __import__ }}'}\n",
        "flow: f\ntasks:\n  s: {for_each: [1], as: s, type: set, with: '${{ s + s_index }}'}\n",
    ],
)
def test_ids_that_are_names_of_python_or_of_generated_code_do_no_harm(text: str) -> None:
    hints: list[tuple[str, ...]] = [("compiles",)]
    try:
        compile_text(text, "f.yaml", catalogue=CATALOGUE)
    except FlowError as error:
        hints = [found.hints for found in error.diagnostics]

    assert all(hints)
