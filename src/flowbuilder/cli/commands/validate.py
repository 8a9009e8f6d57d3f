"""`flowbuilder validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder import __version__
from flowbuilder.cli.command import PROFILE, Argument, Command, Option
from flowbuilder.cli.exits import DONE, WRONG_FILE
from flowbuilder.cli.failures import report
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, say
from flowbuilder.core.errors import FlowError, NotFound, ProfileError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from flowbuilder.core.diagnostics import Diagnostic

COMMAND = Command(
    name="validate",
    summary="Check flows completely, without running anything",
    description=(
        "Every mistake of every file is reported at once. The exit code is 3 if there is one; warnings alone "
        "are no mistakes. A folder stands for all flows below it, and for the tests beside them "
        "(`*.test.yaml`), which are checked and not run."
    ),
    arguments=(
        Argument(
            "FILE",
            "Flows, in YAML or JSON; in Python: `flows.py:report` or `package.module:report`; files of tests; folders",
            takes="file",
            count="some",
        ),
    ),
    options=(
        Option(
            ("--format",),
            "How findings are printed",
            "FORMAT",
            choices=("text", "json", "sarif"),
            default="text",
        ),
        PROFILE,
    ),
    examples=(
        ("All flows of a project, and their tests", "flowbuilder validate flows"),
        ("For a code review", "flowbuilder validate flows/*.yaml --format sarif > findings.sarif"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Check the files and print what was found."""
    from flowbuilder.cli.checked_files import files_of  # start-up time: help needs no compiler
    from flowbuilder.compiler.render import summary

    found: list[Diagnostic] = []
    lacking: list[ProfileError] = []
    files = files_of(arguments.file)
    for file in files:
        found += _check(Path(file), arguments.profile, lacking)
    _print(found, arguments.format)
    for error in lacking:
        report(error)
    what = f"{len(files)} file{'s' * (len(files) > 1)}"
    in_profile = f"{len(lacking)} with a profile that lacks something" if lacking else ""
    say(f"{what}: {', '.join(filter(None, (summary(found), in_profile))) or 'nothing wrong'}")
    return WRONG_FILE if lacking or any(one.severity == "error" for one in found) else DONE


def _check(file: Path, profile: str | None, lacking: list[ProfileError]) -> Sequence[Diagnostic]:
    from flowbuilder.cli.checked_files import is_of_tests  # start-up time: help needs no compiler

    if is_of_tests(file):
        return _check_tests(file)
    from flowbuilder.cli.flows import prepare  # start-up time: help needs no compiler

    if file.suffix == ".py" and file.is_file():
        return _check_python(file, profile, lacking)
    try:
        workspace, flow = prepare(file, None)
    except FlowError as error:
        return error.diagnostics
    if profile is not None:
        from flowbuilder.cli.profiles import check_profile  # start-up time: only where one is named

        try:
            check_profile(workspace, flow.plan, profile)
        except ProfileError as error:
            lacking.append(error)
    return flow.diagnostics


def _check_python(file: Path, profile: str | None, lacking: list[ProfileError]) -> Sequence[Diagnostic]:
    """Return what is wrong with the flows of a Python file: all of them."""
    import contextlib
    import sys

    from flowbuilder.cli.profiles import check_profile  # start-up time: most flows are files of their own
    from flowbuilder.cli.workspace import workspace_at
    from flowbuilder.core.diagnostics import Diagnostic
    from flowbuilder.core.span import Span
    from flowbuilder.sdk.load import plans_for
    from flowbuilder.sdk.pyflows.files import PythonFiles
    from flowbuilder.triggers.flow_files import Broken, Loaded

    workspace = workspace_at(file.parent, None)
    found: list[Diagnostic] = []
    with contextlib.redirect_stdout(sys.stderr):  # what the author's module prints is no data
        read = PythonFiles().read(file.absolute(), plans_for(workspace.config.for_compiler()))
    if not read:
        raise NotFound("flow", str(file), "none of its functions has @flow")
    for one in read:
        if type(one) is Loaded:
            found += one.warnings
            if profile is not None:
                try:
                    check_profile(workspace, one.plan, profile)
                except ProfileError as error:
                    lacking.append(error)
        elif type(one) is Broken:
            found += one.diagnostics or (Diagnostic("FB296", one.message, Span(str(file), 1, 1, 1, 2)),)
    return found


def _check_tests(file: Path) -> Sequence[Diagnostic]:
    import contextlib
    import sys

    from flowbuilder.testing.cases.names import mistakes_of  # start-up time: help needs no compiler
    from flowbuilder.testing.cases.read import read_suite

    try:
        suite = read_suite(file)
    except FlowError as error:
        return error.diagnostics
    with contextlib.redirect_stdout(sys.stderr):  # what the module of a flow in Python prints is no data
        return mistakes_of(suite)


def _print(found: Sequence[Diagnostic], format: str) -> None:
    from flowbuilder.cli.diagnostics import texts_of, write  # start-up time: help needs no compiler
    from flowbuilder.compiler.render import render_json, render_sarif

    match format:
        case "json":
            errors = sum(one.severity == "error" for one in found)
            counts = {"errors": errors, "warnings": len(found) - errors}
            data(as_json({"diagnostics": render_json(found), **counts}, indent=True))
        case "sarif":
            data(as_json(render_sarif(found, __version__), indent=True))
        case _:
            write(found, texts_of(found), sys.stdout)
