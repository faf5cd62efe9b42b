"""HTTPS and mTLS before the gateway."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from credentials.certificates import TlsFiles
from credentials.errors import CredentialInvalid
from gateway.settings import GatewaySettings
from gateway.tls import renewed_context
from tests.certificates import Authority, Issued
from tests.gateway.conftest import Serve
from tests.gateway.polling import until
from tests.gateway.raw_http import send_raw

_HEALTH = "/healthz"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs the gateway's certificate, and with mTLS its callers'."""
    return Authority(tmp_path, "ours")


@pytest.fixture
def server(authority: Authority) -> Issued:
    """The gateway's certificate."""
    return authority.issue("gateway")


@pytest.fixture
def https(settings: GatewaySettings, server: Issued) -> GatewaySettings:
    """Settings with HTTPS."""
    files = {"tls_cert_file": server.certificate, "tls_key_file": server.key}
    return settings.model_copy(update=files)


@pytest.fixture
def mutual(https: GatewaySettings, authority: Authority) -> GatewaySettings:
    """Settings that ask callers for a certificate too."""
    return https.model_copy(update={"tls_client_ca_file": authority.file})


def _trusting(authority: Authority, shown: Issued | None = None) -> ssl.SSLContext:
    """A caller that trusts an authority, and may show a certificate."""
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


async def _serial(http: httpx.AsyncClient, tls: ssl.SSLContext) -> int:
    """The serial number of the certificate that a fresh connection is shown."""
    host, port = http.base_url.host, http.base_url.port
    _, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname="localhost")
    shown = writer.get_extra_info("peercert")
    writer.close()
    return int(shown["serialNumber"], 16)


async def test_https_is_served(https: GatewaySettings, serve: Serve, authority: Authority) -> None:
    async with serve(https, _trusting(authority)) as http:
        assert (await http.get(_HEALTH)).status_code == 200
        answer = await http.post("/v1/entities", json={"text": "Tim"})
        assert answer.json()["entities"][0]["text"] == "Tim"


async def test_a_plain_request_to_an_https_port_gets_no_answer(
    https: GatewaySettings, serve: Serve, authority: Authority
) -> None:
    async with serve(https, _trusting(authority)) as http:
        answer = await send_raw(http, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answer.statuses == []
        assert (await http.get(_HEALTH)).status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_versions_of_tls_are_refused(
    https: GatewaySettings, serve: Serve, authority: Authority, version: ssl.TLSVersion
) -> None:
    old = _trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = version, version
    async with serve(https, _trusting(authority)) as http:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await _serial(http, old)


async def test_a_caller_that_trusts_another_authority_refuses_the_gateway(
    https: GatewaySettings, serve: Serve, tmp_path: Path
) -> None:
    async with serve(https, _trusting(Authority(tmp_path, "another"))) as http:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(_HEALTH)


async def test_with_mtls_a_certificate_of_the_authority_is_answered(
    mutual: GatewaySettings, serve: Serve, authority: Authority
) -> None:
    async with serve(mutual, _trusting(authority, authority.issue("caller"))) as http:
        assert (await http.get(_HEALTH)).status_code == 200


async def test_with_mtls_no_other_caller_is_answered_not_even_about_health(
    mutual: GatewaySettings, serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """None, one of another authority, and one that has expired."""
    stranger = Authority(tmp_path, "another").issue("stranger")
    expired = authority.issue("late", days=(-3, -1))
    for shown in (None, stranger, expired):
        async with serve(mutual, _trusting(authority, shown)) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(_HEALTH)


async def test_a_new_certificate_is_shown_without_a_restart_and_cuts_nobody(
    https: GatewaySettings, serve: Serve, authority: Authority, server: Issued
) -> None:
    tls = _trusting(authority)
    async with serve(https, tls) as http:
        assert (await http.get(_HEALTH)).status_code == 200
        before = await _serial(http, tls)
        authority.issue("gateway", file=server.certificate.stem)

        async def renewed() -> bool:
            return await _serial(http, tls) != before

        await until(renewed)
        assert (await http.get(_HEALTH)).status_code == 200  # on the connection that stood


async def test_a_withdrawn_authority_lets_nobody_in_any_more(
    mutual: GatewaySettings, serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """A context that was told of an authority cannot forget it: there is a new one."""
    old_caller = _trusting(authority, authority.issue("caller"))
    other = Authority(tmp_path / "other", "other")
    new_caller = _trusting(authority, other.issue("new-caller"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    settings = mutual.model_copy(update={"tls_client_ca_file": trusted})
    async with serve(settings, old_caller) as http:
        assert (await http.get(_HEALTH)).status_code == 200
        trusted.write_bytes(other.file.read_bytes())
        url = str(http.base_url)

        async def new_is_let_in() -> bool:
            async with httpx.AsyncClient(base_url=url, verify=new_caller, trust_env=False) as new:
                try:
                    return (await new.get(_HEALTH)).status_code == 200
                except httpx.TransportError:
                    return False

        await until(new_is_let_in)
        async with httpx.AsyncClient(base_url=url, verify=old_caller, trust_env=False) as old:
            with pytest.raises(httpx.TransportError):
                await old.get(_HEALTH)


async def test_broken_files_leave_the_old_certificate_in_force(
    https: GatewaySettings,
    serve: Serve,
    authority: Authority,
    server: Issued,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Such as a certificate whose key has not been replaced yet."""
    tls = _trusting(authority)
    async with serve(https, tls) as http:
        before = await _serial(http, tls)
        server.certificate.write_bytes(authority.issue("else").certificate.read_bytes())
        said = ""

        async def refused() -> bool:
            nonlocal said
            assert await _serial(http, tls) == before
            said += "".join(capfd.readouterr())
            return "files_refused" in said

        await until(refused)
        assert "KEY_VALUES_MISMATCH" in said
        authority.issue("gateway", file=server.certificate.stem)

        async def renewed() -> bool:
            return await _serial(http, tls) != before

        await until(renewed)


def test_files_that_cannot_be_used_are_refused_at_the_start(
    authority: Authority, server: Issued, tmp_path: Path
) -> None:
    """And the message names the file, and repeats nothing of it."""
    junk = tmp_path / "junk.pem"
    junk.write_text("hush")
    other = authority.issue("other")
    for files in (
        TlsFiles(tmp_path / "missing.pem", server.key),
        TlsFiles(junk, server.key),
        TlsFiles(server.certificate, junk),
        TlsFiles(server.certificate, other.key),
        TlsFiles(server.certificate, server.key, junk),
        TlsFiles(server.certificate, server.key, tmp_path / "missing.pem"),
    ):
        with pytest.raises(CredentialInvalid, match=r"\.pem") as caught:
            renewed_context(files)
        assert "hush" not in str(caught.value)
