"""A mail, made of the parameters of an `email` task.  No value can become a header of its own."""

from __future__ import annotations

import datetime as dt
import email.policy
import hashlib
import mimetypes
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.contents import render
from flowbuilder.tasks.params import get_text, kind_of, refuse, written
from flowbuilder.tasks.places import local_path
from flowbuilder.tasks.references import hash_of, path_of

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

MOST_BYTES: Final = 50 * 1024 * 1024
"""All attachments together; servers take less."""
_OURS: Final = frozenset(
    ["from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "content-type", "mime-version"]
)
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_BREAK: Final = re.compile(r"[\r\n\0\u2028\u2029\x0b\x0c\x85]")


def make_mail(call: Call, params: dict[str, Any], sender: str | None) -> tuple[EmailMessage, list[str]]:
    """Return a mail and the addresses that it goes to; reads files, so it blocks.

    Raises:
        TaskFailed: `input`, also where a text with a line break is to be a header.
    """
    mail = EmailMessage(policy=email.policy.SMTP)
    given = get_text(params, "from") or sender
    if not given:
        raise TaskFailed("input", "the mail has no 'from', and the connection none either")
    authors = _people(given, "from")
    if len(authors) != 1:
        raise TaskFailed("input", f"'from' is one address, not {len(authors)}")
    author = authors[0]
    mail["From"] = author
    recipients: list[str] = []
    for name, header in (("to", "To"), ("cc", "Cc"), ("bcc", None), ("reply_to", "Reply-To")):
        found = _people(params.get(name), name)
        if found and header is not None:
            mail[header] = found
        if name != "reply_to":
            recipients += [address.addr_spec for address in found]
    if not recipients:
        raise TaskFailed("input", "the mail goes to nobody: 'to' is empty")
    mail["Subject"] = one_line(get_text(params, "subject") or "", "subject")
    mail["Date"] = format_datetime(dt.datetime.fromtimestamp(call.services.clock.now(), dt.UTC))
    # the same for each attempt, so that a mail that was sent twice can be told to be one
    unique = hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{unique}@{author.domain}>"
    _further(mail, params.get("headers"))
    _content(mail, get_text(params, "text"), get_text(params, "html"))
    _attach(call, mail, params.get("attachments"))
    return mail, list(dict.fromkeys(recipients))


def one_line(text: str, name: str) -> str:
    """Return a text that may be a header; one with a line break would begin another."""
    if _BREAK.search(text):
        raise TaskFailed("input", f"'{name}' has a line break in it, which no header may have")
    return text


def _people(value: Any, name: str) -> list[Address]:
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            refuse(name, "an address, or a list of addresses", text)
        one_line(text, name)
    found = []
    for shown, address in getaddresses([text for text in texts if text.strip()]):
        local, at, domain = address.rpartition("@")
        if not at or not local or not domain or re.search(r"\s", address):
            raise TaskFailed("input", f"'{name}' has what is no address: '{(address or shown)[:100]}'")
        try:
            found.append(
                Address(shown, local, domain.encode("idna").decode() if not domain.isascii() else domain)
            )
        except (ValueError, UnicodeError, IndexError, email.errors.HeaderParseError):
            raise TaskFailed("input", f"'{name}' has what is no address: '{address[:100]}'") from None
    return found


def _further(mail: EmailMessage, headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, dict):
        refuse("headers", "a mapping", headers)
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise TaskFailed("input", f"'headers': {name[:60]!r} is no name of a header")
        if name.lower() in _OURS:
            raise TaskFailed("input", f"'headers': '{name}' is set by the task itself")
        mail[name] = one_line(written(value, f"headers.{name}"), f"headers.{name}")


def _content(mail: EmailMessage, text: str | None, html: str | None) -> None:
    if html is None:
        mail.set_content(text or "")
        return
    if text is not None:
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
    else:
        mail.set_content(html, subtype="html")


def _attach(call: Call, mail: EmailMessage, attachments: Any) -> None:
    if attachments is None:
        return
    if not isinstance(attachments, list):
        refuse("attachments", "a list", attachments)
    total = 0
    for number, one in enumerate(attachments):
        name, data, kind = _attachment(call, one, f"attachments[{number}]")
        total += len(data)
        if total > MOST_BYTES:
            raise TaskFailed("input", f"the attachments have more than {MOST_BYTES:,} bytes together")
        main, _, sub = (kind or mimetypes.guess_type(name)[0] or "application/octet-stream").partition("/")
        try:
            mail.add_attachment(
                data,
                maintype=one_line(main, "content_type"),
                subtype=one_line(sub or "octet-stream", "content_type"),
                filename=name,
            )
        except (ValueError, TypeError) as error:
            raise TaskFailed("input", f"'attachments[{number}]': {error}") from None


def _attachment(call: Call, one: Any, where: str) -> tuple[str, bytes, str | None]:
    """Return the name, the content and the kind of an attachment."""
    if isinstance(one, str) or hash_of(one) is not None:
        one = {"path": one}
    if not isinstance(one, dict):
        raise TaskFailed("input", f"'{where}' is a path or a mapping, not {kind_of(one)}")
    kind = get_text(one, "content_type")
    if "content" in one:
        name = get_text(one, "name")
        if not name:
            raise TaskFailed("input", f"'{where}' needs a 'name'")
        return one_line(name, where), render(one["content"], None, "utf-8"), kind
    path = one.get("path")
    blob = hash_of(path)
    if blob is not None and isinstance(path, dict):
        file = path_of(call, blob)
        name = str(path.get("name") or "file")
    elif isinstance(path, str):
        file, name = local_path(call, path), Path(path).name
    else:
        refuse(where, "a path, or a reference to a kept file", path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise TaskFailed("input", f"'{where}' has more than {MOST_BYTES:,} bytes")
        data = file.read_bytes()
    except OSError as error:
        raise TaskFailed("file.not_found", f"'{where}' cannot be read: {error.strerror}: {name}") from None
    return one_line(get_text(one, "name") or name, where), data, kind
