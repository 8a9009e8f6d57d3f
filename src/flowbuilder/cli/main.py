"""The entry: finds the command, reads its arguments, does it, says how it ended.

Start reading here; each command is one module of `cli.commands`.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

from flowbuilder.cli import exits
from flowbuilder.cli.command import ALONE, GROUPS, TABLE, carry_out, command_of
from flowbuilder.cli.parsing import UsageError, nearest, parse
from flowbuilder.cli.terminal import flush_data, lead_nowhere, prepare_streams

_NEW_OBJECTS: Final = 50_000
"""New objects before the collector looks for cycles: a start makes many, and all of them stay."""


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; never a traceback.

    Args:
        words: the arguments; the process's own where it is None.

    Returns:
        One of the codes of `cli.exits`.
    """
    if words is not None:
        return _main(words)
    gc.set_threshold(_NEW_OBJECTS)
    try:
        return _main(sys.argv[1:])
    finally:
        gc.freeze()  # or leaving looks through all modules for cycles, a tenth of a short command's time


def _main(words: list[str]) -> int:
    prepare_streams()
    try:
        code = _do(words)
        flush_data()
        return code
    except BrokenPipeError:
        # whoever read our output has enough; leave as a program does that SIGPIPE ends
        lead_nowhere(sys.stdout)
        return 128 + 13
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:
        from flowbuilder.cli.failures import report  # start-up time: only when something went wrong

        return report(error)


def _do(words: list[str]) -> int:
    name, rest = find(words)
    ahead = rest[: rest.index("--")] if "--" in rest else rest
    if not name or name in GROUPS or "--help" in ahead or "-h" in ahead:
        from flowbuilder.cli.helping import show_help  # start-up time: only when it is asked for

        return show_help(name, asked=bool(rest) or not words)
    return carry_out(name, parse(command_of(name), rest))


def find(words: list[str]) -> tuple[str, list[str]]:
    """Return the command that is meant, and what follows it; a group or "" where none is named.

    Raises:
        UsageError: for a word that is no command.
    """
    match words:
        case [] | ["-h" | "--help", *_]:
            return "", words
        case ["--version" | "-V", *rest]:
            return "version", rest
        case ["help", *rest]:
            return find([*rest, "--help"])
        case [group, "-h" | "--help", *rest] if group in GROUPS:
            return group, ["--help", *rest]
        case [group, *rest] if group in ALONE and (not rest or rest[0].startswith("-")):
            return ALONE[group], rest
        case [group] if group in GROUPS:
            return group, []
        case [group, word, *rest] if group in GROUPS:
            if f"{group} {word}" in TABLE:
                return f"{group} {word}", rest
            known = [name.split()[1] for name in TABLE if name.startswith(group + " ")]
            raise UsageError(f"there is no command '{group} {word}'", group, nearest(word, known))
        case [word, *rest] if word in TABLE:
            return word, rest
        case _:
            word = words[0]
            raise UsageError(f"there is no command '{word}'", "", _hint(word))


def _hint(word: str) -> str:
    """Return what may be meant by a word: a command of a group, a flow's file, or one of a like name."""
    inside = [name for name in TABLE if name.partition(" ")[2] == word]
    if inside:
        inside.sort(key=lambda name: not name.startswith("runs "))  # most of what is done is done to runs
        return "did you mean " + " or ".join(f"'{name}'" for name in inside[:3]) + "?"
    if word.endswith((".yaml", ".yml", ".json")):
        return f"did you mean 'flowbuilder run {word}'?"
    return nearest(word, [*(name for name in TABLE if " " not in name), *GROUPS])


if __name__ == "__main__":
    sys.exit(main())
