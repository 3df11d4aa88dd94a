"""The language model that stages ask: a back-end behind the reply cache. With a full cache nothing else is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from tasks.llm.backend import Backend, Counts
from tasks.llm.errors import ReplyError
from tasks.llm.parameters import LanguageModel
from tasks.llm.reply_cache import Record, ReplyCache
from tasks.llm.request import Request, request_key

_MOST_DETAIL = 300
Item = TypeVar("Item")


class CachedModel:
    """Answers each distinct request once, now and in later runs.

    Attributes:
        parameters: which model, and how it is asked.
        counts: what was asked so far.
    """

    def __init__(self, parameters: LanguageModel, cache: ReplyCache) -> None:
        self.parameters = parameters
        self.counts = Counts()
        self._cache = cache
        self._backend: Backend | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def reply(self, request: Request) -> str:
        """The model's text, from the cache if it is there; equal requests at the same time make one call.

        Raises:
            ReplyError: the model refused or did not finish, now or when it was first asked.
            UserError: it must be asked and cannot be (no key, no such model).
            StageError: it failed too often.
        """
        key = request_key(self.parameters.model, self.parameters.reply_settings(), request)
        async with self._locks.setdefault(key, asyncio.Lock()):
            record = self._cache.get(key)
            if record is None:
                record = self._cache.add(key, self.parameters.model, _question(request), await self._ask(request))
            else:
                self.counts.cached += 1
        if record.reason:
            raise ReplyError(record.reason, record.detail, record.reply)
        return record.reply

    async def _ask(self, request: Request) -> Record:
        if self._backend is None:
            self._backend = _open_backend(self.parameters, self.counts)
        self.counts.asked += 1
        try:
            return Record(await self._backend.reply(request))
        except ReplyError as error:
            return Record(error.raw, error.reason, error.detail[:_MOST_DETAIL])

    async def close(self) -> None:
        """Flushes the cache and closes the back-end, if one was needed."""
        self._cache.close()
        if self._backend is not None:
            await self._backend.close()


def _question(request: Request) -> str:
    return next((message.content for message in reversed(request.messages) if message.role == "user"), "")


def _open_backend(parameters: LanguageModel, counts: Counts) -> Backend:
    """Imports only what the back-end needs: the client takes half a second, the local model's runtime may be missing."""
    if parameters.backend == "local":
        from tasks.llm.local_model import LocalModel

        return LocalModel(parameters)
    from tasks.llm.endpoint import Endpoint

    return Endpoint(parameters, counts)


@asynccontextmanager
async def open_model(parameters: LanguageModel, replies: Path) -> AsyncIterator[CachedModel]:
    """A model for the length of a block.

    Args:
        parameters: which model, and how it is asked.
        replies: the cache file; made with the first reply, or by `ReplyCache(replies).ensure()`.
    """
    model = CachedModel(parameters, ReplyCache(replies))
    try:
        yield model
    finally:
        await model.close()


async def ask_all(
    calls: Iterable[Coroutine[Any, Any, Item]],
    watch: Callable[[Iterable[Awaitable[Item]]], Iterable[Awaitable[Item]]] = iter,
) -> list[Item]:
    """Runs calls at the same time; results in their order. The first that raises ends the others and is raised itself.

    Args:
        calls: what to run.
        watch: sees the calls as they end, such as `tasks.common.progress.track`.
    """
    running = [asyncio.ensure_future(call) for call in calls]
    try:
        for ended in watch(asyncio.as_completed(running)):
            await ended
        return [call.result() for call in running]
    finally:
        for call in running:
            call.cancel()
        await asyncio.gather(*running, return_exceptions=True)
