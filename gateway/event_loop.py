"""The gateway's event loop: uvloop, whose servers do not wait long for a TLS handshake.

Until its handshake is over a connection is not yet one for uvicorn, so none of the limits of
`gateway.connection` holds it; the loop's own patience is a minute.
"""

from typing import Any

import uvloop


class HandshakeLimitedLoop(uvloop.Loop):
    """Cuts callers whose TLS handshake takes too long.

    Attributes:
        handshake_timeout_s: what is too long.
    """

    handshake_timeout_s: float

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        """Make a server; see `asyncio`."""
        if kwargs.get("ssl") is not None:
            kwargs.setdefault("ssl_handshake_timeout", self.handshake_timeout_s)
        return await super().create_server(*args, **kwargs)


def new_loop(handshake_timeout_s: float) -> HandshakeLimitedLoop:
    """Make a loop; its owner closes it.

    Args:
        handshake_timeout_s: time in which a TLS handshake must end.
    """
    loop = HandshakeLimitedLoop()
    loop.handshake_timeout_s = handshake_timeout_s
    return loop
