"""All codes that the compiler reports, with what each means in a few words.

A code is never used for anything else again; each has a page in
`docs/errors` with a flow that produces it.  FB1xx: the YAML cannot be read.
FB2xx: it reads, but does not hold together.  FB3xx: an expression is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowbuilder.compiler.expressions.codes import CODES as EXPRESSION_CODES

SYNTAX_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FB101": "The text is no YAML",
        "FB102": "Braces without a dollar",
        "FB103": "An expression needs quotes",
        "FB104": "A comment cuts an expression off",
        "FB105": "A key stands twice",
        "FB106": "A key is no text",
        "FB107": "A tag has no meaning",
        "FB108": "An alias leads nowhere",
        "FB109": "The file is too large",
        "FB110": "A number that no value can hold",
        "FB111": "A number that prints otherwise",
        "FB112": "The file is empty",
        "FB113": "A second document",
        "FB114": "Marks of another tool",
        "FB115": "An expression where none may stand",
        "FB116": "A backslash in double quotes",
    }
)

CHECK_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FB201": "An unknown key",
        "FB202": "A key is missing",
        "FB203": "A value of the wrong kind",
        "FB204": "A name that is none",
        "FB205": "A key of a later release",
        "FB206": "An unknown task type",
        "FB207": "A task type of a later release",
        "FB208": "A duration or moment that is none",
        "FB209": "A word that is not among the choices",
        "FB210": "A number or length out of bounds",
        "FB211": "Keys that do not go together",
        "FB212": "An unknown parameter",
        "FB213": "A parameter is missing",
        "FB214": "A condition that is none",
        "FB215": "A parameter that does not fit",
        "FB216": "A parameter that takes no expressions",
        "FB217": "A value in a script that cannot be quoted",
        "FB220": "`needs` names no task",
        "FB221": "Tasks wait for each other",
        "FB222": "A task inside a group, seen from outside",
        "FB223": "An id that is taken",
        "FB224": "A task refers to itself",
        "FB225": "A task that runs later",
        "FB226": "`needs` reaches into another graph",
        "FB230": "A variable that depends on tasks",
        "FB231": "Variables need each other",
        "FB232": "A secret in the wrong place",
        "FB233": "A secret that nothing uses",
        "FB235": "A write that may be repeated",
        "FB240": "An input whose schema is none",
        "FB241": "A default that breaks its schema",
        "FB242": "An unknown time zone",
        "FB250": "A sub-flow that cannot be read",
        "FB251": "Flows that call each other without end",
        "FB252": "Inputs that do not fit a sub-flow",
        "FB253": "A connection that is not declared",
        "FB254": "A connection of the wrong type",
        "FB255": "A connection that nothing uses",
        "FB256": "A query is not given what it asks for",
        "FB260": "A key that does nothing",
        "FB265": "A place for a task that only waits",
        "FB266": "A burst beyond its limit",
        "FB267": "An unknown queue",
        "FB268": "A longest wait that is too short",
        "FB270": "A name of an event that is none",
        "FB271": "A filter that asks nothing of the event",
        "FB272": "A form that is no JSON Schema of an object",
        "FB273": "A quorum that cannot be reached",
        "FB275": "An undo where none may stand",
        "FB276": "A key that an undo cannot have",
        "FB261": "An output whose schema is none",
        "FB262": "A matrix that is none",
        "FB263": "A loop that nothing ends",
        "FB280": "Two triggers of one name",
        "FB281": "A cron expression that is none",
        "FB282": "A trigger without a kind, or with several",
        "FB283": "Inputs that do not fit the triggered flow",
        "FB284": "A pattern that names no files",
        "FB285": "A flow that starts itself without end",
        "FB286": "A webhook's secret that is not declared",
        "FB287": "A trigger has nothing of this name",
        "FB277": "A sensitive value that is shown",
    }
)

PLUGIN_CODES: Final[Mapping[str, str]] = MappingProxyType({"FB297": "A plug-in that cannot be used"})

PYTHON_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FB290": "A Python value that no flow can hold",
        "FB291": "What Python cannot record",
        "FB292": "A call that cannot be recorded",
        "FB293": "A task seen from outside of its group or map",
        "FB294": "A parameter that is no input",
        "FB295": "The function of a flow raises",
        "FB296": "A module that cannot be imported",
    }
)
"""Of flows in Python, before they become text (`sdk.pyflows`)."""

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {**SYNTAX_CODES, **CHECK_CODES, **PLUGIN_CODES, **PYTHON_CODES, **EXPRESSION_CODES}
)
"""Every code's title."""
