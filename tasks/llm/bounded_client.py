"""An HTTP client that reads no more of a body than it may, and none that unpacks into something larger."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx


class BodyTooLarge(httpx.RequestError):
    """The body goes on beyond the limit."""


class _Bounded(httpx.AsyncByteStream):
    """A body up to a limit; beyond it, an error's page ends there, and a reply is refused."""

    def __init__(self, body: httpx.AsyncByteStream, most_bytes: int, *, cut: bool) -> None:
        self._body, self._left, self._cut = body, most_bytes, cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self._left -= len(chunk)
            if self._left >= 0:
                yield chunk
            elif self._cut:
                return
            else:
                raise BodyTooLarge("the body is too large")

    async def aclose(self) -> None:
        await self._body.aclose()


def bounded_client(most_bytes: int, connections: int) -> httpx.AsyncClient:
    """A client without deadlines of its own, which follows no redirects; its user sets one deadline for the whole call.

    It asks for plain bodies and refuses packed ones with `httpx.DecodingError`.
    """

    async def bound(response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise httpx.DecodingError("the body is packed", request=response.request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Bounded(response.stream, most_bytes, cut=response.status_code >= 300)

    return httpx.AsyncClient(
        timeout=None,  # noqa: S113 - `Endpoint` ends the whole call; a timeout here would begin anew with every byte
        headers={"Accept-Encoding": "identity"},
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        event_hooks={"response": [bound]},
    )
