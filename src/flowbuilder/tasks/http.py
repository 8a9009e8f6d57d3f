"""`http`: one HTTP request over the engine's pooled session."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.values import MAX_BYTES
from flowbuilder.tasks.http_request import SAFE_METHODS, Request, read_request
from flowbuilder.tasks.params import mapping
from flowbuilder.tasks.specs.http import HTTP
from flowbuilder.tasks.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yarl import URL

    from flowbuilder.tasks.api import Call

_CHUNK: Final = 256 * 1024
_REDIRECTS: Final = 10
_CONNECT_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=60.0)
"""A host that does not answer at all; all else is the engine's to time."""
_ERROR_BODY: Final = 2000
"""Characters of a refused request's answer that its error shows."""
_TEXT_TYPES: Final = (
    "text/",
    "application/xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
)


class Http:
    """Makes a request; its output is the answer.

    A cancelled request is broken off, and its connection closed.

    Args:
        limit: bytes of a body that is not saved to a file; more fails with `output.size`.
    """

    spec = HTTP

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._trusted: dict[str, tuple[float, ssl.SSLContext]] = {}
        """By file of certificates, with the file's time: a cache."""

    async def run(self, call: Call) -> dict[str, Any]:
        """Do one attempt.

        Raises:
            TaskFailed: `http.<status>`; `http.connect`, `http.tls`, `http.timeout`,
                `http.redirects`, `http.broken`, `http.json`, `http.save`; `input`, `output.size`.
        """
        request = read_request(mapping(call.params), call.folder)
        session: aiohttp.ClientSession = await call.services.http()
        headers = request.headers
        if request.method not in SAFE_METHODS and not request.has_key:
            headers.add("Idempotency-Key", call.idempotency_key)
        trust = await self._trust(request, call)
        async with call.services.slot("http", call.urgency):
            return await self._exchange(session, request, trust, call)

    async def _exchange(
        self, session: aiohttp.ClientSession, request: Request, trust: Any, call: Call
    ) -> dict[str, Any]:
        """Send a request and take in its answer."""
        monotonic = call.services.clock.monotonic
        began = monotonic()
        with contextlib.ExitStack() as files, _failures(request):
            async with session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=await _body(request, call, files),
                allow_redirects=request.follow_redirects,
                max_redirects=_REDIRECTS,
                ssl=trust,
                timeout=_CONNECT_TIMEOUT,
            ) as response:
                if not request.accepts(response.status):
                    raise await self._refused(request, response, call)
                output = await self._answer(request, response)
        output["elapsed"] = round(monotonic() - began, 6)
        return output

    async def _answer(self, request: Request, response: aiohttp.ClientResponse) -> dict[str, Any]:
        output: dict[str, Any] = {
            "status": response.status,
            "headers": _headers(response),
            "url": str(response.url),
        }
        if request.save_to is not None:
            output["bytes"] = await _save(response, request.save_to)
            output["path"] = str(request.save_to)
            return output
        with contextlib.closing(Spool(self._limit, "the body")) as spool:
            async for chunk in response.content.iter_chunked(_CHUNK):
                spool.write(chunk)
            name, value = _content(response, spool)
        output[name] = value
        return output

    async def _refused(self, request: Request, response: aiohttp.ClientResponse, call: Call) -> TaskFailed:
        """Return the error of a request whose answer has a bad status."""
        read = await response.content.read(4 * _ERROR_BODY)
        body = read.decode("utf-8", "replace").strip()[:_ERROR_BODY]
        what = f"{request.method} {_shown(response.url)}: {response.status} {response.reason or ''}".rstrip()
        return TaskFailed(
            f"http.{response.status}",
            f"{what}: {body}" if body else what,
            {"status": response.status, "headers": _headers(response), "body": body},
            retry_after=_retry_after(response.headers.get("Retry-After"), call.services.clock.now()),
        )

    async def _trust(self, request: Request, call: Call) -> ssl.SSLContext | bool:
        """Return whom a connection trusts, as aiohttp wants it: True is whom the machine trusts."""
        if isinstance(request.verify, bool):
            return request.verify
        file = str(request.verify)
        try:
            changed = os.stat(file).st_mtime
            known = self._trusted.get(file)
            if known is None or known[0] != changed:
                context = await call.services.in_thread(lambda: ssl.create_default_context(cafile=file))
                known = self._trusted[file] = (changed, context)
        except (OSError, ssl.SSLError):
            raise TaskFailed("input", f"'verify' names no file with certificates: {file}") from None
        return known[1]


