"""The stage `enrich` in a folder of its own."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import Field
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.parameters import Section
from tasks.dysen import enrich
from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs, write_graphs
from tasks.llm.parameters import LanguageModel
from tests.llm.endpoint_for_tests import ScriptedEndpoint

MODULE = "tests.dysen.enrich_stage_for_tests"
OUTPUTS = ("out", "quarantine", "provenance", "metrics")
PLANNER = "llm-fixed"
_LLM = {
    "backend": "local",
    "model": "SmolLM2-135M-Instruct",
    "base_url": None,
    "key_variable": None,
    "output": "json_schema",
    "temperature": 0.0,
    "max_tokens": 900,
    "in_flight": 4,
    "timeout_s": 20.0,
    "retries": 1,
    "most_wait_s": 0.02,
    "most_reply_bytes": 1_000_000,
}
_ENRICH = {
    "planner": PLANNER,
    "sets": ["everyday"],
    "most_prompts": 3,
    "demonstrations": 2,
    "choice": "fixed",
    "choice_seed": 0,
    "imagined_lines": 4,
    "polish": True,
    "limits": {"longest_gap": 2, "last_tick": 16, "most_new_triplets": 8, "most_objects": 32, "most_words": 5},
    "set_aside": ["contradiction", "plan", "size"],
    "max_bad_fraction": 0.5,
}


class ProjectParameters(Section):
    """The parameters that the stage reads."""

    seed: int = Field(ge=0)
    llm: LanguageModel
    enrich: enrich.Parameters


def set_up(work: Path, given: dict[str, list[DynamicSceneGraph]], server: ScriptedEndpoint | None, **changes: Any) -> None:
    """Writes parameters, planned graphs and demonstrations; `changes` are keys of the section `enrich`."""
    llm = dict(_LLM)
    if server is not None:
        llm |= {"backend": "openai", "model": "test-model", "base_url": server.url}
    work.mkdir(exist_ok=True)
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({"seed": 0, "llm": llm, "enrich": {**_ENRICH, "sets": [*given], **changes}}, file)
    for name, graphs in given.items():
        write_graphs(work / "graphs" / PLANNER / f"{name}.jsonl", graphs)
    golds = sprite_golds({"candidates": 4}, 0, 7, 2)["candidates"]
    write_graphs(work / "candidates", [gold.graph for gold in golds])


def run(work: Path) -> int:
    """The exit code."""
    options = {field.name: work / ("made" if field.name in OUTPUTS else ".") / field.name for field in fields(enrich.Paths)}
    options["params"] = work / "params.yaml"
    arguments = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    return stage.main("enrich", enrich.Paths, enrich.enrich_graphs, MODULE, arguments)


def made(work: Path) -> dict[str, bytes]:
    """All files that a run wrote, the reply cache excepted."""
    return {str(file.relative_to(work)): file.read_bytes() for file in sorted((work / "made").rglob("*")) if file.is_file()}


def enriched(work: Path, name: str = "everyday") -> list[DynamicSceneGraph]:
    """The graphs that are kept of a set."""
    return list(read_graphs(work / "made" / "out" / PLANNER / f"{name}.jsonl"))


def metrics(work: Path) -> dict[str, Any]:
    """By set."""
    found: dict[str, Any] = json.loads((work / "made" / "metrics").read_text(encoding="utf-8"))
    return found


def quarantine(work: Path) -> list[dict[str, str]]:
    """What was set aside, its count checked."""
    head, *lines = [json.loads(line) for line in (work / "made" / "quarantine").read_text(encoding="utf-8").splitlines()]
    assert head == {"quarantined": len(lines)}
    return lines
