"""What can be set: one typed structure, with unit, default and consequence of each setting.

`runtime.settings` reads it from `flowbuilder.toml`, from the environment and
from flags; `flowbuilder config` shows each value and where it came from.  The
docstring below a field is what `flowbuilder config --describe` and the
reference print.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from flowbuilder.compiler.limits import Limits

Duration = Annotated[float, msgspec.Meta(description="duration")]
"""Seconds; written with a unit, such as `30s` or `2d`."""
Size = Annotated[int, msgspec.Meta(description="size", ge=0)]
"""Bytes; written as `64KiB` or as a plain number."""
Count = Annotated[int, msgspec.Meta(ge=1)]


class StoreConfig(msgspec.Struct, frozen=True):
    """Where runs are kept, and for how long."""

    path: str = ""
    """The store's file.  Default: empty, which means `.flowbuilder/flowbuilder.db` in the project,
    or `flowbuilder.db` in `FLOWBUILDER_HOME` where that is set.  A relative path starts at the
    project's folder."""
    retention: Duration = 30 * 86400.0
    """How long an ended run is kept.  Default: `30d`.  Older runs are deleted online, in small steps,
    with their journals, logs and outputs; `0s` keeps them for ever."""
    keep: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The most ended runs that are kept, newest first.  Default: 0, which is no bound."""


class LimitsConfig(msgspec.Struct, frozen=True):
    """How much of something is too much; each breach names the setting that raises it."""

    source_bytes: Size = 1024 * 1024
    """The largest flow file that is read.  Default: `1MiB`."""
    tasks: Count = 10_000
    """The most tasks that one flow may have, those in groups and handlers among them.  Default: 10000."""
    nodes: Count = 1_000_000
    """Keys and values of one file once its aliases are written out.  Default: 1000000."""
    depth: Annotated[int, msgspec.Meta(ge=1, le=150)] = 100
    """Lists and mappings inside each other, in a file.  Default: 100; more than 150 would outgrow the
    interpreter's stack."""
    sub_flows: Annotated[int, msgspec.Meta(ge=1, le=100)] = 16
    """Flows that call each other by a constant path, one inside the other.  Default: 16."""
    deep_runs: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 32
    """Runs inside a run, each started by a `flow` task of the one before.  Default: 32; a flow that starts
    itself without end fails there with `flow.too_deep`."""
    files: Count = 256
    """Files that one flow is made of.  Default: 256."""
    expression_steps: Count = 1_000_000
    """Steps of one evaluation of an expression.  Default: 1000000, which holds the engine's loop for
    at most about 0.1 s; ten times as many hold it for ten times as long."""
    output_bytes: Size = 256 * 1024 * 1024
    """The largest output of one task, as it is kept.  Default: `256MiB`."""
    loop_rounds: Count = 20
    """Rounds of a loop that its history keeps.  Default: 20; those before them are taken out of the
    journal while the run goes on, so that a loop of a million rounds stays small."""
    log_bytes: Size = 10_000_000
    """What is kept of the log of one task.  Default: `10MB`; the oldest lines are dropped and said so."""

    def for_compiler(self) -> Limits:
        """Return what bounds the files of a flow."""
        return Limits(
            source_bytes=self.source_bytes,
            tasks=self.tasks,
            nodes=self.nodes,
            depth=self.depth,
            sub_flows=self.sub_flows,
            files=self.files,
        )


