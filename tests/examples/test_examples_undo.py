"""The example of a saga, and that of sensitive values."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from flowbuilder.runtime.encryption import new_key


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowbuilder.cli.main", "run", str(folder / "flow.yaml"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **environ}
    )


def test_a_saga_undoes_in_reverse_order_what_it_has_done(examples: Path) -> None:
    folder = examples / "saga"

    assert run(folder).returncode == 1
    assert (folder / "orders.log").read_text().splitlines() == [
        "reserved A-17",
        "paid A-17",
        "gave back receipt-9",
        "freed stock-5",
        "told the customer: exit code 1: too heavy",
    ]


def test_a_saga_that_succeeds_undoes_nothing(examples: Path) -> None:
    folder = examples / "saga"

    assert run(folder, "-i", "weight=3").returncode == 0
    assert (folder / "orders.log").read_text().splitlines() == ["reserved A-17", "paid A-17", "shipped A-17"]


def test_a_sensitive_value_is_used_and_never_shown(examples: Path) -> None:
    folder = examples / "sensitive"
    token = hashlib.sha256(b"correct horse battery staple").hexdigest()

    without = run(folder, FLOWBUILDER_ENCRYPTION_KEY="")
    assert without.returncode == 1
    assert "flowbuilder keys new" in without.stderr
    done = run(folder, "--json", FLOWBUILDER_ENCRYPTION_KEY=new_key())
    found = json.loads(done.stdout)
    assert found["outputs"] == {"said": "logged in with a token of 64 characters"}
    assert found["tasks"]["login"]["output"] == "***"
    kept = b"".join(path.read_bytes() for path in (folder / ".flowbuilder").rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert token not in done.stdout + done.stderr
