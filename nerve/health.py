"""Whether a service is healthy: the probe of the containers and of `nerve serve`.

    python -m nerve.health http://HOST:PORT/PATH    healthy when the answer is 200
    python -m nerve.health https://HOST:PORT/PATH   the same, whoever signed the certificate
    python -m nerve.health grpc://HOST:PORT         healthy when grpc.health.v1 says SERVING

Exits with 0 when the service is healthy, with 1 and one line when it is not, with 2 for a bad
command line.
"""

import argparse
import http.client
import re
import ssl
import sys
from urllib.parse import SplitResult, urlsplit

from nerve.options import seconds

_OK = 200
_DEFAULT_TIMEOUT_S = 2.0
# What may stand in the first line of a request, RFC 9112, section 3: no blank, nothing but ASCII.
_PATH = re.compile(r"[!-~]*")
_FORMS = "http://HOST:PORT/PATH, https://HOST:PORT/PATH or grpc://HOST:PORT"


class Unhealthy(Exception):
    """The service does not answer, or answers that it is not ready."""


def main(arguments: list[str] | None = None) -> int:
    """Probes the address on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nerve.health", description="Ask a service whether it is healthy."
    )
    parser.add_argument("address", type=_address, help=_FORMS)
    parser.add_argument("--timeout", type=seconds, default=_DEFAULT_TIMEOUT_S, metavar="SECONDS")
    options = parser.parse_args(arguments)
    address: SplitResult = options.address
    check = check_grpc if address.scheme == "grpc" else check_http
    try:
        check(address, options.timeout)
    except Unhealthy as error:
        sys.stderr.write(f"{address.geturl()}: {error}\n")
        return 1
    return 0


def check_http(address: SplitResult, timeout_s: float) -> None:
    """Asks over HTTP; follows no redirect and uses no proxy.

    Args:
        address: `http://HOST:PORT/PATH`, or the same with `https`.
        timeout_s: for connecting, and again for each read.

    Raises:
        Unhealthy: there is no answer, or one other than 200.
    """
    connection = _connection(address, timeout_s)
    try:
        connection.request("GET", address.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unhealthy(f"no answer ({type(error).__name__})") from error
    finally:
        connection.close()
    if status != _OK:
        raise Unhealthy(f"answered {status}")


def _connection(address: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host = address.hostname or ""
    if address.scheme != "https":
        return http.client.HTTPConnection(host, address.port, timeout=timeout_s)
    # Nothing secret is sent or believed: the question is whether something answers. And a probe
    # asks by an address that the certificate, made for the outside, does not name.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, address.port, timeout=timeout_s, context=context)


def check_grpc(address: SplitResult, timeout_s: float) -> None:
    """Asks the health service of a gRPC server for the server as a whole.

    Args:
        address: `grpc://HOST:PORT`.
        timeout_s: for the whole call.

    Raises:
        Unhealthy: there is no answer, or one other than SERVING.
    """
    # Here, because the probe of the gateway runs every few seconds and needs none of it.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address.netloc, options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise Unhealthy(f"no answer ({error.code().name})") from error
    if response.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
        raise Unhealthy(f"answered {status}")


def _address(value: str) -> SplitResult:
    try:
        address = urlsplit(value)
        port = address.port
        (address.hostname or "").encode("idna")  # as it will be looked up
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if address.scheme not in ("http", "https", "grpc") or not address.hostname or not port:
        raise argparse.ArgumentTypeError(f"must be {_FORMS}")
    if not _PATH.fullmatch(address.path):
        raise argparse.ArgumentTypeError("PATH must be ASCII without blanks: write others as %XX")
    return address


if __name__ == "__main__":
    sys.exit(main())
