"""Profiles: values for `config`, descriptions of `connections`, and what never shows."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.core.errors import InputError, ProfileError
from flowbuilder.runtime.profiles import Profiles
from flowbuilder.sdk.engine import Engine
from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder.sdk.load import LoadedFlow

FLOW = """
flow: report
config:
  limit: {type: integer, minimum: 1}
  since: {type: string, format: date, default: "2026-01-01"}
tasks:
  a: {type: set, with: "${{ config.limit }}"}
outputs:
  limit: ${{ tasks.a.output }}
  year: ${{ config.since | year }}
"""
PROFILES = """
[profiles.dev.config]
limit = 5
other = "of another flow"

[profiles.prod.config]
limit = 100
since = 2025-03-01
"""


def project(folder: Path, text: str, flow: str = FLOW) -> LoadedFlow:
    (folder / "flowbuilder.toml").write_text(text, "utf-8")
    return load_text(flow, folder)


def written(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("store.db*") if path.is_file()]


async def outputs(folder: Path, flow: LoadedFlow, **how: Any) -> Any:
    async with Engine(folder / "store.db") as engine:
        view = await (await engine.start(flow, **how)).wait()
        assert view.status == "succeeded", view.error
        return view.outputs


async def test_a_run_takes_its_config_from_the_profile_that_is_named(tmp_path: Path) -> None:
    flow = project(tmp_path, 'profile = "dev"\n' + PROFILES)

    assert await outputs(tmp_path, flow) == {"limit": 5, "year": 2026}
    assert await outputs(tmp_path, flow, profile="prod") == {"limit": 100, "year": 2025}


async def test_the_variable_names_a_profile_for_a_whole_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBUILDER_PROFILE", "prod")

    assert await outputs(tmp_path, project(tmp_path, 'profile = "dev"\n' + PROFILES)) == {
        "limit": 100,
        "year": 2025,
    }


async def test_all_that_is_wrong_with_inputs_and_config_is_told_at_once(tmp_path: Path) -> None:
    flow = project(
        tmp_path,
        '[profiles.dev.config]\nlimit = 0\nsince = "yesterday"\n',
        FLOW.replace("tasks:", "inputs: {day: {type: string}}\ntasks:"),
    )
    async with Engine(tmp_path / "store.db") as engine:
        with pytest.raises(InputError) as caught:
            await engine.start(flow, {"dya": "x"})

    text = str(caught.value)
    assert all(
        part in text
        for part in ("$.dya", "$.day: is required", "config.limit: 0", "config.since", "profile 'dev'")
    )


async def test_a_profile_that_is_not_there_has_near_misses(tmp_path: Path) -> None:
    flow = project(tmp_path, PROFILES)
    async with Engine(tmp_path / "store.db") as engine:
        with pytest.raises(ProfileError, match=r"no profile 'prd'.*did you mean 'prod'"):
            await engine.start(flow, profile="prd")
        with pytest.raises(ProfileError, match=r"config.limit: is required"):
            await engine.start(flow)


async def test_a_run_keeps_its_config_when_the_file_changes(tmp_path: Path) -> None:
    flow = project(
        tmp_path,
        PROFILES,
        FLOW.replace("tasks:", "tasks:\n  wait: {type: sleep, with: {for: 200ms}}").replace(
            "a: {type: set", "a: {type: set, needs: [wait]"
        ),
    )
    async with Engine(tmp_path / "store.db") as engine:
        started = await engine.start(flow, profile="dev")
    (tmp_path / "flowbuilder.toml").write_text("[profiles.dev.config]\nlimit = 77\n", "utf-8")

    async with Engine(tmp_path / "store.db") as engine:
        view = await (await engine.get(started.id)).wait()

    assert view.outputs == {"limit": 5, "year": 2026}


async def test_a_sub_flow_has_the_profile_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(FLOW.replace("report", "child"), "utf-8")
    flow = project(
        tmp_path,
        'profile = "dev"\n' + PROFILES,
        "flow: parent\nconfig: {limit: {type: integer}}\n"
        "tasks:\n  c: {type: flow, with: {path: child.yaml}}\noutputs: {c: '${{ tasks.c.output.limit }}'}\n",
    )

    assert await outputs(tmp_path, flow, profile="prod") == {"c": 100}


# -- connections ----------------------------------------------------------------------

ASK = """
flow: ask
connections: {connections}
tasks:
  a: {{type: sql, with: {{connection: shop, query: "SELECT 1 AS n", fetch: value}}}}
