"""A process that owns a run and tells which commands reach it; run by the fault tests."""

import sys
import threading

from store_writer import row, wait

from flowbuilder.storage.api import Accept
from flowbuilder.storage.sqlite import SqliteStore


def main(path: str, engine: str, run_id: str) -> None:
    store = SqliteStore(path)
    store.open(engine)
    woken = threading.Event()
    store.on_command(woken.set)
    store.submit(Accept(row(run_id, engine)))
    wait(store)
    print("ready", flush=True)
    while True:
        woken.wait()
        woken.clear()
        for command in store.receive():
            print(command.run_id, command.kind, command.payload.decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
