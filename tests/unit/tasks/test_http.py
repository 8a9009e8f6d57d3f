"""Requests to real servers on free ports of this machine."""

import asyncio
import base64
import datetime as dt
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.http import Http


async def echo(request: web.Request) -> web.Response:
    """Answer with what was asked."""
    parts: dict[str, Any] = {}
    if request.content_type.startswith("multipart/"):
        async for part in await request.multipart():
            data = bytes(await part.read())  # type: ignore[union-attr]
            parts[part.name or ""] = [part.filename, part.headers.get("Content-Type"), data.decode()]  # type: ignore[union-attr]
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": [[name, value] for name, value in request.query.items()],
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "body": "" if parts else base64.b64encode(await request.read()).decode(),
            "parts": parts,
        }
    )


async def answer(request: web.Request) -> web.Response:
    """Answer as the query says."""
    query = request.query
    headers = {} if "type" not in query else {"Content-Type": query["type"]}
    if "retry" in query:
        headers["Retry-After"] = query["retry"]
    return web.Response(
        status=int(query.get("status", "200")), body=bytes.fromhex(query.get("hex", "")), headers=headers
    )


def port_of(site: web.TCPSite) -> int:
    return int(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]


class Server:
    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        self.left = asyncio.Event()
        self.url = ""

    async def hang(self, request: web.Request) -> web.Response:
        self.hanging.set()
        try:
            await asyncio.sleep(3600)
        finally:
            self.left.set()
        raise AssertionError

    async def big(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(int(request.query["chunks"])):
            await response.write(b"x" * 100_000)
        if "break" in request.query:
            assert request.transport is not None
            request.transport.abort()
        return response

    async def redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    async def loop(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/loop")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/answer", answer)
    app.router.add_route("*", "/big", made.big)
    app.router.add_route("*", "/hang", made.hang)
    app.router.add_route("*", "/redirect", made.redirect)
    app.router.add_route("*", "/loop", made.loop)
    app.router.add_route("*", "/{tail:.*}", echo)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{port_of(site)}"
    yield made
    await runner.cleanup()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost that nobody trusts, and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command.split(), *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    return certificate, key


@pytest.fixture
def ask(make_call: Any, server: Server) -> Callable[..., Any]:
    """Return a function that makes a request to the server."""

    async def ask(path: str = "/", *, limit: int = 10_000_000, **params: Any) -> dict[str, Any]:
        url = path if "://" in path else server.url + path
        async with asyncio.timeout(30):
            return await Http(limit).run(make_call({"url": url, **params}))

    return ask


@pytest.fixture
def fails(ask: Any) -> Callable[..., Any]:
    async def fails(*args: Any, **params: Any) -> TaskFailed:
        with pytest.raises(TaskFailed) as caught:
            await ask(*args, **params)
        return caught.value

    return fails


async def test_the_output_is_the_answer(ask: Any, server: Server) -> None:
    output = await ask("/a?x=1")
    assert (output["status"], output["url"]) == (200, server.url + "/a?x=1")
    assert output["headers"]["content-type"] == "application/json; charset=utf-8"
    assert output["json"]["method"] == "GET"
    assert output["elapsed"] > 0
    assert "text" not in output


async def test_the_query_is_added_to_the_urls_own(ask: Any) -> None:
    output = await ask("/?a=1&b=%2F", query={"a": 2, "c": ["x", True], "d": None, "e": "ä&="})
    assert output["json"]["query"] == [
        ["a", "1"],
        ["b", "/"],
        ["a", "2"],
        ["c", "x"],
        ["c", "true"],
        ["e", "ä&="],
    ]


async def test_an_encoded_path_stays_as_it_is(ask: Any) -> None:
    assert (await ask("/customers/..%2Fadmin%3Fx"))["json"]["path"] == "/customers/../admin?x"


@pytest.mark.parametrize(
    ("params", "kind", "body"),
    [
        (
            {"json": {"a": [1, None], "d": dt.date(2026, 1, 2)}},
            "application/json",
            b'{"a":[1,null],"d":"2026-01-02"}',
        ),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": "ä b", "c": [1, 2]}}, "application/x-www-form-urlencoded", b"a=%C3%A4+b&c=1&c=2"),
        ({"body": "täxt"}, "text/plain; charset=utf-8", "täxt".encode()),
        ({"body": b"\0\xff"}, "application/octet-stream", b"\0\xff"),
        ({"body": "<x/>", "headers": {"content-type": "text/xml"}}, "text/xml", b"<x/>"),
    ],
)
async def test_bodies(ask: Any, params: Any, kind: str, body: bytes) -> None:
    asked = (await ask("/", method="post", **params))["json"]
    assert asked["method"] == "POST"
    assert dict(asked["headers"])["content-type"] == kind
    assert base64.b64decode(asked["body"]) == body


async def test_bodies_in_parts(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b")
    parts = {
        "note": "ä",
        "number": 3,
        "file": {"path": "data.csv", "content_type": "text/csv"},
        "made": {"content": {"x": 1}, "filename": "x.json", "content_type": "application/json"},
    }
    asked = (await ask("/", method="POST", multipart=parts))["json"]["parts"]
    assert asked["file"] == ["data.csv", "text/csv", "a,b"]
    assert asked["made"] == ["x.json", "application/json", '{"x":1}']
    assert (asked["note"][2], asked["number"][2]) == ("ä", "3")


async def test_headers_and_auth(ask: Any) -> None:
    headers = {"X-One": 1, "X-Many": ["a", "b"], "X-None": None}
    sent = (await ask("/", headers=headers, auth={"bearer": "token"}))["json"]["headers"]
    assert [pair for pair in sent if pair[0].startswith("x-")] == [
        ["x-one", "1"],
        ["x-many", "a"],
        ["x-many", "b"],
    ]
    assert ["authorization", "Bearer token"] in sent
    sent = (await ask("/", auth={"basic": {"username": "Aladdin", "password": "öpen"}}))["json"]["headers"]
    assert base64.b64decode(dict(sent)["authorization"].removeprefix("Basic ")).decode() == "Aladdin:öpen"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_what_changes_something_carries_the_idempotency_key(ask: Any, method: str) -> None:
    sent = dict((await ask("/", method=method))["json"]["headers"])
    assert sent["idempotency-key"] == "run-1/a[0]"


async def test_the_author_may_say_otherwise(ask: Any) -> None:
    assert "idempotency-key" not in dict((await ask("/"))["json"]["headers"])
    sent = dict((await ask("/", method="POST", headers={"idempotency-key": "mine"}))["json"]["headers"])
    assert sent["idempotency-key"] == "mine"
    sent = dict((await ask("/", method="POST", headers={"Idempotency-Key": None}))["json"]["headers"])
    assert "idempotency-key" not in sent


@pytest.mark.parametrize(
    ("kind", "data", "name", "value"),
    [
        ("application/json", b'{"a": 1.5}', "json", {"a": 1.5}),
        ("application/problem+json; charset=utf-8", b"[]", "json", []),
        ("application/json", b"", "text", ""),
        ("text/plain; charset=latin-1", b"\xe4", "text", "ä"),
        ("text/plain; charset=nonsense", b"a\xff", "text", "a\ufffd"),
        ("text/plain", b"\xff", "text", "\ufffd"),
        ("application/octet-stream", "ä".encode(), "text", "ä"),
        ("image/png", b"\x89\xff", "body", b"\x89\xff"),
    ],
)
async def test_a_body_is_what_it_says_it_is(ask: Any, kind: str, data: bytes, name: str, value: Any) -> None:
    output = await ask("/answer", query={"type": kind, "hex": data.hex()})
    assert output[name] == value
    assert {"json", "text", "body"} & set(output) == {name}


async def test_a_body_that_is_not_what_it_says_fails(fails: Any) -> None:
    for data in (b"{", b"\xff", b"[" * 100_000, b"NaN"):
        answer = {"type": "application/json", "hex": data[:2000].hex()}
        assert (await fails("/answer", query=answer)).kind == "http.json"


@pytest.mark.parametrize("status", [301, 304, 400, 404, 500, 503])
async def test_other_statuses_fail_with_a_kind_of_their_own(fails: Any, status: int) -> None:
    error = await fails("/answer?secret=1", query={"status": status, "hex": b"why not".hex()})
    assert error.kind == f"http.{status}"
    assert error.data["status"] == status
    assert "secret" not in error.message
    if status != 304:
        assert error.message.endswith(": why not")


async def test_the_author_says_which_statuses_are_good(ask: Any, fails: Any) -> None:
    assert (await ask("/answer", query={"status": 404}, ok_statuses=["2xx", 404]))["status"] == 404
    assert (await ask("/answer", query={"status": 418}, ok_statuses=["4XX"]))["status"] == 418
    assert (await fails("/answer", ok_statuses=[404])).kind == "http.200"


async def test_an_answer_may_say_when_to_ask_again(fails: Any) -> None:
    error = await fails("/answer", query={"status": 429, "retry": "7"})
    assert (error.kind, error.retry_after) == ("http.429", 7.0)
    later = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100), usegmt=True)
    assert 90 < (await fails("/answer", query={"status": 503, "retry": later})).retry_after < 101
    assert (await fails("/answer", query={"status": 503, "retry": "soon"})).retry_after is None
    assert (await fails("/answer", query={"status": 503})).retry_after is None