"""


async def test_what_connections_lack_is_told_before_the_run_starts(tmp_path: Path) -> None:
    flow = project(
        tmp_path,
        '[profiles.dev.connections.shopp]\ntype = "sqlite"\npath = "x.db"\n'
        '[profiles.dev.connections.mail]\ntype = "smtp"\nhots = "localhost"\npassword = "${secrets.MAIL_PASSWORD}"\n'
        '[profiles.dev.connections.odd]\ntype = "postgre"\n',
        ASK.format(connections="{shop: sqlite, mail: smtp, odd: postgres}"),
    )
    async with Engine(tmp_path / "store.db", secrets={}) as engine:
        with pytest.raises(ProfileError) as caught:
            await engine.start(flow)

    text = str(caught.value)
    assert "no connection 'shop'" in text
    assert "did you mean 'shopp'?" in text
    assert "did you mean 'host'?" in text
    assert "needs the secret 'MAIL_PASSWORD'" in text
    assert "is of type 'postgre', and flow 'ask' needs 'postgres'" in text


async def test_a_connection_is_looked_up_when_it_is_used_and_paths_start_at_the_project(
    tmp_path: Path,
) -> None:
    flow = project(
        tmp_path,
        '[profiles.dev.connections.shop]\nurl = "sqlite:///shop.db"\n',
        ASK.format(connections="[shop]"),
    )
    sqlite3.connect(tmp_path / "shop.db").close()

    async with Engine(tmp_path / "store.db") as engine:
        view = await (await engine.start(flow)).wait()

    assert view.status == "succeeded", view.error
    assert view.tasks["a"].output == 1


async def test_a_password_of_a_connection_is_shown_nowhere(tmp_path: Path) -> None:
    flow = project(
        tmp_path,
        '[profiles.dev.connections.shop]\ntype = "sqlite"\npath = "${secrets.SHOP_PASSWORD}/x.db"\n',
        ASK.format(connections="[shop]"),
    )
    secret = "hush-hush-very-secret"
    async with Engine(tmp_path / "store.db", secrets={"SHOP_PASSWORD": secret}) as engine:
        view = await (await engine.start(flow)).wait()
        logs = await engine.logs(view.run_id)

    assert view.error is not None
    assert "***" in view.error["message"]
    assert secret not in str(view.error) + str(logs)
    assert secret.encode() not in b"".join(written(tmp_path))


def test_secrets_in_a_url_are_encoded_for_it(tmp_path: Path) -> None:
    flow = project(
        tmp_path,
        '[profiles.dev.connections.shop]\nurl = "postgres://me:${secrets.P}@db:5433/shop?sslmode=require"\n',
        ASK.format(connections="{shop: postgres}"),
    )
    profiles = Profiles({"P": "p@ss/w#rd:%"}, {})

    found = profiles.connection(flow.plan, None, "shop")

    assert found.options == {
        "host": "db", "port": 5433, "user": "me", "password": "p@ss/w#rd:%", "database": "shop", "sslmode": "require",
    }  # fmt: skip
    assert "p@ss" not in repr(found)
    assert "p@ss/w#rd:%" in profiles.secrets_of(flow.plan, None).values()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[profiles.dev.confg]\nx = 1\n", "did you mean 'config'?"),
        ("profiles = 3\n", "'profiles' is a section"),
        ("[profiles.dev]\nconfig = 3\n", "'profiles.dev.config' is a section"),
        ('[profiles.dev.connections]\nshop = "x"\n', "'profiles.dev.connections.shop' is a section"),
        ('[profiles.dev.config]\nx = "${secrets.X}"\n', "mentions a secret"),
        ("profile = 3\n", "'profile' is the name of one"),
        ('profile = "nope"\n', "no profile 'nope'"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_how_to_mend_it(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "flowbuilder.toml").write_text(text, "utf-8")

    with pytest.raises(ProfileError) as caught:
        Profiles({}, {}).profile(tmp_path)

    assert says in str(caught.value)
    assert "flowbuilder.toml" in str(caught.value)
