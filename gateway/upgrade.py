"""A request's wish for another protocol, which a server may ignore (RFC 9110, 7.8).

Java's client wishes for h2c with each request on a new connection. The parser leaves off behind the
head of such a request, and would take its body for the next request. So the head is written anew
without the wish, and parsed in place of the first one: where the body ends is then found as for any
other request, and all that the parser refuses is refused as ever.
"""

from collections.abc import Iterable
from typing import Final

_UPGRADE: Final = b"upgrade"


def head_without_upgrade(
    request_line: tuple[bytes, bytes, str], fields: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Write a head that was parsed, but for its wish.

    Args:
        request_line: method, target, and the version's number.
        fields: names, in lower case, and values, in order.
    """
    method, target, version = request_line
    lines = [method + b" " + target + b" HTTP/" + version.encode()]
    lines += [name + b": " + value for name, value in fields if name != _UPGRADE]
    return b"\r\n".join([*lines, b"", b""])
