"""The examples of task types that need a server beside them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller


class Box:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 taken"


def test_the_example_mails_its_report(examples: Path) -> None:
    folder = examples / "email"
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = folder / "flowbuilder.toml"
    settings.write_text(settings.read_text().replace("2525", str(port)))
    box = Box()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "flowbuilder.cli.main",
                "run",
                str(folder / "flow.yaml"),
                "--json",
                "--quiet",
            ],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env=dict(os.environ),
        )
    finally:
        controller.stop()

    assert json.loads(done.stdout)["outputs"] == {"accepted": ["team@example.com"]}, done.stderr
    assert b"report.txt" in box.mails[0]
