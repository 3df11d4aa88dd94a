"""Planners by name: from prompts to dynamic scene layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tasks.captions.clause_parser import ClauseParser
from tasks.captions.scene import SceneDescription
from tasks.captions.slot_filler import describe_each, describe_together
from tasks.common.progress import track
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all
from tasks.lvd.direct_planner import DirectSettings, plan_direct
from tasks.lvd.direct_templates import Template
from tasks.lvd.errors import PlanError
from tasks.lvd.kinematics import lay_out
from tasks.lvd.layout import MOST_PLANNER, DynamicSceneLayout

Planner = Literal["slots/parser", "slots/llm", "direct/lvd", "direct/dvd"]
Slots = Literal["each", "together"]
_TEMPLATES: dict[Planner, Template] = {"direct/lvd": "lvd", "direct/dvd": "dvd"}
_AT_A_TIME = 1_000


@dataclass(frozen=True)
class PlanSettings:
    """What a plan depends on besides prompt and model.

    Attributes:
        frames: of a layout.
        frames_per_second: as told to a model that writes boxes.
        slots: whether a language model fills each slot of a scene by itself, or all together.
    """

    frames: int
    frames_per_second: float
    slots: Slots


@dataclass
class Plans:
    """What came of a list of prompts.

    Attributes:
        layouts: one for each prompt, or why there is none.
        repairs: how often what had to be mended.
    """

    layouts: list[DynamicSceneLayout | ReplyError] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)


def needs_model(planner: Planner) -> bool:
    """Whether a planner asks a language model."""
    return planner != "slots/parser"


async def plan_prompts(
    planner: Planner, prompts: Sequence[str], settings: PlanSettings, model: CachedModel | None, what: str
) -> Plans:
    """Layouts for prompts, in their order. A prompt that comes again is planned again only if the model's replies vary.

    Args:
        planner: its name.
        prompts: captions, repetitions included.
        settings: frames and how slots are asked for.
        model: the language model, for planners that need one.
        what: name of the work in progress lines.
    """
    plans = Plans()
    varies = model is not None and model.parameters.temperature > 0 and planner in _TEMPLATES
    jobs = list(dict.fromkeys(_numbered(prompts, varies=varies)))
    if model is None:
        found = dict(zip(jobs, _parse([prompt for prompt, _ in jobs], settings), strict=True))
    else:
        one = _with_model(planner, settings, model, plans.repairs)
        found = {job: plan async for job, plan in _side_by_side(jobs, one, what, model)}
    plans.layouts = [found[job] for job in _numbered(prompts, varies=varies)]
    return plans


def _numbered(prompts: Sequence[str], *, varies: bool) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    jobs = []
    for prompt in prompts:
        jobs.append((prompt, seen[prompt] if varies else 0))
        seen[prompt] += 1
    return jobs


def _parse(prompts: Sequence[str], settings: PlanSettings) -> list[DynamicSceneLayout | ReplyError]:
    scenes = ClauseParser().describe_all(prompts)
    return [_laid_out(scene, prompt, settings, "slots/parser") for scene, prompt in zip(scenes, prompts, strict=True)]


def _laid_out(scene: SceneDescription, prompt: str, settings: PlanSettings, planner: str) -> DynamicSceneLayout | ReplyError:
    if not scene.objects:
        return PlanError("no-objects", "nothing that can be seen was found in the caption", "")
    return lay_out(scene, prompt, settings.frames, planner)


Job = Callable[[str, int], Awaitable[DynamicSceneLayout | ReplyError]]


def _with_model(planner: Planner, settings: PlanSettings, model: CachedModel, repairs: Counter[str]) -> Job:
    name = f"{planner} {model.parameters.model}"[:MOST_PLANNER]
    describe = describe_together if settings.slots == "together" else describe_each

    async def by_slots(prompt: str, sample: int) -> DynamicSceneLayout | ReplyError:
        return _laid_out(await describe(model, prompt), prompt, settings, name)

    async def directly(prompt: str, sample: int) -> DynamicSceneLayout | ReplyError:
        form: Literal["text", "json"] = "text" if model.parameters.output == "text" else "json"
        direct = DirectSettings(_TEMPLATES[planner], settings.frames, settings.frames_per_second, form, name)
        planned = await plan_direct(model, prompt, direct, sample)
        repairs.update(planned.repairs)
        return planned.layout

    return directly if planner in _TEMPLATES else by_slots


async def _side_by_side(
    jobs: Sequence[tuple[str, int]], one: Job, what: str, model: CachedModel
) -> AsyncIterator[tuple[tuple[str, int], DynamicSceneLayout | ReplyError]]:
    """Runs jobs at the same time, a thousand in memory; the model bounds the calls in flight. The first error ends all."""
    failed = 0

    async def kept(prompt: str, sample: int) -> DynamicSceneLayout | ReplyError:
        nonlocal failed
        try:
            plan = await one(prompt, sample)
        except ReplyError as error:
            plan = error
        failed += isinstance(plan, ReplyError)
        return plan

    def detail() -> str:
        counts = model.counts
        return (
            f"(replies: {counts.cached} cached, {counts.asked} asked, {counts.repaired} repaired, "
            f"{counts.re_asked} asked again; {failed} prompts set aside)"
        )

    for start in range(0, len(jobs), _AT_A_TIME):
        group = jobs[start : start + _AT_A_TIME]
        calls = [kept(*job) for job in group]
        plans = await ask_all(calls, lambda ended: track(ended, what, len(calls), detail))  # noqa: B023 - run at once
        for job, plan in zip(group, plans, strict=True):
            yield job, plan
