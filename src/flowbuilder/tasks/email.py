"""`email`: a mail by SMTP."""

from __future__ import annotations

import asyncio
import functools
import ssl
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import missing
from flowbuilder.tasks.mail import make_mail
from flowbuilder.tasks.params import mapping, text
from flowbuilder.tasks.specs.email import EMAIL

if TYPE_CHECKING:
    from email.message import EmailMessage

    from flowbuilder.core.connections import Connection
    from flowbuilder.tasks.api import Call


class Email:
    """Sends one mail; when `run` returns, the server has taken it for those in `accepted`."""

    spec = EMAIL

    async def run(self, call: Call) -> dict[str, Any]:
        """Do one attempt.

        Raises:
            TaskFailed: `email.connect`, `email.tls`, `email.login`, `email.refused` (nobody may get it),
                `email.busy` (the server asks to try later), `email.error`, `connection`, `input`.
        """
        params = mapping(call.params)
        connection = call.services.connection(call, text(params, "connection"))
        if connection.type != "smtp":
            raise TaskFailed(
                "connection", f"the connection '{connection.name}' is of type '{connection.type}', not 'smtp'"
            )
        make = functools.partial(make_mail, call, params, connection.get("from"))
        mail, recipients = await call.services.in_thread(make)
        refused = await send(connection, mail, recipients)
        return {
            "message_id": str(mail["Message-ID"]),
            "accepted": [address for address in recipients if address not in refused],
            "refused": refused,
        }


async def send(connection: Connection, mail: EmailMessage | None, recipients: list[str]) -> dict[str, str]:
    """Give a mail to the server, and return the addresses that it did not take; without one only log in."""
    try:
        import aiosmtplib  # an extra
    except ImportError:
        raise missing("aiosmtplib", "email") from None
    client = _client(aiosmtplib, connection)
    try:
        async with client:
            if mail is None:
                await client.noop()
                return {}
            refused, _ = await client.send_message(mail, recipients=recipients)
            return {address: f"{answer.code} {answer.message}" for address, answer in refused.items()}
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _failure(aiosmtplib, error) from None


def _client(aiosmtplib: Any, connection: Connection) -> Any:
    get = connection.get
    tls = get("tls", "starttls")
    if tls not in ("starttls", "implicit", "none"):
        raise TaskFailed(
            "connection", f"the connection '{connection.name}': 'tls' is 'starttls', 'implicit' or 'none'"
        )
    if not get("host"):
        raise TaskFailed("connection", f"the connection '{connection.name}' has no 'host'")
    port = int(get("port") or {"starttls": 587, "implicit": 465, "none": 25}[tls])
    return aiosmtplib.SMTP(
        hostname=get("host"),
        port=port,
        username=get("user"),
        password=get("password"),
        use_tls=tls == "implicit",
        start_tls=tls == "starttls",
        timeout=float(get("connect_timeout", 10)),
        tls_context=None if tls == "none" else _trust(get("verify", True)),
    )


def _trust(verify: Any) -> ssl.SSLContext:
    if isinstance(verify, str) and verify.lower() not in ("true", "false"):
        try:
            return ssl.create_default_context(cafile=verify)
        except (OSError, ssl.SSLError):
            raise TaskFailed(
                "connection", "'verify' names a file of certificates that cannot be read"
            ) from None
    context = ssl.create_default_context()
    if verify is False or verify == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _failure(aiosmtplib: Any, error: Exception) -> TaskFailed:
    code = getattr(error, "code", None)
    message = str(getattr(error, "message", "") or error).strip() or type(error).__name__
    data = {"code": code} if code else None
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        answers = {one.recipient: f"{one.code} {one.message}" for one in error.recipients}
        later = all(400 <= one.code < 500 for one in error.recipients)
        said = "; ".join(f"{who}: {what}" for who, what in answers.items())
        return TaskFailed("email.busy" if later else "email.refused", said, answers)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return TaskFailed("email.login", f"the server refuses the login: {code} {message}", data)
    if isinstance(error, ssl.SSLError) or "certificate" in message.lower():
        return TaskFailed("email.tls", message, data)
    if isinstance(
        error,
        aiosmtplib.SMTPConnectError | aiosmtplib.SMTPServerDisconnected | OSError | asyncio.TimeoutError,
    ):
        return TaskFailed("email.connect", message, data)
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return TaskFailed("email.connect", message, data)
    if isinstance(code, int) and 400 <= code < 500:
        return TaskFailed("email.busy", f"{code} {message}", data)
    return TaskFailed("email.error", f"{code} {message}" if code else message, data)
