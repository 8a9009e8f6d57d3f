"""A small HTTP service on loopback that knows the airports: `GET /airports/ORD`.

`start` begins it in a process of its own and returns its address; `stop` ends
it.  Left alone for a minute it ends by itself, so a run that is never carried
on leaves nothing behind.
"""

import csv
import json
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

DATA = Path(__file__).parent / "data" / "airports.csv"
IDLE_SECONDS = 60.0


def start() -> dict[str, str]:
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address:
        raise RuntimeError("the airport service did not start")
    return {"url": address}


def stop(url: str | None) -> str:
    if url is None:
        return "was never started"
    try:
        urllib.request.urlopen(urllib.request.Request(f"{url}/stop", method="POST"), timeout=5).close()
    except OSError:
        return "had ended already"
    return "stopped"


class Server(ThreadingHTTPServer):
    request_queue_size = (
        64  # callers come all at once; past the usual 5 the kernel has them try again in a second
    )


class Handler(BaseHTTPRequestHandler):
    airports: ClassVar[dict[str, dict[str, str]]] = {}
    last_asked = threading.Event()

    def do_GET(self) -> None:
        self.last_asked.set()
        airport = self.airports.get(self.path.removeprefix("/airports/"))
        self.answer(200 if airport else 404, airport or {"error": "no such airport"})

    def do_POST(self) -> None:
        self.answer(200, {"stopping": True})
        threading.Thread(target=self.server.shutdown).start()

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def end_when_idle(server: Server) -> None:
    while Handler.last_asked.wait(IDLE_SECONDS):
        Handler.last_asked.clear()
    server.shutdown()


def serve() -> None:
    with DATA.open(encoding="utf-8", newline="") as file:
        Handler.airports = {row["iata"]: row for row in csv.DictReader(file)}
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=end_when_idle, args=(server,), daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    with server:
        server.serve_forever()


if __name__ == "__main__":
    serve()
