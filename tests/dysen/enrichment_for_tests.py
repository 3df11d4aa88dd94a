"""Sequences to enrich, and endpoints that answer questions for details and edits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from tasks.dysen.graphs.attributed_ticks import attributed_ticks
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph, scene_graph
from tasks.dysen.graphs.event_grammar import parse_events, parse_triplets
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.llm.model import CachedModel, open_model
from tests.llm.endpoint_for_tests import Answer, ScriptedEndpoint, completion, serve, settings

Result = TypeVar("Result")

LADY = "a lady in red sits on a chair and then looks out of the window"
LADY_EVENTS = "(lady, sit on, chair, (0v, 2v)) (lady, look out of, window, (2v, 3v))"
DOGS = "a red dog runs to the right past a white cat that is sitting still"
DOGS_EVENTS = "(red dog, run to, right, (0v, 3v)) (white cat, stay in, scene, (0v, 3v))"


def planned(prompt: str = LADY, events: str = LADY_EVENTS, *, attributed: bool = False) -> DynamicSceneGraph:
    """A sequence as it is planned."""
    found = parse_events(events).events
    ticks = attributed_ticks(found) if attributed else graphs_of(found)
    return DynamicSceneGraph(prompt=prompt, events=found, ticks=ticks, source="planned")


def graph(text: str) -> SceneGraph:
    """A scene graph of triplets and pairs."""
    found = parse_triplets(text)
    assert not found.problems or not text
    return scene_graph(found.triplets, found.attributes)


def question_of(body: dict[str, Any]) -> str:
    """The last thing that an endpoint was asked."""
    return str(body["messages"][-1]["content"])


def is_for_details(body: dict[str, Any]) -> bool:
    """Whether a tick is asked for, not edits of the whole."""
    return question_of(body).endswith("Details of now:")


def answering(details: Callable[[str], str], polish: str = "keep", repair: str = "keep") -> Answer:
    """An endpoint's answers: details by the question, and edits."""

    def answer(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        question = question_of(body)
        if is_for_details(body):
            return completion(details(question))
        return completion(repair if "What is wrong:" in question else polish)

    return answer


def with_endpoint(
    answer: Answer, use: Callable[[CachedModel], Awaitable[Result]], folder: Path, **changes: Any
) -> tuple[Result, ScriptedEndpoint]:
    """What comes of a model behind an endpoint, and the endpoint."""

    async def opened(url: str) -> Result:
        async with open_model(settings(url, key_variable=None, **changes), folder / "replies.jsonl") as model:
            return await use(model)

    with serve(answer) as server:
        return asyncio.run(opened(server.url)), server
