"""Completion scripts for shells, made from what commands declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.cli.command import GROUPS, TABLE, command_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.cli.command import Command, Option

SHELLS: Final = ("bash", "zsh", "fish")
_IDS = "flowbuilder runs list --ids 2>/dev/null"


def script_for(shell: str) -> str:
    """Return the completion script of a shell."""
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()
    return "\n".join(lines) + "\n"


def _first_words() -> list[tuple[str, str]]:
    singles = [(name, command_of(name).summary) for name in TABLE if " " not in name]
    return [*singles, *GROUPS.items()]


def _second_words(group: str) -> list[tuple[str, str]]:
    names = [name for name in TABLE if name.startswith(group + " ")]
    return [(name.split()[1], command_of(name).summary) for name in names]


def _words_after(option: Option) -> str:
    """Return what bash offers behind an option."""
    if option.choices:
        return f'words="{" ".join(option.choices)}"'
    return "files=1" if option.takes in ("file", "folder") else "words="


def _bash() -> Iterator[str]:
    first = " ".join(word for word, _ in _first_words())
    yield from (
        "_flowbuilder() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
        '    local name="${COMP_WORDS[1]}" words="" files=""',
        "    COMPREPLY=()",
        "    if (( COMP_CWORD == 1 )); then",
        f'        words="{first} --help --version"',
        "    else",
        '        case "$name" in',
    )
    for group in GROUPS:
        seconds = " ".join(word for word, _ in _second_words(group))
        yield f'            {group}) if (( COMP_CWORD == 2 )); then words="{seconds} --help"; name=""'
        yield '                  else name="$name ${COMP_WORDS[2]}"; fi ;;'
    yield from ("        esac", '        case "$name" in')
    for name in TABLE:
        yield from _bash_command(command_of(name))
    yield from (
        "        esac",
        "    fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        '    if [[ -n "$files" ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi',
        "}",
        "complete -o filenames -F _flowbuilder flowbuilder",
    )


def _bash_command(command: Command) -> Iterator[str]:
    yield f'            "{command.name}")'
    yield '                case "$previous" in'
    for option in command.options:
        if option.value is not None:
            yield f"                    {'|'.join(option.names)}) {_words_after(option)} ;;"
    names = " ".join(name for option in command.options for name in option.names)
    words, files = [f"{names} --help"], ""
    for argument in command.arguments:
        words += argument.choices
        if argument.takes == "run":
            words.append(f"$({_IDS})")
        files = files or ("; files=1" if argument.takes == "file" else "")
    yield f'                    *) words="{" ".join(words)}"{files} ;;'
    yield "                esac ;;"


def _zsh() -> Iterator[str]:
    yield from ("#compdef flowbuilder", "_flowbuilder() {", "    local -a commands")
    yield from _zsh_choice("        ", _first_words(), "CURRENT == 2")
    yield '    local name="$words[2]"'
    for group in GROUPS:
        yield f"    if [[ $name == {group} ]]; then"
        yield from _zsh_choice("            ", _second_words(group), "CURRENT == 3")
        yield "        shift words; (( CURRENT-- ))"
        yield '        name="$name $words[2]"'
        yield "    fi"
    yield from ("    shift words; (( CURRENT-- ))", '    case "$name" in')
    for name in TABLE:
        yield f'        "{name}") _arguments -s \\'
        parts = [*_zsh_options(command_of(name)), *_zsh_arguments(command_of(name))]
        yield from (f"            {part} \\" for part in parts)
        yield "            '--help[Show help]' ;;"
    yield from ("    esac", "}", "compdef _flowbuilder flowbuilder")


def _zsh_choice(indent: str, pairs: list[tuple[str, str]], when: str) -> Iterator[str]:
    yield f"{indent[:-4]}if (( {when} )); then"
    yield f"{indent}commands=("
    yield from (f"{indent}    {_quote(f'{word}:{meaning}')}" for word, meaning in pairs)
    yield f"{indent})"
    yield f"{indent}_describe command commands; return"
    yield f"{indent[:-4]}fi"


def _zsh_options(command: Command) -> Iterator[str]:
    for option in command.options:
        action = ""
        if option.value is not None:
            offered = f"({' '.join(option.choices)})" if option.choices else ""
            offered = offered or ("_files" if option.takes in ("file", "folder") else " ")
            action = f":{option.value.lower()}:{offered}"
        star = "*" if option.repeated else ""
        for name in option.names:
            meaning = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
            yield _quote(f"{star}{name}[{meaning}]{action}")


def _zsh_arguments(command: Command) -> Iterator[str]:
    for argument in command.arguments:
        offered = f"({' '.join(argument.choices)})" if argument.choices else " "
        if argument.takes == "file":
            offered = "_files"
        elif argument.takes == "run":
            offered = f"{{compadd -- $({_IDS})}}"
        many = "*" if argument.count in ("any", "some") else ""
        yield _quote(f"{many}:{argument.name.lower()}:{offered}")


def _fish() -> Iterator[str]:
    yield "complete -c flowbuilder -f"
    for word, meaning in _first_words():
        yield f"complete -c flowbuilder -n __fish_use_subcommand -a {word} -d {_fish_quote(meaning)}"
    for group in GROUPS:
        seconds = _second_words(group)
        words = " ".join(word for word, _ in seconds)
        inside = f"__fish_seen_subcommand_from {group}; and not __fish_seen_subcommand_from {words}"
        for word, meaning in seconds:
            yield f"complete -c flowbuilder -n '{inside}' -a {word} -d {_fish_quote(meaning)}"
    for name in TABLE:
        yield from _fish_command(command_of(name))


def _fish_command(command: Command) -> Iterator[str]:
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.name.split())
    start = f"complete -c flowbuilder -n '{seen}'"
    for argument in command.arguments:
        if argument.takes == "file":
            yield f"{start} -F"
        elif argument.takes == "run":
            yield f"{start} -a '({_IDS})'"
        elif argument.choices:
            yield f"{start} -a '{' '.join(argument.choices)}'"
    for option in command.options:
        flags = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
        if option.value is not None:
            flags.append("-r")
            flags.append(f"-fa '{' '.join(option.choices)}'" if option.choices else "")
            flags.append("-F" if option.takes in ("file", "folder") else "")
        yield " ".join([start, *filter(None, flags), "-d", _fish_quote(option.help)])


def _quote(text: str) -> str:
    """Return a text as one word of bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
