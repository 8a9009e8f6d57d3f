"""What an `http` task is to send, read from its parameters."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from multidict import CIMultiDict
from yarl import URL

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.values import to_json
from flowbuilder.tasks.params import get_boolean, get_text, refuse, text, written

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Those that change nothing on the other side, and so need no idempotency key."""
_CLIMBS: Final = frozenset({".", ".."})
_BODIES: Final = ("json", "form", "body", "multipart")


class Part(msgspec.Struct, frozen=True):
    """A part of a multipart body: a content, or a file."""

    name: str
    content: str | bytes = b""
    path: Path | None = None
    filename: str | None = None
    content_type: str | None = None


class Request(msgspec.Struct):
    """A request, ready to be sent."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    has_key: bool
    """Whether the author says what the `Idempotency-Key` is, or that there is none."""
    body: bytes | None
    parts: tuple[Part, ...] | None
    statuses: frozenset[int]
    follow_redirects: bool
    verify: bool | Path
    save_to: Path | None

    def accepts(self, status: int) -> bool:
        """Tell whether a status counts as success."""
        return status in self.statuses


def read_request(params: dict[str, Any], folder: Path) -> Request:
    """Return what the parameters ask for.

    Raises:
        TaskFailed: `input`, if they ask for nothing that can be sent.
    """
    headers, has_key = _headers(params)
    body, parts = _body(params, headers, folder)
    verify = params.get("verify", True)
    if not isinstance(verify, bool | str):
        refuse("verify", "a boolean or a file", verify)
    save_to = get_text(params, "save_to")
    return Request(
        method=_method(params),
        url=_url(params),
        headers=headers,
        has_key=has_key,
        body=body,
        parts=parts,
        statuses=_statuses(params),
        follow_redirects=get_boolean(params, "follow_redirects", True),
        verify=verify if isinstance(verify, bool) else folder / verify,
        save_to=None if not save_to else folder / save_to,
    )


def _method(params: dict[str, Any]) -> str:
    method = (get_text(params, "method") or "GET").upper()
    if not (method.isascii() and method.isalpha()):
        raise TaskFailed("input", "'method' is a word such as GET or POST")
    return method


def _url(params: dict[str, Any]) -> URL:
    raw = text(params, "url").strip()
    try:
        url = URL(raw)
        if url.scheme not in ("http", "https") or not url.host:
            raise TaskFailed("input", "'url' begins with 'http://' or 'https://' and names a host")
        if _climbs(raw):
            raise TaskFailed("input", "'url' has a path that climbs: a part of it is '.' or '..'")
        if query := _pairs(params, "query"):
            url = url.with_query([*url.query.items(), *query])
    except ValueError as error:
        raise TaskFailed("input", f"'url' is no URL: {error}") from None
    return url


def _climbs(raw: str) -> bool:
    """Tell whether a part of a URL's path, as it was written, is `.` or `..`, however they are encoded.

    Whoever resolves such a path leaves the folder that the author meant: a value `..` in
    `…/customers/${{ item.id }}` would ask for something else.
    """
    path = re.split(r"[?#]", raw.partition("://")[2], maxsplit=1)[0].partition("/")[2]
    return any(part.lower().replace("%2e", ".") in _CLIMBS for part in re.split(r"[/\\]", path))


def _headers(params: dict[str, Any]) -> tuple[CIMultiDict[str], bool]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in _pairs(params, "headers"):
        if not name or any(c <= " " or c in ":\x7f" for c in name) or not name.isascii():
            raise TaskFailed("input", f"{name[:80]!r} is no name of a header")
        if any(c in value for c in "\r\n\0"):
            raise TaskFailed("input", f"the header '{name}' has a line break in it")
        headers.add(name, value)
    for name, value in _authorization(params):
        if name in headers:
            raise TaskFailed(
                "input", "there are both 'auth' and a header 'Authorization': one of them says it"
            )
        headers.add(name, value)
    written_down = params.get("headers")
    has_key = isinstance(written_down, dict) and any(n.lower() == "idempotency-key" for n in written_down)
    return headers, has_key


def _authorization(params: dict[str, Any]) -> list[tuple[str, str]]:
    auth = params.get("auth")
    match auth:
        case None:
            return []
        case {"bearer": str(token)} if len(auth) == 1:
            value = f"Bearer {token}"
        case {"basic": {"username": str(user), **rest}} if len(auth) == 1 and isinstance(
            rest.get("password", ""), str
        ):
            pair = f"{user}:{rest.get('password', '')}"
            value = "Basic " + base64.b64encode(pair.encode()).decode()
        case _:
            raise TaskFailed("input", "'auth' is {bearer: …} or {basic: {username: …, password: …}}")
    if any(c in value for c in "\r\n\0"):
        raise TaskFailed("input", "'auth' has a line break in it")
    return [("Authorization", value)]


def _body(
    params: dict[str, Any], headers: CIMultiDict[str], folder: Path
) -> tuple[bytes | None, tuple[Part, ...] | None]:
    # null is a JSON value, but no form
    given = [name for name in _BODIES if name in params and (name == "json" or params[name] is not None)]
    if len(given) > 1:
        raise TaskFailed("input", f"there are both '{given[0]}' and '{given[1]}': a request has one body")
    match given:
        case ["json"]:
            headers.setdefault("Content-Type", "application/json")
            return msgspec.json.encode(to_json(params["json"])), None
        case ["form"]:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            return urllib.parse.urlencode(_pairs(params, "form")).encode(), None
        case ["body"]:
            body = params["body"]
            if isinstance(body, bytes):
                headers.setdefault("Content-Type", "application/octet-stream")
                return body, None
            headers.setdefault("Content-Type", "text/plain; charset=utf-8")
            return written(body, "body").encode("utf-8", "replace"), None
        case ["multipart"]:
            return None, _parts(params["multipart"], folder)
    return None, None


def _parts(value: Any, folder: Path) -> tuple[Part, ...]:
    if not isinstance(value, dict):
        refuse("multipart", "a mapping", value)
    parts = []
    for name, part in value.items():
        if not isinstance(part, dict):
            parts.append(Part(name, part if isinstance(part, bytes) else written(part, f"multipart.{name}")))
            continue
        path = get_text(part, "path")
        if (path is None) == ("content" not in part):
            raise TaskFailed("input", f"the part '{name}' has either 'path' or 'content'")
        content = part.get("content", b"")
        if not isinstance(content, bytes):
            content = written(content, f"multipart.{name}.content")
        kind = get_text(part, "content_type")
        filename = get_text(part, "filename")
        if path is not None and filename is None:
            filename = Path(path).name
        if any(c in (kind or "") + (filename or "") for c in "\r\n\0"):
            raise TaskFailed("input", f"the part '{name}' has a line break in its description")
        parts.append(Part(name, content, None if path is None else folder / path, filename, kind))
    return tuple(parts)


def _pairs(params: dict[str, Any], parameter: str) -> list[tuple[str, str]]:
    """Return a mapping as pairs of texts: a list stands for several of a name, null for none."""
    value = params.get(parameter)
    if value is None:
        return []
    if not isinstance(value, Mapping):
        refuse(parameter, "a mapping", value)
    return [
        (str(name), written(one, f"{parameter}.{name}"))
        for name, item in value.items()
        for one in (item if isinstance(item, list) else [item])
        if one is not None
    ]


def _statuses(params: dict[str, Any]) -> frozenset[int]:
    value = params.get("ok_statuses")
    if value is None:
        return frozenset(range(200, 300))
    if not isinstance(value, list) or not value:
        refuse("ok_statuses", "a list of statuses", value)
    statuses: set[int] = set()
    for item in value:
        written_out = str(item).lower()
        if len(written_out) == 3 and written_out[1:] == "xx" and written_out[0] in "12345":
            hundred = int(written_out[0]) * 100
            statuses.update(range(hundred, hundred + 100))
        elif len(written_out) == 3 and written_out.isdecimal():
            statuses.add(int(written_out))
        else:
            raise TaskFailed("input", "'ok_statuses' has statuses such as 404, and hundreds such as '2xx'")
    return frozenset(statuses)
