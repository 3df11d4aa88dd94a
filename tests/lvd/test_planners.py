"""Planners by name: one layout for each prompt in order, repeated prompts, samples, and prompts that get none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.captions.scene import SceneDescription, SceneObject
from tasks.common.errors import UserError
from tasks.llm.backend import Counts
from tasks.llm.errors import ReplyError
from tasks.llm.model import open_model
from tasks.lvd.layout import MOST_OBJECTS, DynamicSceneLayout
from tasks.lvd.planners import Planner, Plans, PlanSettings, needs_model, plan_prompts
from tests.llm.endpoint_for_tests import Answer, ScriptedEndpoint, completion, fails, hangs, says, serve, settings
from tests.lvd.layout_stage_for_tests import answers_all, boxes, caption_of
from tests.lvd.layout_stage_for_tests import key as key

pytestmark = pytest.mark.usefixtures("key")
SETTINGS = PlanSettings(frames=6, frames_per_second=2.0, slots="each")
PROMPTS = ["A red kite rises.", "Two owls sleep on a branch.", "A red kite rises.", "!!!", "A red kite rises."]
WITH_MODEL: tuple[Planner, ...] = ("slots/llm", "direct/lvd", "direct/dvd")


def parse(prompts: Sequence[str], how: PlanSettings = SETTINGS) -> Plans:
    return asyncio.run(plan_prompts("slots/parser", prompts, how, None, "test"))


def plan(
    planner: Planner,
    endpoint: ScriptedEndpoint,
    folder: Path,
    prompts: Sequence[str] = PROMPTS,
    how: PlanSettings = SETTINGS,
    **changes: Any,
) -> tuple[Plans, Counts]:
    """Plans by a model, and what it was asked."""

    async def run() -> tuple[Plans, Counts]:
        async with open_model(settings(endpoint.url, **changes), folder / "replies.jsonl") as model:
            return await plan_prompts(planner, prompts, how, model, "test"), model.counts

    return asyncio.run(run())


def outcome(plan: DynamicSceneLayout | ReplyError) -> str:
    return plan.reason if isinstance(plan, ReplyError) else plan.prompt


def test_the_parser_plans_each_prompt_in_order() -> None:
    plans = parse(PROMPTS)
    assert [outcome(plan) for plan in plans.layouts] == [*PROMPTS[:3], "no-objects", PROMPTS[4]]
    kite, owls, again, nothing, _ = plans.layouts
    assert kite == again
    assert isinstance(kite, DynamicSceneLayout)
    assert isinstance(owls, DynamicSceneLayout)
    assert [item.name for item in kite.frames[0]] == ["red kite"]
    assert [item.name for item in owls.frames[0]][:2] == ["owl", "owl"]
    assert {planned.planner for planned in (kite, owls)} == {"slots/parser"}
    assert isinstance(nothing, ReplyError)
    assert (nothing.raw, plans.repairs) == ("", {})


@pytest.mark.parametrize("frames", [2, 6, 64])
def test_layouts_have_as_many_frames_as_asked_for(frames: int) -> None:
    (planned,) = parse(["A kite falls."], PlanSettings(frames, 2.0, "each")).layouts
    assert isinstance(planned, DynamicSceneLayout)
    assert len(planned.frames) == frames


def test_no_prompts_no_layouts(tmp_path: Path) -> None:
    assert parse([]).layouts == []
    with serve(says("never")) as endpoint:
        assert plan("direct/lvd", endpoint, tmp_path, []) == (Plans(), Counts())


HOSTILE = [
    "\x00\x1b[31m\u202e",
    "../../etc/passwd",
    "-rf CON",
    "{'id': 0} Frame 1: []",
    "twenty kites, " * 600,
    "(" * 9_000,
    "k" * 10_000,
    "é" * 5 + "e\u0301",
    "👩‍👩‍👧‍👦 and a kite",
]


def test_hostile_prompts_get_a_layout_or_a_reason() -> None:
    for prompt, planned in zip(HOSTILE, parse(HOSTILE).layouts, strict=True):
        assert outcome(planned) in (prompt, "no-objects")


def test_only_the_parser_needs_no_model() -> None:
    assert [planner for planner in get_args(Planner) if not needs_model(planner)] == ["slots/parser"]


@pytest.mark.parametrize("planner", WITH_MODEL)
def test_a_model_is_asked_once_for_a_repeated_prompt(planner: Planner, tmp_path: Path) -> None:
    with serve(answers_all) as endpoint:
        plans, counts = plan(planner, endpoint, tmp_path, PROMPTS[:3], output="json_object")
    assert [outcome(planned) for planned in plans.layouts] == PROMPTS[:3]
    assert plans.layouts[0] is plans.layouts[2]
    assert isinstance(plans.layouts[0], DynamicSceneLayout)
    assert plans.layouts[0].planner == f"{planner} test-model"
    captions = [caption_of(body) for body in endpoint.bodies if planner in ("direct/lvd", "direct/dvd")]
    assert captions in ([], PROMPTS[:2], PROMPTS[1::-1])
    assert counts.asked == len(endpoint.bodies)


def counting(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """Another place for each call."""
    with server.lock:
        return completion(boxes("kite", 7 * len(server.bodies)))


@pytest.mark.parametrize(("temperature", "distinct"), [(0.0, 1), (0.5, 3)])
def test_a_repeated_prompt_gets_its_own_sample_if_replies_vary(temperature: float, distinct: int, tmp_path: Path) -> None:
    with serve(counting) as endpoint:
        plans, counts = plan("direct/lvd", endpoint, tmp_path, ["A kite."] * 3, output="text", temperature=temperature)
        again, later = plan("direct/lvd", endpoint, tmp_path, ["A kite."] * 3, output="text", temperature=temperature)
        more, _ = plan("direct/lvd", endpoint, tmp_path, ["A kite."] * 4, output="text", temperature=temperature)
        assert len(endpoint.bodies) == (1 if temperature == 0 else 4)
    assert len({plan.model_dump_json() for plan in plans.layouts if isinstance(plan, DynamicSceneLayout)}) == distinct
    assert (counts.asked, later.asked, later.cached) == (distinct, 0, distinct)
    assert again.layouts == plans.layouts
    assert more.layouts[:3] == plans.layouts


def test_slots_are_filled_once_at_any_temperature(tmp_path: Path) -> None:
    with serve(answers_all) as endpoint:
        plans, counts = plan("slots/llm", endpoint, tmp_path, ["A red kite rises."] * 3, temperature=1.0)
    assert len({id(planned) for planned in plans.layouts}) == 1
    assert counts.asked == len(endpoint.bodies) <= 10


def test_the_order_of_replies_does_not_matter(tmp_path: Path) -> None:
    prompts = [f"A kite of {number} colours" for number in range(12)]

    def slow_first(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        time.sleep(0.02 * (12 - prompts.index(caption_of(body))) / 12)
        return answers_all(server, body)

    found = []
    for answer, in_flight in ((answers_all, 1), (slow_first, 12)):
        with serve(answer) as endpoint:
            plans, _ = plan("direct/lvd", endpoint, tmp_path / str(in_flight), prompts, output="text", in_flight=in_flight)
        found.append(plans.layouts)
        assert endpoint.most_at_once <= in_flight
    assert found[0] == found[1]
    assert [outcome(planned) for planned in found[0]] == prompts


@pytest.mark.parametrize("planner", WITH_MODEL)
def test_a_prompt_without_a_usable_reply_is_told_and_others_go_on(planner: Planner, tmp_path: Path) -> None:
    def moody(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        return completion("I would rather not.") if "owls" in caption_of(body) else answers_all(server, body)

    with serve(moody) as endpoint:
        plans, counts = plan(planner, endpoint, tmp_path, PROMPTS[:3], output="json_object")
    good, bad, _ = plans.layouts
    assert isinstance(good, DynamicSceneLayout)
    assert isinstance(bad, ReplyError)
    assert (bad.reason, bad.raw) == ("not_json" if planner == "slots/llm" else "no-layout", "I would rather not.")
    assert counts.re_asked == 1


def test_a_scene_without_objects_is_told(tmp_path: Path) -> None:
    together = PlanSettings(6, 2.0, "together")
    with serve(says('{"objects": [], "background": "fog"}')) as endpoint:
        plans, counts = plan("slots/llm", endpoint, tmp_path, ["Fog."], together)
    assert [outcome(planned) for planned in plans.layouts] == ["no-objects"]
    assert counts.asked == 1


def test_a_scene_with_too_many_objects_is_cut(tmp_path: Path) -> None:
    crowd = SceneDescription(objects=tuple(SceneObject(name=f"kite {number}", count=20) for number in range(20)))
    with serve(says(crowd.model_dump_json())) as endpoint:
        plans, _ = plan("slots/llm", endpoint, tmp_path, ["Many kites."], PlanSettings(2, 2.0, "together"))
    (planned,) = plans.layouts
    assert isinstance(planned, DynamicSceneLayout)
    assert max(map(len, planned.frames)) <= MOST_OBJECTS


def test_repairs_are_counted_however_often_a_run_is_repeated(tmp_path: Path) -> None:
    prompts = [f"A kite of {number} colours" for number in range(5)]
    outside = boxes("kite", 500)
    with serve(says(outside)) as endpoint:
        first, counts = plan("direct/lvd", endpoint, tmp_path, prompts, output="text")
        second, later = plan("direct/lvd", endpoint, tmp_path, prompts, output="text")
    assert first.repairs == second.repairs
    assert first.repairs["clipped"] == 6 * 5
    assert counts.repaired == later.repaired == 5


@pytest.mark.parametrize("answer", [fails("401 Unauthorized"), fails("404 Not Found")], ids=["key", "model"])
def test_what_no_prompt_can_mend_ends_all(answer: Answer, tmp_path: Path) -> None:
    prompts = [f"A kite of {number} colours" for number in range(50)]
    with serve(answer, answer, hangs) as endpoint:
        start = time.monotonic()
        with pytest.raises(UserError):
            plan("direct/lvd", endpoint, tmp_path, prompts, output="text", in_flight=1)
        assert time.monotonic() - start < 5
        assert len(endpoint.bodies) == 1


def test_a_model_with_a_long_name_is_named_in_part(tmp_path: Path) -> None:
    with serve(answers_all) as endpoint:
        plans, _ = plan("direct/lvd", endpoint, tmp_path, ["A kite."], output="text", model="m" * 200)
    (planned,) = plans.layouts
    assert isinstance(planned, DynamicSceneLayout)
    assert planned.planner.startswith("direct/lvd mmm")
    assert json.loads((tmp_path / "replies.jsonl").read_text().splitlines()[1])["model"] == "m" * 200
