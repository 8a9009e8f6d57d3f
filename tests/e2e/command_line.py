"""A command line in a project of its own, and flows that say when they have come somewhere."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.sdk.reader import Reader

PATIENCE = 60


class Cli:
    """Runs `flowbuilder` in a folder, as a shell would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FLOWBUILDER_")
            and name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        }
        self._started: list[subprocess.Popen[str]] = []

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flowbuilder.cli.main", *words]

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Return what a command prints as JSON."""
        done = self(*words)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command and do not wait for it."""
        process = subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def flow(self, text: str, name: str = "flow.yaml") -> str:
        """Write a flow and return its file's name."""
        (self.folder / name).write_text(textwrap.dedent(text))
        return name

    def fifo(self, name: str) -> Path:
        """Make a pipe: a task that writes to it waits until the test reads, and the other way round."""
        path = self.folder / name
        os.mkfifo(path)
        return path

    def engine_pids(self) -> list[int]:
        """Return the processes of the engines that are alive on the project's store."""
        store = self.folder / ".flowbuilder" / "flowbuilder.db"
        if not store.exists():
            return []
        with Reader(store) as reader:
            return [engine.pid for engine in reader.engines() if engine.alive]

    def end(self) -> None:
        """End what is left of what was started, and of what that left behind: a failed test ends here too."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        with contextlib.suppress(FlowBuilderError):  # a test may have spoilt its store
            for pid in self.engine_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
