"""Blobs are whole or not there, and are not swept away while somebody puts them."""

import os
import threading
from pathlib import Path

import pytest

from flowbuilder.core.errors import StoreCorrupt
from flowbuilder.storage.blobs import FileBlobs

LONG_AGO = 1_000_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def the_file(folder: Path, name: str) -> Path:
    return folder / name[:2] / name


def test_a_value_is_written_once(folder: Path) -> None:
    blobs = FileBlobs(folder)
    name = blobs.put(b"value")
    before = the_file(folder, name).stat().st_ino

    assert blobs.put(b"value") == name

    assert the_file(folder, name).stat().st_ino == before
    assert [path.name for path in the_file(folder, name).parent.iterdir()] == [name]


def test_a_value_whose_bytes_have_changed_is_damaged(folder: Path) -> None:
    blobs = FileBlobs(folder)
    name = blobs.put(b"value")
    the_file(folder, name).write_bytes(b"vAlue")

    with pytest.raises(StoreCorrupt, match="damaged"):
        blobs.get(name)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "ab", "g" * 64])
def test_a_name_that_is_no_hash_is_no_blob(folder: Path, name: str) -> None:
    with pytest.raises(StoreCorrupt):
        FileBlobs(folder).get(name)


def test_what_is_put_again_counts_as_new(folder: Path) -> None:
    blobs = FileBlobs(folder)
    name = blobs.put(b"value")
    os.utime(the_file(folder, name), (LONG_AGO, LONG_AGO))

    blobs.put(b"value")

    assert blobs.sweep(lambda name: False, grace=3600.0) == 0
    assert blobs.get(name) == b"value"


def test_what_a_killed_process_left_unfinished_is_swept(folder: Path) -> None:
    blobs = FileBlobs(folder)
    name = blobs.put(b"value")
    aside = the_file(folder, name).with_name(f"{name}.123-456")
    aside.write_bytes(b"val")
    os.utime(aside, (LONG_AGO, LONG_AGO))

    assert blobs.sweep(lambda name: True, grace=3600.0) == 0

    assert not aside.exists()
    assert blobs.get(name) == b"value"


def test_what_is_put_while_it_is_swept_stays(folder: Path) -> None:
    blobs = FileBlobs(folder)
    name = blobs.put(b"value")
    os.utime(the_file(folder, name), (LONG_AGO, LONG_AGO))

    def put_meanwhile(name: str) -> bool:
        FileBlobs(folder).put(b"value")
        return False

    assert blobs.sweep(put_meanwhile, grace=3600.0) == 0
    assert blobs.get(name) == b"value"


def test_many_threads_may_put_the_same_value(folder: Path) -> None:
    names: list[str] = []
    data = os.urandom(300_000)
    threads = [threading.Thread(target=lambda: names.append(FileBlobs(folder).put(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(names)) == 1
    assert len(names) == 8
    assert FileBlobs(folder).get(names[0]) == data
