"""What went wrong, in words and as an exit code."""

from __future__ import annotations

import os
import traceback

from flowbuilder.cli import exits
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.terminal import complain, say
from flowbuilder.core import errors
from flowbuilder.runtime.settings import ConfigError


def report(error: Exception) -> int:
    """Print an error as its kind asks, and return the exit code."""
    match error:
        case UsageError():
            complain(str(error), error.hint)
            say(f"  = see `flowbuilder {error.command} --help`".replace("  --", " --"))
            return exits.USAGE
        case errors.FlowError():
            from flowbuilder.cli.diagnostics import show  # start-up time: only for a wrong flow

            show(error.diagnostics)
            return exits.WRONG_FILE
        case errors.InputError():
            complain("the inputs do not fit the flow")
            for path, what in error.violations:
                say(f"  {path}: {what}")
            return exits.USAGE
        case ConfigError():
            for problem in error.problems:
                complain(f"{problem.source}: {problem.what}", problem.hint)
            return exits.WRONG_FILE if error.in_file else exits.USAGE
        case errors.ProfileError():
            for where, what, hint in error.problems:
                complain(f"{where}: {what}", hint)
            return exits.WRONG_FILE
        case errors.KeyConflict():
            complain(str(error), f"see `flowbuilder runs show {error.run_id}`, or use another key")
            return exits.USAGE
        case errors.Several():
            complain(f"'{error.name}' has several {error.what}s: say which", error.hint)
            return exits.NOT_FOUND
        case errors.NotFound():
            complain(f"there is no {error.what}" + (f" '{error.name}'" if error.name else ""), error.hint)
            return exits.NOT_FOUND
        case errors.StoreError():
            complain(error.message, error.hint or "`flowbuilder doctor` looks at the store")
            return exits.FAILED
        case errors.FlowBuilderError():
            complain(str(error))
            return exits.FAILED
        case _:
            return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    """An error of the machine, or of our own making: one line, the rest on demand."""
    wanted = bool(os.environ.get("FLOWBUILDER_TRACEBACK"))
    if isinstance(error, OSError) and error.strerror:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    else:
        complain(f"{type(error).__name__}: {error}", "this is a fault of FlowBuilder: please report it")
        if not wanted:
            say("  = set FLOWBUILDER_TRACEBACK=1 to see where it happened")
    if wanted:
        say("".join(traceback.format_exception(error)))
    return exits.FAILED
