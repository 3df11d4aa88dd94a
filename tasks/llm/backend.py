"""What answers requests (an endpoint or a local model), and what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tasks.llm.request import Request


@dataclass
class Counts:
    """What a run asked of its language model; for logs, not for metrics, because a second run asks less.

    Attributes:
        cached: replies that the cache had.
        asked: requests that went to the back-end.
        retried: tries after a failed one.
        repaired: replies that were mended before they could be read.
        re_asked: questions put a second time because the first reply could not be used.
    """

    cached: int = 0
    asked: int = 0
    retried: int = 0
    repaired: int = 0
    re_asked: int = 0


class Backend(Protocol):
    """Something that answers requests, several at a time; it knows nothing of caches and repairs."""

    name: str

    async def reply(self, request: Request) -> str:
        """The model's text as it came.

        Raises:
            ReplyError: the model refused or did not finish; no matter how often it is asked.
            UserError: it cannot be asked at all (no key, no such model).
            StageError: it failed too often.
        """
        ...

    async def close(self) -> None:
        """Ends connections and frees memory."""
        ...
