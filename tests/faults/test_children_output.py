"""Long outputs of child processes go to disk, and do not fill the memory several times over."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.config import Config
from flowbuilder.runtime.services import EngineServices
from flowbuilder.tasks.api import Call
from flowbuilder.tasks.shell import Shell

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main(size):
    services = EngineServices(SystemClock(), Config())
    lines = 0
    def log(level, message, data):
        nonlocal lines
        lines += 1
    command = f"head -c {size} /dev/zero | tr '\\\\0' x | fold -w 99"
    call = Call({"command": command}, "r", "t", 1, "k", Path("."), {}, (), log, services)
    before = peak()
    output = await Shell().run(call)
    assert output["stdout"].count("x") == size
    await services.close()
    print((peak() - before) / size, lines)

if sys.argv[2] == "uvloop":
    import uvloop
    uvloop.run(main(int(sys.argv[1])))
else:
    asyncio.run(main(int(sys.argv[1])))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_200_megabytes_are_in_memory_little_more_than_once(tmp_path: Path, loop: str) -> None:
    size = 200_000_000
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(size), loop],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    times, lines = done.stdout.split()
    # the text itself, and what of the file is mapped while it is made
    assert float(times) < 2.5
    assert int(lines) == -(-size // 99)
