"""The stage `layouts` in a folder of its own, and a model that answers all that it asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.lvd import layouts
from tasks.lvd.layout import DynamicSceneLayout, read_layouts
from tests.llm.endpoint_for_tests import KEY, KEY_VARIABLE, ScriptedEndpoint, completion
from tests.lvd.layouts_for_tests import reply

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ("out", "previews", "quarantine", "provenance", "figure", "metrics")


def set_up(work: Path, lines: Sequence[str], planners: Sequence[str] = ("slots/parser",), /, **changes: Any) -> None:
    """Writes prompts and parameters; `changes` are keys of the sections `layouts` and `llm`."""
    (work / "prompts").mkdir(exist_ok=True, parents=True)
    (work / "prompts" / "mine.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    yaml = YAML()
    values = yaml.load((ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8"))
    values["layouts"] |= {"prompts": ["mine"], "planners": list(planners), "preview_layouts": 1}
    for name, value in changes.items():
        values["layouts" if name in values["layouts"] else "llm"][name] = value
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)


def endpoint_keys(endpoint: ScriptedEndpoint, **changes: Any) -> dict[str, Any]:
    """Keys of the section `llm` that name a server."""
    patience = {"timeout_s": 20.0, "retries": 1, "most_wait_s": 0.02, "in_flight": 4}
    return {
        **{"backend": "openai", "model": "test-model", "base_url": endpoint.url, "key_variable": KEY_VARIABLE},
        **patience,
        **changes,
    }


def arguments(work: Path) -> list[str]:
    """The command line, without the program."""
    options = {"params": work / "params.yaml", "prompts": work / "prompts", "replies": work / "replies.jsonl"}
    options |= {name: work / "made" / name for name in OUTPUTS}
    return [word for name, path in options.items() for word in (f"--{name}", str(path))]


def run(work: Path) -> int:
    """The exit code."""
    return stage.main("layouts", layouts.Paths, layouts.make_layouts, arguments=arguments(work))


def refused(work: Path, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line that says why there are no layouts."""
    assert run(work) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert not (work / "made" / "out").exists()
    assert not (work / "made" / "metrics").exists()
    return lines[0]


def made(work: Path) -> dict[str, bytes]:
    """All files that a run wrote, the reply cache excepted."""
    return {str(file.relative_to(work)): file.read_bytes() for file in sorted((work / "made").rglob("*")) if file.is_file()}


def layouts_of(work: Path, folder: str, name: str = "mine") -> list[DynamicSceneLayout]:
    return list(read_layouts(work / "made" / "out" / folder / f"{name}.jsonl"))


def metrics(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "made" / "metrics").read_text(encoding="utf-8"))
    return found


def quarantine(work: Path) -> list[dict[str, str]]:
    """What was set aside, its count checked."""
    head, *lines = [json.loads(line) for line in (work / "made" / "quarantine").read_text(encoding="utf-8").splitlines()]
    assert head == {"quarantined": len(lines)}
    return lines


def caption_of(body: dict[str, Any]) -> str:
    """The caption that a question is about."""
    asked = [
        turn["content"] for turn in body["messages"] if turn["role"] == "user" and turn["content"].startswith("Caption: ")
    ]
    return asked[-1].removeprefix("Caption: ").splitlines()[0]


def boxes(name: str, x: int, *, as_json: bool = False) -> str:
    """A reply in which a thing stays where it is, in the form in which a direct planner asks for it."""
    box = [x, 100, 50, 60]
    if as_json:
        frames = [[{"id": 0, "name": name, "box": box}]] * 6
        return json.dumps({"reasoning": "It stays.", "frames": frames, "background": "meadow"})
    return reply(f"[{{'id': 0, 'name': {name!r}, 'box': {box}}}]")


def answers_all(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """A good answer to each planner's question, made from nothing but the question."""
    caption, last = caption_of(body), body["messages"][-1]["content"]
    if body["messages"][0]["content"].startswith("You write bounding boxes"):
        x = sum(caption.encode()) % 400
        return completion(boxes("kite", x, as_json="Answer with JSON" in last or "response_format" in body))
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema") or json.loads(last.splitlines()[-1])
    return completion(json.dumps({"answer": schema["properties"]["answer"]["enum"][0]}))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key in the environment, and no proxy on the way to this machine."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
