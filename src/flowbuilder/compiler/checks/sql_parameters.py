"""A query is given what it asks for, and nothing else, as far as both are written in the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import all_graphs
from flowbuilder.compiler.expressions.tree import Const, Dict, List
from flowbuilder.compiler.lower.works.lower_invoke import parameter
from flowbuilder.core.connections import from_url

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.sql import Asked, Dialect

Given = tuple[str, ...] | int | None
"""Names, or how many values in order; None for nothing at all."""
Wrong = tuple[str, str, bool]
"""What is wrong, a hint, and whether it is `params` that it is about."""
_UNKNOWN: Final = -1


def check_sql_parameters(subject: Subject, findings: Findings) -> None:
    """Report values that a query asks for and is not given, and those that it does not ask for."""
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            for task in each.tasks:
                if type(task.work) is ir.Invoke and task.work.type == "sql":
                    _check(subject, findings, task.work.params)


def _check(subject: Subject, findings: Findings, params: Expr) -> None:
    query, values = parameter(params, "query"), parameter(params, "params")
    given = _given(values)
    if type(query) is not Const or not isinstance(query.value, str) or given == _UNKNOWN:
        return
    from flowbuilder.core.sql import asked_for  # start-up time: few flows ask a database

    wrong: Wrong | None = None
    for dialect in _dialects(subject, parameter(params, "connection")):
        found = _what_is_wrong(asked_for(query.value, dialect), given, dialect, subject)
        if found is None:
            return  # in one that it may be meant for all is well
        wrong = wrong or found
    if wrong is not None:
        what, hint, of_params = wrong
        at = values if of_params and values is not None else query
        findings.error("FB256", what, at.at.span, *([hint] if hint else []))


def _given(params: Expr | None) -> Given:
    """Return what `params` has, as far as it is written; `_UNKNOWN` for what only a run knows."""
    value: Any = params.value if type(params) is Const else _UNKNOWN
    if params is None or value is None:
        return None
    if isinstance(value, dict):
        return tuple(map(str, value))
    if isinstance(value, list):
        return len(value)
    if type(params) is List:
        return len(params.items)
    if type(params) is Dict and all(type(name) is Const for name, _ in params.items):
        return tuple(str(name.value) for name, _ in params.items if type(name) is Const)
    return _UNKNOWN


def _dialects(subject: Subject, connection: Expr | None) -> Sequence[Dialect]:
    """Return the dialect of the database that is asked; all of them where it is not known."""
    from flowbuilder.core.sql import DIALECTS  # start-up time: few flows ask a database

    name = connection.value if type(connection) is Const else None
    found = None
    if isinstance(name, str) and "://" in name:
        url = from_url("", name)
        found = None if url is None else url.type
    else:
        found = next((needed.type for needed in subject.flow.connections if needed.name == name), None)
    return [dialect for dialect in DIALECTS if dialect == found] or DIALECTS


def _what_is_wrong(asked: Asked, given: Given, dialect: Dialect, subject: Subject) -> Wrong | None:
    if asked.native:
        return f"'query' has '{asked.native}'", "write ':name' or '?' in place of it", False
    names: Collection[str] = given if isinstance(given, tuple) else ()
    for name in asked.names:
        if not isinstance(given, tuple):
            return f"'query' asks for ':{name}', and 'params' is no mapping", f"params: {{{name}: …}}", False
        if name not in names:
            near = subject.ctx.near(name, names)
            return f"'query' asks for ':{name}', which 'params' has not", near, False
    unused = [name for name in names if name not in asked.names]
    if unused:
        listed = ", ".join(f"':{name[:60]}'" for name in unused[:5])
        return f"'params' has what 'query' does not ask for: {listed}", "", True
    if isinstance(given, int):
        if given != asked.marks:
            values = f"{given} value{'s' * (given != 1)}"
            return f"'query' has {asked.marks} '?', and 'params' {values}", "", True
    elif asked.marks and dialect != "postgres":  # there it is an operator, unless values are listed
        return "'query' has a '?', and 'params' is no list", "params: [ … ]", False
    return None