async def test_redirects_are_followed_unless_said(ask: Any, fails: Any, server: Server) -> None:
    assert (await ask("/redirect", query={"to": "/x"}))["url"] == server.url + "/x"
    assert (await fails("/redirect", query={"to": "/x"}, follow_redirects=False)).kind == "http.302"
    assert (await fails("/loop")).kind == "http.redirects"


async def test_authorization_does_not_follow_to_another_host(ask: Any, server: Server) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    sent = await ask("/redirect", query={"to": other + "/x"}, auth={"bearer": "token"})
    assert sent["url"] == other + "/x"
    assert "authorization" not in dict(sent["json"]["headers"])


async def test_a_body_is_saved_whole_or_not_at_all(ask: Any, fails: Any, tmp_path: Path) -> None:
    output = await ask("/big?chunks=30", save_to="sub/out.bin", limit=10)
    assert (output["path"], output["bytes"]) == (str(tmp_path / "sub/out.bin"), 3_000_000)
    assert (tmp_path / "sub/out.bin").read_bytes() == b"x" * 3_000_000
    assert (await fails("/big?chunks=3&break=1", save_to="sub/other.bin")).kind == "http.broken"
    assert (await fails("/answer?status=500", save_to="sub/other.bin")).kind == "http.500"
    assert (await fails("/big?chunks=3", save_to="sub")).kind == "http.save"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["out.bin"]


