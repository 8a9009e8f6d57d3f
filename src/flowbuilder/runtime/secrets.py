"""Where the values of secrets come from: the environment, then a file of the project's, then plug-ins.

A value is looked up when a run needs it, and never kept anywhere but in the
memory of that run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.plugins.registry import provided

PREFIX: Final = "FLOWBUILDER_SECRET_"


class SecretsMissing(FlowBuilderError):
    """Nobody provides some secrets; `names` has all of them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        listed = ", ".join(f"'{name}'" for name in self.names)
        what = "the secret" if len(self.names) == 1 else "the secrets"
        return (
            f"{what} {listed} {'has' if len(self.names) == 1 else 'have'} no value; "
            f'set {PREFIX}{self.names[0]}, or write {self.names[0]} = "…" into .flowbuilder/secrets.toml'
        )


class SecretsUnreadable(FlowBuilderError):
    """The file of secrets cannot be used: what is wrong with it, and how to put it right."""

    def __init__(self, path: str, what: str, hint: str = "") -> None:
        super().__init__(path, what, hint)
        self.path = path
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" + (f"; {self.hint}" if self.hint else "")


class Secrets(Mapping[str, str]):
    """Secrets by name.

    The environment is asked at each look-up, and the file is read again when
    it has changed, so that a value which was replaced holds from the next run on.

    Args:
        path: the file; it need not be there.
        environ: the environment; the process's unless a test says otherwise.
        project: whose plug-ins may provide secrets besides those that are installed.

    Raises:
        SecretsUnreadable: at a look-up, if the file is there but others can
            read it, or it is not a table of texts.
    """

    def __init__(
        self, path: Path | None, environ: Mapping[str, str] | None = None, project: Path | None = None
    ) -> None:
        self._project = project
        self._path = path
        self._environ = os.environ if environ is None else environ
        self._seen: tuple[int, int, int, int] | None = None
        self._values: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        value = self._environ.get(PREFIX + name)
        if value is not None:
            return value
        found = self._file().get(name)
        if found is None:
            found = self._provided(name)
        if found is None:
            raise KeyError(name)
        return found

    def _provided(self, name: str) -> str | None:
        """Return what the first provider that knows the secret says; they are asked in the order of their names."""
        for provider, each in provided("secrets", self._project).items():
            if each.why:
                raise SecretsUnreadable(provider, f"the provider of secrets cannot be used: {each.why}")
            try:
                value = each.made(name)
            except Exception as error:  # a plug-in may raise anything; what it says may hold the value
                what = f"the provider of secrets failed with {type(error).__name__}"
                raise SecretsUnreadable(provider, what) from None
            if value is not None:
                if not isinstance(value, str):
                    raise SecretsUnreadable(
                        provider, f"the provider gave a {type(value).__name__} for '{name}', not a text"
                    )
                return value
        return None

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(key.removeprefix(PREFIX) for key in self._environ if key.startswith(PREFIX))
        return iter(names | dict.fromkeys(self._file()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Secrets({str(self._path)!r})"  # never a value: a repr ends up in logs

    def _file(self) -> dict[str, str]:
        if self._path is None:
            return {}
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretsUnreadable(str(self._path), f"it cannot be read: {error.strerror}") from None
        seen = (state.st_mtime_ns, state.st_size, state.st_ino, state.st_mode)
        if seen != self._seen:
            self._values = _read(self._path, state)
            self._seen = seen
        return self._values


def pick(secrets: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the values of some secrets.

    Raises:
        SecretsMissing: with the names of all that have none, or an empty one.
        SecretsUnreadable: the file of secrets is needed, and cannot be used.
    """
    found = {name: value for name in names if (value := secrets.get(name))}
    missing = [name for name in names if name not in found]
    if missing:
        raise SecretsMissing(missing)
    return found


def _read(path: Path, state: os.stat_result) -> dict[str, str]:
    import tomllib  # start-up time: most projects have no such file

    if os.name == "posix" and state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsUnreadable(str(path), "others can read it, or write to it", f"type 'chmod 600 {path}'")
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SecretsUnreadable(str(path), f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretsUnreadable(str(path), "it is no UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # the decoder's message may quote what stands there
        where = str(error).rpartition(" (at ")[2].rstrip(")")
        raise SecretsUnreadable(str(path), f"it is no TOML (at {where})", 'write NAME = "value"') from None
    wrong = sorted(name for name, value in data.items() if not isinstance(value, str))
    if wrong:
        listed = ", ".join(f"'{name}'" for name in wrong)
        raise SecretsUnreadable(str(path), f"a secret is a text: {listed}", 'write NAME = "value"')
    return data
