"""A presence ends with its process, and with nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowbuilder.storage.filelock import Presence, is_locked


def test_a_presence_is_seen_until_it_leaves(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_locked(path)

    presence = Presence(path)
    assert is_locked(path)
    assert is_locked(path)  # looking does not take it
    with pytest.raises(FileExistsError):
        Presence(path)

    presence.leave()
    assert not is_locked(path)
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_was_forked_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from flowbuilder.storage.filelock import Presence\n"
        f"presence = Presence(Path({str(path)!r}))\n"
        "ready, go = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.write(go, b'x')\n"
        "    sys.stdin.read()\n"  # the child stays until the test lets it go
        "    os._exit(0)\n"
        "os.read(ready, 1)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    process.wait()

    assert path.exists()
    assert not is_locked(path)

    assert process.stdin is not None
    process.stdin.close()


def test_a_program_that_was_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    presence = Presence(path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        presence.leave()
        path.touch()

        assert not is_locked(path)
    finally:
        child.communicate(b"\n")
