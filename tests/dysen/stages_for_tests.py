"""Stages of dynamic scene graphs in a folder of their own, with small gold of their own and scripted models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tasks.common import stage
from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs, write_graphs
from tests.llm.endpoint_for_tests import KEY_VARIABLE, ScriptedEndpoint

ROOT = Path(__file__).resolve().parents[2]


def write_gold(folder: Path, **counts: int) -> dict[str, list[DynamicSceneGraph]]:
    """Sets of exact gold graphs, as the stage `gold` writes them."""
    golds = sprite_golds(counts, 0, 7, 2)
    sets = {name: [one.graph for one in found] for name, found in golds.items()}
    for name, graphs in sets.items():
        write_graphs(folder / f"{name}.jsonl", graphs)
    return sets


def write_parameters(work: Path, **sections: dict[str, Any]) -> None:
    """The toy profile with other values in some sections."""
    yaml = YAML()
    values = yaml.load((ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8"))
    for section, changes in sections.items():
        values[section] |= changes
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)


def endpoint(server: ScriptedEndpoint) -> dict[str, Any]:
    """The section `llm` that names a server on this machine."""
    return {
        "backend": "openai", "model": "test-model", "base_url": server.url, "key_variable": KEY_VARIABLE,
        "timeout_s": 20.0, "retries": 1, "most_wait_s": 0.02, "in_flight": 4,
    }  # fmt: skip


def run(module: Any, name: str, body: Any, work: Path, **given: Path) -> int:
    """The exit code of a stage whose paths lie in `work`, except the given ones."""
    paths = {field.name: given.get(field.name, work / field.name) for field in fields(module.Paths)}
    options = {"params": work / "params.yaml", **paths}
    arguments = [word for option, path in options.items() for word in (f"--{option.replace('_', '-')}", str(path))]
    return stage.main(name, module.Paths, body, arguments=arguments)


def made(work: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The bytes of everything under these names."""
    roots = [work / name for name in names]
    files = [file for root in roots for file in ([root] if root.is_file() else root.rglob("*")) if file.is_file()]
    return {str(file.relative_to(work)): file.read_bytes() for file in sorted(files)}


def graphs_in(work: Path, planner: str, name: str) -> list[DynamicSceneGraph]:
    """What a stage wrote for a planner and a set."""
    return list(read_graphs(work / "out" / planner / f"{name}.jsonl"))


def json_in(path: Path) -> Any:
    """The value in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
