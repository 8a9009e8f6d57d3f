"""Writes `<FORMAT>.sql`: the file of the format before, migrated by this code.

    python tests/unit/storage/formats/write.py

To be done while a format is in the making; those of releases stay as they are.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from flowbuilder.storage.sqlite.format import prepare
from flowbuilder.storage.sqlite.schema import FORMAT

FOLDER = Path(__file__).parent
SINCE = 1_790_000_000.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with closing(sqlite3.connect(path)) as old:
            old.executescript((FOLDER / f"{FORMAT - 1}.sql").read_text())
            old.execute("PRAGMA journal_mode = wal")
        prepare(path)
        with closing(sqlite3.connect(path)) as new:
            new.execute("UPDATE format SET since = ?", (SINCE,))
            (application,) = new.execute("PRAGMA application_id").fetchone()
            lines = [f"PRAGMA application_id = {application};", *new.iterdump()]
        (FOLDER / f"{FORMAT}.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