async def test_a_body_beyond_the_limit_is_not_read_to_its_end(fails: Any) -> None:
    assert (await fails("/big?chunks=1000", limit=1_000_000)).kind == "output.size"


async def test_a_connection_that_cannot_be_made(fails: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        assert (await fails(f"http://127.0.0.1:{taken.getsockname()[1]}/")).kind == "http.connect"
    assert (await fails("http://nowhere.invalid/")).kind == "http.connect"


async def test_a_server_that_speaks_something_else(fails: Any) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail ready\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        assert (await fails(f"http://127.0.0.1:{port}/")).kind == "http.broken"
        assert (await fails(f"https://127.0.0.1:{port}/")).kind in ("http.tls", "http.connect")


async def test_a_cancelled_request_is_broken_off(ask: Any, server: Server) -> None:
    asking = asyncio.create_task(ask("/hang"))
    async with asyncio.timeout(20):
        await server.hanging.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.left.wait()


@pytest.mark.parametrize(
    "params",
    [
        {"url": None},
        {"url": "ftp://host/"},
        {"url": "http://"},
        {"url": "nonsense"},
        {"url": "http://host:99999/"},
        {"method": "G ET"},
        {"headers": {"A": "b\r\nC: d"}},
        {"headers": {"A\n": "b"}},
        {"headers": ["a"]},
        {"auth": {"bearer": "a\nb"}},
        {"auth": {"bearer": "a", "basic": {}}},
        {"auth": "token"},
        {"auth": {"bearer": "t"}, "headers": {"authorization": "x"}},
        {"json": 1, "form": {}},
        {"multipart": {"a": {"path": "x", "content": "y"}}},
        {"multipart": {"a": {"path": "missing"}}},
        {"multipart": []},
        {"ok_statuses": ["nope"]},
        {"ok_statuses": 200},
        {"verify": 1},
        {"verify": "missing.pem"},
        {"follow_redirects": "yes"},
        {"query": "a=b"},
    ],
)
async def test_wrong_parameters_are_an_error_of_the_author(make_call: Any, params: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        await Http().run(make_call({"url": "http://127.0.0.1:9/", **params}))
    assert caught.value.kind == "input"


async def test_certificates_are_checked_unless_said(
    make_call: Any, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    app = web.Application()
    app.router.add_route("*", "/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
        await site.start()
        url = f"https://localhost:{port_of(site)}/"
        with pytest.raises(TaskFailed) as caught:
            await Http().run(make_call({"url": url}))
        assert caught.value.kind == "http.tls"
        for verify in (False, str(certificate[0])):
            output = await Http().run(make_call({"url": url, "verify": verify}))
            assert output["status"] == 200
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "path", ["/a/..", "/a/../b", "/a/%2e%2E", "/./a", "/a\\..\\b", "/a/..?x=1", "/a/.%2e#f"]
)
async def test_a_path_that_climbs_is_refused(ask: Any, path: str) -> None:
    with pytest.raises(TaskFailed, match="climbs") as failed:
        await ask(path)

    assert failed.value.kind == "input"


@pytest.mark.parametrize("path", ["/a..b/c", "/...", "/a?x=../b"])
async def test_dots_that_do_not_climb_are_sent_as_they_are(ask: Any, server: Server, path: str) -> None:
    assert (await ask(path))["status"] == 200
