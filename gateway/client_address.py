"""The address that a request came from, behind proxies too."""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from starlette.types import Scope

# One customer of a provider gets a whole /64 of IPv6 addresses: its network is the caller.
_IPV6_PREFIX: Final = 64
_UNKNOWN: Final = "unknown"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(scope: Scope, proxies: Sequence[Network]) -> str:
    """Say whose request it is by its address.

    `X-Forwarded-For` counts only as far as trusted proxies wrote it: from its right end, the first
    address that is no trusted proxy's. What stands left of that, the caller could have made up.

    Args:
        scope: the request's.
        proxies: networks whose `X-Forwarded-For` is believed.
    """
    client = scope.get("client")
    address = _parse(client[0]) if client else None
    if address is None:
        return _UNKNOWN
    if proxies and _trusted(address, proxies):
        address = _forwarded(scope, proxies) or address
    return _named(address)


def _forwarded(scope: Scope, proxies: Sequence[Network]) -> Address | None:
    written = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    farthest: Address | None = None
    for part in reversed(written.decode("latin-1").split(",")):
        address = _parse(part.strip())
        if address is None:
            break
        farthest = address
        if not _trusted(address, proxies):
            break
    return farthest


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _trusted(address: Address, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies)


def _named(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address.packed, _IPV6_PREFIX), strict=False))
