"""The whole of `params.yaml`: every stage's section, checked together before any stage works."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.common.parameters import Compute, Section
from tasks.corpus import boxes, ingest, latents
from tasks.dreamframe import instructions, keyframes, qa, story, storyboard, style_parameters
from tasks.dysen import dsg, dsg_eval, enrich, events, gold, graph_view, policy
from tasks.igligen import igligen
from tasks.llm.parameters import LanguageModel
from tasks.lvd import layouts, lvd_generate, lvd_stage2
from tasks.report import report
from tasks.spriteworld import spriteworld


class ProjectParameters(Section):
    """All parameters of the project."""

    profile: Literal["toy", "hub"] = Field(description="the profile this file started from")
    seed: int = Field(ge=0, le=2**32 - 1, description="seed of the run; each item's seed derives from it and the item's key")
    compute: Compute
    spriteworld: spriteworld.Parameters
    ingest: ingest.Parameters
    boxes: boxes.Parameters
    latents: latents.Parameters
    llm: LanguageModel
    igligen: igligen.Parameters
    layouts: layouts.Parameters
    lvd_generate: lvd_generate.Parameters
    lvd_stage2: lvd_stage2.Parameters
    story: story.Parameters
    style: style_parameters.Parameters
    keyframes: keyframes.Parameters
    qa: qa.Parameters
    instructions: instructions.Parameters
    storyboard: storyboard.Parameters
    gold: gold.Parameters
    policy: policy.Parameters
    events: events.Parameters
    dsg: dsg.Parameters
    enrich: enrich.Parameters
    dsg_eval: dsg_eval.Parameters
    graph_view: graph_view.Parameters
    report: report.Parameters
