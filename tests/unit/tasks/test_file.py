"""`file`: what is read, written and refused; here, and over fsspec."""

from __future__ import annotations

import datetime as dt
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.tasks.places import modified_at
from flowbuilder.testing import load_text, run_flow

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView


async def did(folder: Path, **params: Any) -> RunView:
    text = f"flow: files\ntasks:\n  a:\n    type: file\n    with: {msgspec.json.encode(params).decode()}\n"
    return await run_flow(load_text(text, folder))


async def output(folder: Path, **params: Any) -> Any:
    view = await did(folder, **params)
    assert view.status == "succeeded", view.error
    return view.tasks["a"].output


async def failed(folder: Path, **params: Any) -> str:
    view = await did(folder, **params)
    assert view.error is not None
    return str(view.error["kind"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder which does not lie in the machine's folder for temporary files."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flowbuilder.toml").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return folder


@pytest.fixture(params=["here", "memory"])
def root(request: pytest.FixtureRequest, place: Path) -> str:
    return "out/" if request.param == "here" else f"memory://{place.as_posix().replace('/', '-')}/"


@pytest.mark.parametrize(
    ("content", "format", "read"),
    [
        ("a text, é😀\n", None, "a text, é😀\n"),
        ("", None, ""),
        ({"a": [1, None, "x"]}, "json", {"a": [1, None, "x"]}),
        (["one", "two, three"], "lines", ["one", "two, three"]),
        (
            [{"a": "1", "b": 'x, "y"\nz'}, {"a": "", "b": "é"}],
            "csv",
            [{"a": "1", "b": 'x, "y"\nz'}, {"a": "", "b": "é"}],
        ),
    ],
)
async def test_what_is_written_is_read_again(
    place: Path, root: str, content: Any, format: str | None, read: Any
) -> None:
    how = {"as": format} if format else {}

    written = await output(place, write=f"{root}deep/x.txt", content=content, **how)

    assert written["path"] == f"{root}deep/x.txt"
    assert await output(place, read=f"{root}deep/x.txt", **how) == read


async def test_the_end_of_the_name_says_that_it_is_json(place: Path) -> None:
    await output(place, write="x.json", content={"a": 1})

    assert await output(place, read="x.json") == {"a": 1}
    assert await output(place, read="x.json", **{"as": "bytes"}) == b'{\n  "a": 1\n}\n'


async def test_an_entry_has_the_moment_of_its_last_change(place: Path, root: str) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    await output(place, write=f"{root}a.txt", content="1")

    (entry,) = await output(place, list=root)

    assert sorted(entry) == ["modified_at", "name", "path", "size", "type"]
    assert before < entry["modified_at"] < before + dt.timedelta(minutes=10)
    assert entry["modified_at"].utcoffset() == dt.timedelta(0)


def test_a_file_of_no_year_has_no_moment() -> None:
    assert modified_at(1e15) is None
    assert modified_at(-1.5) == dt.datetime(1969, 12, 31, 23, 59, 58, 500_000, dt.UTC)


async def test_all_that_can_be_done_to_files(place: Path, root: str) -> None:
    await output(place, write=f"{root}a.txt", content="1")
    await output(place, append=f"{root}a.txt", content="2")
    await output(place, copy=f"{root}a.txt", to=f"{root}sub/b.txt")
    await output(place, move=f"{root}a.txt", to=f"{root}c.txt")

    assert await output(place, read=f"{root}sub/b.txt") == "12"
    assert await output(place, exists=f"{root}a.txt") is False
    assert await output(place, exists=f"{root}c.txt") is True
    listed = await output(place, list=root, recursive=True)
    assert sorted((each["name"], each["type"], each["size"]) for each in listed) == [
        ("b.txt", "file", 2), ("c.txt", "file", 2), ("sub", "folder", 0),
    ]  # fmt: skip
    found = await output(place, glob=f"{root}**/*.txt")
    assert sorted(each["name"] for each in found) == ["b.txt", "c.txt"]
    for each in found:  # a path in an entry is one that a task may be given
        assert await output(place, read=each["path"]) == "12"
    assert (await output(place, info=f"{root}c.txt"))["size"] == 2
    assert await output(place, delete=f"{root}c.txt") is True
    assert await output(place, delete=f"{root}c.txt") is False
    assert await failed(place, delete=f"{root}c.txt", missing_ok=False) == "file.not_found"
    assert await output(place, delete=f"{root}sub", recursive=True) is True
    await output(place, mkdir=f"{root}new/folder")
    assert await failed(place, read=f"{root}none") == "file.not_found"


async def test_nothing_is_replaced_where_that_is_not_wanted(place: Path, root: str) -> None:
    await output(place, write=f"{root}a", content="1", overwrite=False)

    assert await failed(place, write=f"{root}a", content="2", overwrite=False) == "file.exists"
    assert await failed(place, copy=f"{root}a", to=f"{root}a", overwrite=False) == "file.exists"
    assert await output(place, read=f"{root}a") == "1"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/hostname", "~/x", "link/x"])
async def test_a_path_that_leads_out_is_refused_unless_that_is_meant(
    place: Path, tmp_path: Path, path: str
) -> None:
    (place / "link").symlink_to(tmp_path)

    for operation in ({"write": path, "content": "x"}, {"read": path}, {"delete": path}, {"list": path}):
        assert await failed(place, **operation) == "file.outside"
    assert not (tmp_path / "x").exists()

    await output(place, write="../meant", content="x", anywhere=True)
    assert (tmp_path / "meant").read_text() == "x"


async def test_a_path_elsewhere_has_no_dots_either(place: Path) -> None:
    assert await failed(place, read="memory://a/../b") == "file.outside"


async def test_a_file_keeps_its_mode_and_leaves_nothing_beside_it(place: Path) -> None:
    (place / "run.sh").write_text("old")
    (place / "run.sh").chmod(0o750)

    await output(place, write="run.sh", content="new")

    assert (place / "run.sh").stat().st_mode & 0o777 == 0o750
    assert sorted(os.listdir(place)) == ["flowbuilder.toml", "run.sh"]


async def test_what_is_no_text_is_said_to_be_none(place: Path) -> None:
    (place / "x.bin").write_bytes(b"\xff\x00")
    (place / "bad.json").write_text("{")
    (place / "bad.csv").write_text("a,b\n1\n")

    assert await failed(place, read="x.bin") == "file.format"
    assert await output(place, read="x.bin", **{"as": "bytes"}) == b"\xff\x00"
    assert await failed(place, read="bad.json") == "file.format"
    assert await failed(place, read="bad.csv", **{"as": "csv"}) == "file.format"


async def test_a_kept_file_is_read_copied_and_given_to_scripts(place: Path) -> None:
    (place / "in.txt").write_text("kept")
    view = await run_flow(
        load_text(
            """
flow: kept
tasks:
  keep: {type: file, with: {read: in.txt, as: reference}}
  gone: {type: file, needs: [keep], with: {delete: in.txt}}
  read: {type: file, needs: [gone], with: {read: "${{ tasks.keep.output }}"}}
  copy: {type: file, with: {copy: "${{ tasks.keep.output }}", to: out.txt}}
  write: {type: file, with: {write: out2.txt, content: "${{ tasks.keep.output }}"}}
  shell: {run: 'cat ${{ tasks.keep.output }} "$F"', needs: [gone], env: {F: "${{ tasks.keep.output }}"}}
  script: {type: script, with: {language: python, code: "return open(f).read()", args: {f: "${{ tasks.keep.output }}"}}}
""",
            place,
        )
    )

    assert view.status == "succeeded", view.error
    assert view.tasks["read"].output == "kept"
    assert (place / "out.txt").read_text() == (place / "out2.txt").read_text() == "kept"
    assert view.tasks["shell"].output["stdout"] == "keptkept"
    assert view.tasks["script"].output == "kept"


async def test_what_lies_in_an_archive_is_read(place: Path) -> None:
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        archive.writestr("inner/x.txt", "zipped")

    assert await output(place, read=f"zip://inner/x.txt::{place / 'a.zip'}") == "zipped"


async def test_a_connection_says_where_paths_start(place: Path) -> None:
    (place / "data").mkdir()
    (place / "flowbuilder.toml").write_text(
        '[profiles.dev.connections.data]\ntype = "files"\nurl = "data"\n'
        '[profiles.dev.connections.far]\ntype = "files"\nurl = "memory://a-bucket/folder"\n'
    )
    view = await run_flow(
        load_text(
            """
flow: connected
connections: {data: files, far: files}
tasks:
  here: {type: file, with: {connection: data, write: x.txt, content: here}}
  far: {type: file, with: {connection: far, write: sub/x.txt, content: far}}
  back: {type: file, needs: [far], with: {read: "memory://a-bucket/folder/sub/x.txt"}}
  list: {type: file, needs: [far], with: {connection: far, list: sub}}
  read: {type: file, with: {connection: far, read: "${{ tasks.list.output[0].path }}"}}
  out: {type: file, on_error: continue, with: {connection: data, read: ../flowbuilder.toml}}
""",
            place,
        )
    )

    assert view.status == "succeeded", view.error
    assert (place / "data" / "x.txt").read_text() == "here"
    assert view.tasks["back"].output == view.tasks["read"].output == "far"
    assert view.tasks["list"].output[0]["path"] == "sub/x.txt"
    assert view.tasks["out"].error["kind"] == "file.outside"


async def test_a_new_file_has_the_rights_of_any_other_and_nobody_s_mask_is_touched(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:

        def refused(mask: int) -> int:
            raise AssertionError("the mask is of the whole process: other threads make files meanwhile")

        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", refused)
            await output(place, write="new.txt", content="x")
            (place / "own.txt").touch(0o600)
            await output(place, write="own.txt", content="x")
    finally:
        os.umask(before)

    assert [(place / name).stat().st_mode & 0o777 for name in ("new.txt", "own.txt")] == [0o640, 0o600]
    assert sorted(name for name in os.listdir(place) if name.endswith(".txt")) == ["new.txt", "own.txt"]


async def test_no_folder_around_the_flow_is_deleted(place: Path) -> None:
    (place / "flows").mkdir()

    for path in ("..", "../", ".", str(place)):
        assert await failed(place / "flows", delete=path, recursive=True) == "input"

    assert (place / "flowbuilder.toml").exists()