@contextlib.contextmanager
def _failures(request: Request) -> Iterator[None]:
    """Turn what the client raises into errors of the task."""
    where = f"{request.method} {_shown(request.url)}"
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise TaskFailed("http.tls", f"{where}: the connection cannot be trusted: {error}") from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise TaskFailed("input", f"{where}: no URL that can be called: {error}") from None
    except aiohttp.TooManyRedirects:
        raise TaskFailed("http.redirects", f"{where}: more than {_REDIRECTS} redirects") from None
    except TimeoutError as error:  # before the next: aiohttp's are both
        raise TaskFailed("http.timeout", f"{where}: no answer: {error}".removesuffix(": ")) from None
    except aiohttp.ClientConnectorError as error:
        raise TaskFailed("http.connect", f"{where}: no connection: {error}") from None
    except aiohttp.ClientError as error:
        what = str(error) or type(error).__name__
        raise TaskFailed("http.broken", f"{where}: the exchange broke off: {what}") from None


async def _body(request: Request, call: Call, files: contextlib.ExitStack) -> Any:
    if request.parts is None:
        return request.body
    form = aiohttp.FormData(default_to_multipart=True)
    for part in request.parts:
        content: Any = part.content
        if part.path is not None:
            opening = functools.partial(part.path.open, "rb")
            try:
                content = files.enter_context(await call.services.in_thread(opening))
            except (OSError, ValueError) as error:
                raise TaskFailed("input", f"the file for '{part.name}' cannot be read: {error}") from None
        form.add_field(part.name, content, filename=part.filename, content_type=part.content_type)
    return form


async def _save(response: aiohttp.ClientResponse, path: Path) -> int:
    """Write the body to a file, which is there whole or not at all; return its size."""
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except (OSError, ValueError) as error:
        raise TaskFailed("http.save", f"'{path}' cannot be written: {error}") from None
    try:
        with os.fdopen(fd, "wb") as file:  # into the page cache: a thread for each chunk would cost more
            async for chunk in response.content.iter_chunked(_CHUNK):
                file.write(chunk)
                size += len(chunk)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # as any file that is made; mkstemp's are private
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError | TimeoutError):
            raise TaskFailed("http.save", f"'{path}' cannot be written: {error.strerror}") from None
        raise
    return size


def _content(response: aiohttp.ClientResponse, spool: Spool) -> tuple[str, Any]:
    """Return the body as the answer says it is meant: `json`, `text` or `body`."""
    kind = response.content_type.lower()
    if spool.size and (kind == "application/json" or kind.endswith("+json")):
        try:
            return "json", msgspec.json.decode(spool.data())
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise TaskFailed("http.json", f"the body is said to be JSON, but is not: {error}") from None
    charset = response.charset
    if charset is None and not kind.startswith(_TEXT_TYPES):
        data = spool.data()
        try:
            return "text", data.decode()
        except UnicodeDecodeError:
            return "body", data
    try:
        return "text", spool.text(charset or "utf-8")
    except LookupError:  # a charset that nobody knows
        return "text", spool.text()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; it has seconds, or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _shown(url: URL) -> str:
    """Return a URL for people: without a password, and without its query, which may hold one."""
    try:
        return str(url.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return str(url.with_query(None))
