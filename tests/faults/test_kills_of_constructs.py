"""Engines killed at random moments over flows that use every construct of the language.

After each kill: no run is stuck, nothing has leaked, no task whose end was on
disk has been executed again.  At the end: every run has ended as it must, no
timer, event, signal or approval is lost, every undo has run, in reverse order,
and no place of a limit is taken.  That the flows do use every construct is a
test of its own, which asks the compiler's tables.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import shutil
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from killing import Driver, Killing, Ledger, soak

from flowbuilder import Reader
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.runtime.views import RunView

SEED = 20261126
KILLS = 50
SOAK_KILLS = 1000
RUNS = 20
ROUND = 0.5
"""Seconds within which a process is killed, counted from its fork."""
FOLDER = Path(__file__).parent / "constructs"
FLOWS = ("loops", "saga", "waits", "limits", "single", "undone", "halted", "once", "types", "rules")


# -- the world of these flows ------------------------------------------------------------


class Web(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent, and keeps under which key it came."""

    came: dict[str, set[str]]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.came.setdefault(said["run"], set()).add(self.headers["Idempotency-Key"])
        body = json.dumps(said).encode()
        with contextlib.suppress(OSError):  # whoever asked has been killed
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server whose clients are killed."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Box:
    """Takes every mail, and keeps what it was about."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        lines = envelope.content.decode().splitlines()
        self.subjects.update(line.partition(": run ")[2] for line in lines if line.startswith("Subject"))
        return "250 taken"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


TOKEN = "a-token-of-the-kills"


class World:
    """The folder of the flows, and the servers that they reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.came: dict[str, set[str]] = {}
        self.box = Box()

    @contextlib.contextmanager
    def open(self) -> Iterator[Driver]:
        """Have all of it there, and a driver beside it."""
        flows = self.folder / "constructs"
        shutil.copytree(FOLDER, flows)
        post = Controller(self.box, hostname="127.0.0.1", port=free_port())
        web = Server(("127.0.0.1", 0), type("Here", (Web,), {"came": self.came}))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.web = f"http://127.0.0.1:{web.server_address[1]}"
        post.start()
        try:
            settings = flows / "flowbuilder.toml"
            settings.write_text(settings.read_text().replace("port = 1", f'port = {post.port}\ntls = "none"'))
            driver = Driver(
                flows / "drive.py",
                FLOWBUILDER_SECRET_TOKEN=TOKEN,
                FLOWBUILDER_ENCRYPTION_KEY="0a" * 32,
                PYTHONWARNINGS="ignore:resource_tracker",  # of pools whose engine was killed
            )
            try:
                yield driver
            finally:
                driver.close()
        finally:
            post.stop()
            web.shutdown()
            web.server_close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own."""
    return World(tmp_path)


@pytest.mark.timeout(600)
def test_fifty_kills_leave_no_run_stuck_whatever_it_is_made_of(world: World) -> None:
    kill_again_and_again(world, SEED, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_kills_leave_no_run_stuck(world: World) -> None:
    kill_again_and_again(world, *soak(SOAK_KILLS))


def kill_again_and_again(world: World, seed: int, least: int) -> None:
    """Start runs and kill their engines until at least so many have died; then look at every run."""
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    ledger = Ledger(world.folder / "store.db", world.folder / "effects")

    def words(first: int) -> tuple[object, ...]:
        return ledger.store, ledger.effects, world.web, first, RUNS, chance.getrandbits(30)

    def look() -> None:
        nothing_is_stuck(ledger.store)

    with world.open() as driver:
        Killing(driver, ledger, chance, RUNS, within=ROUND, longer=1 / 5, words=words, look=look).go_on(least)
    by_run: dict[str, list[str]] = {}
    for line in ledger.effects.read_text().split():
        run_id, _, name = line.partition("/")
        by_run.setdefault(run_id, []).append(name)
    with Reader(ledger.store) as reader:
        for key, run_id in ledger.accepted.items():
            Look(reader, world, by_run).at(reader.show(run_id), int(key[1:]))
    nothing_is_left(ledger.store)


def nothing_is_stuck(store: Path) -> None:
    if not store.exists():
        return
    with Reader(store) as reader:
        liveness = reader.liveness()
        assert liveness.stuck() == []
        assert liveness.leaks() == {}


def nothing_is_left(store: Path) -> None:
    """See that no run lives, and none has left what it waited for."""
    with Reader(store) as reader:
        assert reader.liveness().counts() == {}
        assert reader.liveness().leaks() == {}
        assert reader.approvals() == []
        assert not reader.waiting()
    opened = SqliteStore(store)
    opened.open(None)
    assert opened.events().subscriptions() == []
    assert opened.facts().list("approval") == []
    opened.close()


# -- how runs must have ended ------------------------------------------------------------

UNDONE = [
    *("grouped~undo.one", "grouped~undo.two[0]", "grouped~undo.two[1]", "stubborn:undo", "retried:undo"),
    *("rescued!mend~undo", "child~undo", "again:a~undo", "looped:1~undo", "looped:0~undo"),
    *("rounds:1~undo", "rounds:0~undo", "group~undo", "group.y~undo", "group.x~undo"),
    *("each[2]~undo", "each[1]~undo", "each[0]~undo", "plain~undo"),
]
"""What `undone` does when it fails, the newest first."""


class Look:
    """Looks at runs that have ended."""

    def __init__(self, reader: Reader, world: World, effects: dict[str, list[str]]) -> None:
        self._reader = reader
        self._world = world
        self._effects = effects

    def at(self, view: RunView, n: int) -> None:
        """Check that a run has ended as it must."""
        flow = FLOWS[n % len(FLOWS)]
        own = self._effects.get(view.run_id, [])
        match flow:
            case "saga":
                self.saga(view, own)
            case "undone":
                self.undone(view, own)
            case "halted":
                self.halted(view, own, undo=n // len(FLOWS) % 2 == 0)
            case _:
                assert view.status == "succeeded", (flow, n, view.error)
                assert view.outputs == {"total": expected(flow, n)}, (flow, n)
        if flow == "once":
            assert own.count("once") <= 1, "it was executed again after a crash"
            assert own.count("twice") <= 1
        elif flow == "types":
            assert len(self._world.came[view.run_id]) == 1, "an effect came under several keys"
            assert view.run_id in self._world.box.subjects

    def saga(self, view: RunView, own: list[str]) -> None:
        assert view.status == "failed"
        assert view.error is not None
        assert view.error["kind"] == "python.RuntimeError"
        assert "not_undone" not in view.error
        last = {name: place for place, name in enumerate(own)}
        for seat in range(3):
            assert last["pay"] < last[f"unseat.{seat}"] < last["free"] < last["tell"], own
        assert [view.elements[f"seats[{seat}]~undo"].status for seat in range(3)] == ["succeeded"] * 3
        assert view.tasks["reserve~undo"].status == "succeeded"

    def undone(self, view: RunView, own: list[str]) -> None:
        assert view.status == "failed"
        assert view.error is not None
        assert view.error["kind"] == "mine"
        assert [one["task"] for one in view.error["not_undone"]] == ["stubborn"]
        assert in_order_of_last(name for name in own if "undo" in name) == UNDONE, own
        assert in_order_of_last(own)[-2:] == ["on_failure:tell", "finally:tidy"]
        for row in self._reader.runs(RunFilter(parent=view.run_id)):
            if row.flow == "sorry":
                theirs = self._effects.get(row.id, [])
                assert row.status == "failed"
                assert in_order_of_last(theirs) == ["first", "second", "second~undo", "first~undo"], theirs

    def halted(self, view: RunView, own: list[str], *, undo: bool) -> None:
        assert view.status == "cancelled", view.error
        reversed_ = in_order_of_last(name.removesuffix("~undo") for name in own if name.endswith("~undo"))
        done = in_order_of_last(name for name in own if not name.endswith("~undo"))
        if not undo:
            assert reversed_ == []
            return
        # what was in flight when an engine died, and may not have left a line, is undone too
        in_doubt = [name for name in reversed_ if name not in done]
        assert len(in_doubt) <= 1, own
        assert reversed_ == [*in_doubt, *done[::-1]], own


def in_order_of_last(names: Any) -> list[str]:
    """Return each name once, in the order of their last occurrences."""
    last = {name: place for place, name in enumerate(names)}
    return sorted(last, key=last.__getitem__)


def expected(flow: str, n: int) -> int:
    """Return what a run must yield."""
    match flow:
        case "loops":
            each = [18, 9]
            return (n + 6) + sum(i + 1 for i in range(5)) + sum(each) + (n % 3 + 1) + (10 + 20 + 20 + 40)
        case "waits":
            return 100 + 1 + 2 + 1000 + n
        case "limits":
            return 1 + 2 + 3
        case "once":
            return n + 2
        case "types":
            return n + n + n + 2 * n + n + 3 + 0 + len("eu")
        case "rules":
            return (n + 1) + 1 + 3 + 5 + 5 + len("in")
        case _:
            return (n + 1) + 5 + n
