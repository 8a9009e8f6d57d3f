"""`email`: mails as a real server on this machine takes them."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from database_servers import free_port

from flowbuilder.testing import load_text, run_flow

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView

PASSWORD = "hush-hush:p@ss/word"


class Box:
    """Takes mails for all but `refused@…`; `later@…` is to be tried again."""

    def __init__(self) -> None:
        self.mails: list[tuple[Envelope, EmailMessage]] = []

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address.startswith("refused"):
            return "550 no such user here"
        if address.startswith("later"):
            return "450 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append((envelope, parsed))
        return "250 taken"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate for `localhost` that nobody but a test trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
    assert isinstance(login, LoginPassword)
    good = login.login == b"flows" and login.password == PASSWORD.encode()
    return AuthResult(success=good, handled=good)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def server(box: Box) -> Iterator[Controller]:
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def safe_server(box: Box, certificate: Path) -> Iterator[Controller]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    controller = Controller(
        box, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=True,
        authenticator=authenticate, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield controller
    controller.stop()


def port_of(controller: Controller) -> int:
    assert controller.server is not None
    port: int = controller.server.sockets[0].getsockname()[1]
    return port


Send = Callable[..., Any]


@pytest.fixture
def send(server: Controller, tmp_path: Path) -> Send:
    """Return what sends a mail over the plain server, and returns the run."""

    async def run(**params: Any) -> RunView:
        given = {
            "connection": f"smtp://localhost:{port_of(server)}?tls=none",
            "from": "Flows <flows@example.com>",
            **params,
        }
        text = f"flow: mail\ntasks:\n  a:\n    type: email\n    with: {msgspec.json.encode(given).decode()}\n"
        return await run_flow(load_text(text, tmp_path))

    return run


async def test_a_mail_arrives_with_all_that_was_said(send: Send, box: Box, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("a,b\n")

    view = await send(
        to=["Ada <ada@example.com>", "bob@example.com, cy@example.com"],
        cc="dora@example.com",
        bcc="eve@example.com",
        reply_to="answers@example.com",
        subject="Bericht für März 😀",
        text="Grüße",
        html="<p>Grüße</p>",
        attachments=["report.csv", {"content": {"a": 1}, "name": "données.json"}],
        headers={"X-Team": "reports"},
    )

    assert view.status == "succeeded", view.error
    ((envelope, mail),) = box.mails
    everybody = [
        "ada@example.com",
        "bob@example.com",
        "cy@example.com",
        "dora@example.com",
        "eve@example.com",
    ]
    assert sorted(envelope.rcpt_tos) == view.tasks["a"].output["accepted"] == everybody
    assert mail["From"] == "Flows <flows@example.com>"
    assert mail["To"] == "Ada <ada@example.com>, bob@example.com, cy@example.com"
    assert "Bcc" not in mail
    assert mail["Subject"] == "Bericht für März 😀"
    assert mail["X-Team"] == "reports"
    assert mail["Message-ID"] == view.tasks["a"].output["message_id"]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (plain.get_content().strip(), html.get_content().strip()) == ("Grüße", "<p>Grüße</p>")
    attached = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert attached["report.csv"].replace("\r\n", "\n") == "a,b\n"
    assert attached["données.json"] == b'{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    "params",
    [
        {"to": "ada@example.com\r\nBcc: eve@example.com"},
        {"to": ["ada@example.com", "eve@example.com\n"]},
        {"to": "ada@example.com", "subject": "x\nBcc: eve@example.com"},
        {"to": "ada@example.com", "from": "x@example.com\nBcc: eve@example.com"},
        {"to": "ada@example.com", "headers": {"X-A": "1\r\nBcc: eve@example.com"}},
        {"to": "ada@example.com", "headers": {"X-A: 1\r\nBcc": "eve@example.com"}},
        {"to": "ada@example.com", "headers": {"Bcc": "eve@example.com"}},
        {"to": "ada@example.com", "attachments": [{"content": "x", "name": "a\r\nX: y"}]},
        {"to": "no address"},
        {"to": []},
        {"to": ""},
        {"to": "ada@example.com", "from": " "},
        {"to": "ada@example.com", "from": "a@example.com, b@example.com"},
    ],
)
async def test_no_value_becomes_a_header_of_its_own(send: Send, box: Box, params: dict[str, Any]) -> None:
    view = await send(**params)

    assert view.error is not None
    assert view.error["kind"] == "input"
    assert box.mails == []


async def test_who_is_refused_is_named_and_the_others_get_it(send: Send, box: Box) -> None:
    view = await send(to=["refused@example.com", "ada@example.com"])
    assert view.tasks["a"].output["accepted"] == ["ada@example.com"]
    assert view.tasks["a"].output["refused"] == {"refused@example.com": "550 no such user here"}

    view = await send(to="refused@example.com")
    assert view.error["kind"] == "email.refused"

    view = await send(to="later@example.com")
    assert view.error["kind"] == "email.busy"
    assert len(box.mails) == 1


async def test_a_login_goes_over_a_safe_line(
    safe_server: Controller, box: Box, certificate: Path, tmp_path: Path
) -> None:
    (tmp_path / "flowbuilder.toml").write_text(
        f'[profiles.dev.connections.mail]\ntype = "smtp"\nhost = "localhost"\nport = {port_of(safe_server)}\n'
        f'user = "flows"\npassword = "${{secrets.MAIL}}"\nverify = "{certificate}"\nfrom = "flows@example.com"\n'
    )
    flow = load_text(
        "flow: mail\nconnections: {mail: smtp}\ntasks:\n"
        "  a: {type: email, with: {connection: mail, to: ada@example.com, subject: hello, text: hi}}\n",
        tmp_path,
    )

    view = await run_flow(flow, secrets={"MAIL": PASSWORD})
    assert view.status == "succeeded", view.error
    assert box.mails[0][1]["From"] == "flows@example.com"

    view = await run_flow(flow, secrets={"MAIL": "wrong-password"})
    assert view.error is not None
    assert view.error["kind"] == "email.login"
    assert "wrong-password" not in str(view.error)


async def test_a_certificate_that_nobody_trusts_ends_it(
    safe_server: Controller, box: Box, tmp_path: Path
) -> None:
    url = f"smtp://flows:x@localhost:{port_of(safe_server)}"
    flow = load_text(
        f"flow: mail\ntasks:\n  a: {{type: email, with: {{connection: '{url}', from: a@example.com, to: b@example.com}}}}\n",
        tmp_path,
    )
    view = await run_flow(flow)

    assert view.error is not None
    assert view.error["kind"] == "email.tls"
    assert box.mails == []


async def test_where_nobody_listens_the_error_says_so(tmp_path: Path) -> None:
    flow = load_text(
        "flow: mail\ntasks:\n  a: {type: email, with: {connection: 'smtp://localhost:1?tls=none', from: a@example.com, to: b@example.com}}\n",
        tmp_path,
    )
    view = await run_flow(flow)

    assert view.error is not None
    assert view.error["kind"] == "email.connect"