class ExecutorsConfig(msgspec.Struct, frozen=True):
    """How many attempts run at once, by where they run."""

    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Threads for synchronous Python functions.  Default: 0, which means cores + 4, at most 32."""
    processes: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Worker processes for Python functions.  Default: 0, which means as many as there are cores."""
    shells: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Child processes of `shell` and `script` tasks.  Default: 0, which means cores × 4."""
    http: Count = 256
    """HTTP calls in flight.  Default: 256."""

    def thread_count(self) -> int:
        """Return the number of threads, worked out where it is 0."""
        return self.threads or min(32, cores() + 4)

    def process_count(self) -> int:
        """Return the number of worker processes, worked out where it is 0."""
        return self.processes or cores()

    def shell_count(self) -> int:
        """Return the number of child processes, worked out where it is 0."""
        return self.shells or cores() * 4


class EngineConfig(msgspec.Struct, frozen=True):
    """How an engine treats the runs that it drives."""

    live_runs: Count = 100_000
    """Runs in memory at once.  Default: 100000.  Past it `start` waits until one has ended or left
    memory; runs that sleep in the store do not count."""
    unflushed_runs: Count = 50_000
    """Runs at once whose last step waits for the disk.  Default: 50000.  Past it `start` waits: where
    runs come faster than the disk takes them, memory does not grow."""
    leave_after: Duration = 5.0
    """A wait of more than this leaves memory and lives in the store only.  Default: `5s`."""
    crashes: Count = 3
    """A run that was in flight at this many crashes of its engine fails with `engine.crashed`.
    Default: 3."""
    grace: Duration = 10.0
    """How long tasks that run may go on when the engine is asked to stop.  Default: `10s`; what has not
    ended by then is left for recovery."""
    gc_objects: Annotated[int, msgspec.Meta(ge=0)] = 100_000
    """New objects that Python's garbage collector lets come together before it looks for cycles.
    Default: 100000, where Python's own is 700: an engine makes many objects and hardly a cycle.  0 leaves
    the collector as it is."""
    uvloop: bool = True
    """Use uvloop as event loop where it is installed.  Default: true."""


class EventsConfig(msgspec.Struct, frozen=True):
    """How long events are there for those who come later."""

    window: Duration = 3600.0
    """How old an event may be that a `wait` takes though it came before the wait began.  Default: `1h`;
    the wait's own `window` goes first.  Signals have no window: they are kept for their run."""
    keep: Duration = 7 * 86400.0
    """How long events are kept.  Default: `7d`.  Longer windows than this find nothing more; an event that
    a run was woken for stays until the run has looked at it.  `0s` keeps them for ever."""
    payload_bytes: Size = 1024 * 1024
    """The largest payload of an event.  Default: `1MiB`; what is larger belongs into a file."""


class SecretsConfig(msgspec.Struct, frozen=True):
    """Where the values of secrets come from, besides `FLOWBUILDER_SECRET_…`."""

    file: str = ""
    """A TOML file of names and values that nobody else may be able to read.  Default: empty, which
    means `.flowbuilder/secrets.toml` in the project.  A relative path starts at the project's folder."""


class ResourcesConfig(msgspec.Struct, frozen=True):
    """What of the machine the attempts of one engine may take together, where tasks ask by `resources`."""

    cpu: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Cores.  Default: 0, which means as many as there are.  A task that asks for more than this fails
    with `resource.impossible`."""
    memory: Size = 0
    """Memory, such as `8GB`.  Default: 0, which means what the machine has."""
    gpu: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Graphics processors.  Default: 0, which means none: they are not looked for."""

    def cpus(self) -> float:
        """Return the number of cores, counted where it is 0."""
        return self.cpu or float(cores())

    def bytes(self) -> int:
        """Return the memory, looked up where it is 0."""
        return self.memory or physical_memory()


class QueueConfig(msgspec.Struct, frozen=True):
    """A queue that tasks name by `queue: NAME`; there may be any number of them."""

    concurrency: Count = 1
    """Attempts that run at once, in all engines of the store together.  Default: 1."""
    per_key: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Attempts of one key that run at once.  Default: 0, which is no bound but `concurrency`."""


class EncryptionConfig(msgspec.Struct, frozen=True):
    """By which keys sensitive values are encrypted, where `FLOWBUILDER_ENCRYPTION_KEY` has none."""

    key_file: str = ""
    """A file of keys, one a line, each 32 bytes in base64 or hexadecimal, that nobody else may be able to
    read.  Default: empty, which is none.  The first key encrypts; all of them decrypt.  A relative path
    starts at the project's folder."""


class Config(msgspec.Struct, frozen=True):
    """All settings."""

    store: StoreConfig = StoreConfig()
    limits: LimitsConfig = LimitsConfig()
    executors: ExecutorsConfig = ExecutorsConfig()
    engine: EngineConfig = EngineConfig()
    secrets: SecretsConfig = SecretsConfig()
    resources: ResourcesConfig = ResourcesConfig()
    events: EventsConfig = EventsConfig()
    queues: Mapping[str, QueueConfig] = {}

    def for_compiler(self) -> Limits:
        """Return what bounds the files of a flow, and which queues it may name."""
        return dataclasses.replace(self.limits.for_compiler(), queues=frozenset(self.queues))

    encryption: EncryptionConfig = EncryptionConfig()


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "store": StoreConfig,
    "limits": LimitsConfig,
    "executors": ExecutorsConfig,
    "engine": EngineConfig,
    "secrets": SecretsConfig,
    "resources": ResourcesConfig,
    "events": EventsConfig,
    "encryption": EncryptionConfig,
}
"""The sections of `flowbuilder.toml`, by name."""

OPEN_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {"queues": QueueConfig}
"""Sections of which there are as many as somebody names: `[queues.mail]`."""

DEFAULT: Final = Config()


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_memory() -> int:
    """Return the memory of the machine in bytes; where nobody tells, 4 GiB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3
