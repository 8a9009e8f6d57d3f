"""`flowbuilder connections`: what a profile describes, tried for real, with nothing secret shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from database_servers import free_port

SECRET = "hush-hush-very-secret"


def flowbuilder(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flowbuilder.cli.main", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.fixture
def project(tmp_path: Path, postgres: str) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "flowbuilder.toml").write_text(
        f"""
profile = "dev"
[profiles.dev.connections]
shop = {{url = "{postgres}"}}
local = {{type = "sqlite", path = "local.db"}}
files = {{type = "files", url = "data"}}
duck = {{type = "duckdb", path = ":memory:"}}

[profiles.bad.connections]
shut = {{url = "postgres://me:${{secrets.P}}@127.0.0.1:{free_port()}/shop"}}
typo = {{type = "postgre", host = "x"}}
lacks = {{type = "mysql", host = "x", password = "${{secrets.NOWHERE}}"}}
clear = {{type = "mysql", host = "127.0.0.1", port = {free_port()}, password = "{SECRET}"}}
folder = {{type = "files", url = "nowhere"}}
mail = {{type = "smtp", host = "127.0.0.1", port = {free_port()}, tls = "none"}}
base = {{url = "{postgres}x"}}
""",
        "utf-8",
    )
    (tmp_path / "local.db").touch()
    return tmp_path


def test_connections_that_work_say_what_is_there(project: Path) -> None:
    done = flowbuilder(project, "connections", "test")

    assert done.returncode == 0, done.stdout + done.stderr
    assert all(word in done.stdout for word in ("PostgreSQL 1", "SQLite 3.", "DuckDB", "0 entries"))
    assert "4 of 4 connections work" in done.stderr


def test_connections_that_do_not_work_say_why_and_how_to_mend_it(project: Path) -> None:
    done = flowbuilder(
        project, "connections", "test", "--profile", "bad", "--json", FLOWBUILDER_SECRET_P=SECRET
    )
    found = {one["name"]: one for one in json.loads(done.stdout)["connections"]}

    assert done.returncode == 1
    assert all(one["hint"] for one in found.values())
    assert not any(one["ok"] for one in found.values())
    assert "nobody listens" in found["shut"]["hint"]
    assert found["typo"]["hint"] == "did you mean 'postgres'?"
    assert "'NOWHERE'" in found["lacks"]["problem"]
    assert "nobody listens" in found["mail"]["hint"]
    assert "there is no folder" in found["folder"]["problem"]
    assert "look at 'database'" in found["base"]["hint"]
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_shows_no_secret(project: Path) -> None:
    done = flowbuilder(project, "connections", "list", "--profile", "bad", FLOWBUILDER_SECRET_P=SECRET)

    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout
    assert "${secrets.NOWHERE}" in done.stdout
    assert "***" in done.stdout


def test_a_name_that_is_none_has_near_misses(project: Path) -> None:
    done = flowbuilder(project, "connections", "test", "shpo")

    assert done.returncode == 5
    assert "did you mean 'shop'?" in done.stderr


def test_validate_tells_what_a_profile_lacks(project: Path) -> None:
    (project / "flow.yaml").write_text(
        "flow: f\nconfig: {limit: {type: integer}}\nconnections: {shop: postgres}\n"
        "tasks: {a: {type: sql, with: {connection: shop, query: SELECT 1}}}\n"
    )

    assert flowbuilder(project, "validate", "flow.yaml").returncode == 0
    done = flowbuilder(project, "validate", "flow.yaml", "--profile", "bad")

    assert done.returncode == 3
    assert "there is no connection 'shop'" in done.stderr
    assert "config.limit: is required" in done.stderr
