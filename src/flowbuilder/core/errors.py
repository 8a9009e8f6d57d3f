"""What can go wrong, as a tree.

```text
FlowBuilderError
├── FlowError                 the flow is wrong: carries diagnostics, never retried
├── ExpressionError           an expression failed while it was evaluated; has a kind
├── OutputError               a task's value is none that FlowBuilder can keep
├── InputError                a run's inputs break their schemas: every violation by path
├── ProfileError              a project's profile lacks what a flow needs, or is wrong
├── RunError                  a run went wrong
│   ├── TaskFailed            a task type says why it failed: kind, message, data
│   ├── RunFailed             a run ended failed; carries its first error
│   ├── RunCancelled          a run ended cancelled
│   └── RunEnded              it was asked what only a run can do that has not ended
├── Conflict                  what was asked does not go with how things stand
├── KeyConflict               a run's key is taken by a start with other inputs
├── CannotTakeOver            a run cannot be begun so from where another has come to
├── ArchiveError              a file is no archive of runs that this release can read
├── EngineStopped             the engine is being closed and starts nothing more
├── NotFound                  no such run, flow or task
│   └── Several               there are several, and which one is meant cannot be told
└── StoreError                the store cannot do it; .retryable says whether again may help
    ├── StoreFull             the disk is full
    ├── StoreReadOnly         the file or folder cannot be written
    ├── StoreCorrupt          the file is damaged, or no store
    └── StoreTooNew           the file's format is of a later release
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbuilder.core.diagnostics import Diagnostic


class FlowBuilderError(Exception):
    """Anything that FlowBuilder raises on purpose.

    Subclasses keep all that they were made with in `args`, so that they
    survive pickling.
    """


class FlowError(FlowBuilderError):
    """The flow is wrong; `diagnostics` has every finding, in file order."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(tuple(diagnostics))
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(f"{d.at}: {d.code} {d.what}" for d in self.diagnostics)


class ExpressionError(FlowBuilderError):
    """An expression failed: `kind` is `expression.missing`, `.type`, `.value` or `.limit`.

    The message shows no values and has at most 1,000 characters.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message[:1000])
        self.kind = kind
        self.message = message[:1000]

    def __str__(self) -> str:
        return self.message


class OutputError(FlowBuilderError):
    """A value cannot be kept: `kind` is `output.type`, `output.size` or `output.depth`."""

    def __init__(self, kind: str, message: str, path: str = "$") -> None:
        super().__init__(kind, message, path)
        self.kind = kind
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InputError(FlowBuilderError):
    """A run's inputs break their schemas; `violations` are (path, what) pairs, all of them."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__(tuple(violations))
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return "; ".join(f"{path}: {what}" for path, what in self.violations)


class RunError(FlowBuilderError):
    """A run went wrong."""


class TaskFailed(RunError):
    """A task cannot do what it was asked; raised by task types."""

    def __init__(
        self,
        kind: str,
        message: str,
        data: Any = None,
        *,
        retry_after: float | None = None,
        in_doubt: bool = False,
    ) -> None:
        super().__init__(kind, message, data)
        self.kind = kind
        self.message = message
        self.data = data
        self.retry_after = retry_after
        """Seconds that the other side asks us to wait before the next attempt."""
        self.in_doubt = in_doubt
        """Something may be done all the same: the task's `undo` is to reverse it."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class RunFailed(RunError):
    """A run ended `failed`; `error` is its first error as a value."""

    def __init__(self, run_id: str, error: Mapping[str, Any]) -> None:
        super().__init__(run_id, dict(error))
        self.run_id = run_id
        self.error = dict(error)

    def __str__(self) -> str:
        return f"run {self.run_id} failed: {self.error.get('kind')}: {self.error.get('message')}"


class RunCancelled(RunError):
    """A run ended `cancelled`."""

    def __init__(self, run_id: str, reason: str = "") -> None:
        super().__init__(run_id, reason)
        self.run_id = run_id
        self.reason = reason

    def __str__(self) -> str:
        return f"run {self.run_id} was cancelled" + (f": {self.reason}" if self.reason else "")


class RunEnded(RunError):
    """What was asked of a run can only be asked of one that has not ended."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"run {self.run_id} has ended"


class Conflict(FlowBuilderError):
    """What was asked does not go with how things stand."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class KeyConflict(FlowBuilderError):
    """A run with this key exists and was started with other inputs."""

    def __init__(self, key: str, run_id: str) -> None:
        super().__init__(key, run_id)
        self.key = key
        self.run_id = run_id

    def __str__(self) -> str:
        return f"key '{self.key}' belongs to run {self.run_id}, which was started with other inputs"


class CannotTakeOver(FlowBuilderError):
    """A run cannot be begun so from another; says why, and what would do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])


class ArchiveError(FlowBuilderError):
    """A file is no archive of runs that this release can read; says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])


class EngineStopped(FlowBuilderError):
    """The engine is being closed, or is not open: it starts nothing, and tells nothing of its runs."""

    def __init__(self, message: str = "the engine is being closed and starts nothing more") -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])


class NotFound(FlowBuilderError):
    """There is no such thing; `what` is `run`, `flow`, `task`, …, `name` may be empty where any would do."""

    def __init__(self, what: str, name: str, hint: str = "") -> None:
        super().__init__(what, name, hint)
        self.what = what
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        name = f" '{self.name}'" if self.name else ""
        return f"no {self.what}{name}" + (f"; {self.hint}" if self.hint else "")


class Several(NotFound):
    """What was named has several such things, and which one is meant cannot be told; the hint names them."""

    def __str__(self) -> str:
        return f"'{self.name}' has several {self.what}s; {self.hint}"


class StoreError(FlowBuilderError):
    """The store cannot do what it was asked."""

    retryable = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message + (f" ({self.hint})" if self.hint else "")


class StoreFull(StoreError):
    """The disk is full: nothing was acknowledged that is not kept."""

    retryable = True


class StoreReadOnly(StoreError):
    """The store's file or folder cannot be written."""


class StoreCorrupt(StoreError):
    """The store's file is damaged, or is no store at all."""


class StoreTooNew(StoreError):
    """The store's format is of a later release than this one."""


class ProfileError(FlowBuilderError):
    """A project's profile lacks what a flow needs, or is wrong; `problems` are (where, what, hint)."""

    def __init__(self, problems: Sequence[Sequence[str]]) -> None:
        super().__init__(tuple(tuple(problem) for problem in problems))
        self.problems: tuple[tuple[str, str, str], ...] = self.args[0]

    def __str__(self) -> str:
        return "\n".join(
            f"{where}: {what}" + (f"; {hint}" if hint else "") for where, what, hint in self.problems
        )
