"""The layer that ends the work for a caller who has gone away."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.middleware import HttpLayer

# Longer than most answers take, shorter than anyone minds that abandoned work goes on.
_PATIENCE_S: Final = 0.1


class DisconnectLayer(HttpLayer):
    """Cancels the work for a caller that has gone away.

    Callers are watched from the moment that they have waited for `_PATIENCE_S`: until then their
    work is likely to be done anyway, and a task that watches costs a fiftieth of what it saves.

    Args:
        app: the next layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._patience: Final = _Patience()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = _Watch(receive, send, self._patience)
        try:
            await self.app(scope, watch.receive, watch.send)
        except ClientDisconnect:
            # It went away while it still sent the body.
            return
        except asyncio.CancelledError:
            if not watch.ends_this_cancellation():
                raise
        finally:
            watch.close()


class _Patience:
    """Those who wait, by how long they do; starts the watch over those who wait long."""

    def __init__(self) -> None:
        self._new: set[_Watch] = set()
        self._waiting: set[_Watch] = set()
        self._ticking = False

    def add(self, watch: "_Watch") -> None:
        """Start the watch in one to two `_PATIENCE_S`, unless it is removed before."""
        self._new.add(watch)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(_PATIENCE_S, self._tick)

    def remove(self, watch: "_Watch") -> None:
        self._new.discard(watch)
        self._waiting.discard(watch)

    def _tick(self) -> None:
        for watch in self._waiting:
            watch.start()
        self._waiting, self._new = self._new, set()
        # Ends by itself when nobody waits, so that nobody has to end it.
        self._ticking = bool(self._waiting)
        if self._ticking:
            asyncio.get_running_loop().call_later(_PATIENCE_S, self._tick)


class _Watch:
    """Waits for the caller to go away once the body is in, and cancels the request's task."""

    def __init__(self, receive: Receive, send: Send, patience: _Patience) -> None:
        self._receive: Final = receive
        self._send: Final = send
        self._patience: Final = patience
        self._request: Final = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._answered = False
        self._gone = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._patience.add(self)
        return message

    async def send(self, message: Message) -> None:
        # Noted before sending: a server reports the end of an answer as a disconnect too.
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True
        await self._send(message)

    def start(self) -> None:
        """Watch from now on."""
        self._watcher = asyncio.create_task(self._wait())

    def ends_this_cancellation(self) -> bool:
        """Take back the cancellation that a disconnect caused; False if anyone else cancels too."""
        return self._gone and self._request is not None and self._request.uncancel() == 0

    def close(self) -> None:
        """End the watching task; it ends at its next step and holds nothing until then."""
        self._patience.remove(self)
        if self._watcher is not None:
            self._watcher.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._answered and self._request is not None:
            self._gone = True
            self._request.cancel()
