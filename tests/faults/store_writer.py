"""A process that writes to a store until it is killed; run by the fault tests.

Each acknowledged run is a line on standard output, written after `done(None)`
and before the next group: whatever was printed must be in the store.
"""

import itertools
import os
import sys
import threading
import time

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.api import Accept, Append, Change, RunRow
from flowbuilder.storage.sqlite import SqliteStore


def main(path: str, engine: str, group: int) -> None:
    store = SqliteStore(path)
    store.open(engine)
    ids = RunIds(int.from_bytes(os.urandom(7), "big"))
    print("ready", flush=True)
    for number in itertools.count():
        rows = [row(ids.make(time.time()), engine) for _ in range(group)]
        for made in rows:
            store.submit(Accept(made))
            store.submit(Append(made.id, 0, batch(made.id, 0)))
        wait(store)
        for made in rows:
            store.submit(Append(made.id, 1, batch(made.id, 1)))
            if number % 2:
                store.submit(Change(made.id, {"status": "succeeded", "ended_at": 1.0}))
        wait(store)
        print(*(made.id for made in rows), "succeeded" if number % 2 else "running", flush=True)


def row(run_id: str, engine: str) -> RunRow:
    return RunRow(run_id, "f", "h", "running", 0.0, b"\x80", owner=engine)


def batch(run_id: str, sequence: int) -> bytes:
    """Return the bytes that a run's batch must have, of many lengths."""
    return f"{run_id}/{sequence};".encode() * (1 + hash_of(run_id) % 40 * (1 + 7 * sequence))


def hash_of(run_id: str) -> int:
    return sum(run_id.encode())


def wait(store: SqliteStore) -> None:
    called = threading.Event()
    outcome: list[object] = []
    store.when_durable(lambda error: (outcome.append(error), called.set())[0])
    called.wait()
    if outcome[0] is not None:
        print("error", type(outcome[0]).__name__, flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
