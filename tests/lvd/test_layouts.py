"""The stage `layouts`: its files, what it sets aside, and that no reply is paid for twice, whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.lvd.layouts import folder_of
from tests.llm.endpoint_for_tests import (
    KEY,
    KEY_VARIABLE,
    Answer,
    ScriptedEndpoint,
    after,
    completion,
    fails,
    hangs,
    says,
    serve,
)
from tests.lvd.layout_stage_for_tests import (
    ROOT,
    answers_all,
    arguments,
    boxes,
    caption_of,
    endpoint_keys,
    layouts_of,
    made,
    metrics,
    quarantine,
    refused,
    run,
    set_up,
)
from tests.lvd.layout_stage_for_tests import key as key

pytestmark = pytest.mark.usefixtures("key")
PROMPTS = ["A red kite rises.", "Two owls sleep.", "A red kite rises.", "A boat sails from the left to the right."]
MANY = [f"A kite of {number} colours" for number in range(12)]


def in_a_process(work: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tasks.lvd.layouts", *arguments(work)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


def test_the_parser_plans_a_file_of_prompts(tmp_path: Path) -> None:
    set_up(tmp_path, PROMPTS, max_bad_fraction=0.0, preview_layouts=2)
    assert run(tmp_path) == 0
    layouts = layouts_of(tmp_path, "slots-parser")
    assert [layout.prompt for layout in layouts] == PROMPTS
    assert layouts[0] == layouts[2]
    assert [item.name for item in layouts[3].frames[0]] == ["boat"]
    assert layouts[3].frames[0][0].box[0] < layouts[3].frames[5][0].box[0]
    assert metrics(tmp_path) == {
        "slots-parser": {"mine": {"prompts": 4, "distinct_layouts": 3, "objects": 5, "quarantined": 0, "repairs": {}}}
    }
    names = [Path(name) for name in made(tmp_path)]
    assert {str(name) for name in names if name.parts[1] != "previews"} == {
        *("made/figure", "made/metrics", "made/out/slots-parser/mine.jsonl", "made/provenance", "made/quarantine")
    }
    previews = sorted(name.name for name in names if name.parts[1] == "previews")
    assert [re.sub(r"-[0-9a-f]{12}", "", name) for name in previews] == [
        *("a-red-kite-rises.gif", "a-red-kite-rises.mp4", "two-owls-sleep.gif", "two-owls-sleep.mp4")
    ]
    assert quarantine(tmp_path) == []
    assert (tmp_path / "made" / "figure").read_bytes().startswith(b"\x89PNG")
    provenance = json.loads((tmp_path / "made" / "provenance").read_text())
    assert provenance["settings"]["layouts"]["planners"] == ["slots/parser"]


def test_same_prompts_same_bytes(tmp_path: Path) -> None:
    set_up(tmp_path, PROMPTS)
    assert run(tmp_path) == 0
    first = made(tmp_path)
    process = in_a_process(tmp_path, PYTHONHASHSEED="1")
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.count("\n")) == (0, 1)
    assert made(tmp_path) == first


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"planners": ["slots/oracle"]}, "layouts.planners.0"),
    ({"planners": []}, "layouts.planners"),
    ({"prompts": ["../params"]}, "layouts.prompts.0"),
    ({"prompts": ["yours"]}, "no set 'yours'"),
    ({"prompts": ["lvd_static", "yours"]}, "no set 'yours'"),
    ({"prompts": ["empty"]}, "empty.txt: 0 prompts"),
    ({"frames": 1}, "layouts.frames"),
    ({"model": "SmolLM2-135M", "planners": ["slots/llm"]}, "no local model"),
    ({"backend": "openai"}, "llm.base_url"),
    ({"api_key": "sk-123"}, "llm.api_key"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG, ids=[told for _, told in WRONG])
def test_wrong_parameters_are_one_line(
    changes: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path, PROMPTS, **changes)
    (tmp_path / "prompts" / "empty.txt").write_text("\n \n")
    assert told in refused(tmp_path, capsys)


def test_all_sets_are_read_before_anything_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(answers_all) as endpoint:
        set_up(tmp_path, PROMPTS, ["direct/lvd"], prompts=["mine", "yours"], output="text", **endpoint_keys(endpoint))
        assert "no set 'yours'" in refused(tmp_path, capsys)
        assert endpoint.bodies == []


PLANNERS = ["direct/lvd", "direct/dvd", "slots/llm"]


@pytest.mark.parametrize("output", ["text", "json_object", "json_schema"])
def test_any_endpoint_plans_from_parameters_alone(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(answers_all) as endpoint:
        set_up(tmp_path, PROMPTS, PLANNERS, output=output, max_bad_fraction=0.0, **endpoint_keys(endpoint, in_flight=3))
        assert run(tmp_path) == 0
        first, asked = made(tmp_path), len(endpoint.bodies)
        assert 0 < endpoint.most_at_once <= 3
        assert set(endpoint.keys) == {f"Bearer {KEY}"}
    monkeypatch.delenv(KEY_VARIABLE)
    assert run(tmp_path) == 0
    assert made(tmp_path) == first
    for planner in PLANNERS:
        layouts = layouts_of(tmp_path, folder_of(planner))
        assert [layout.prompt for layout in layouts] == PROMPTS
        assert {layout.planner for layout in layouts} == {f"{planner} test-model"}
    assert len((tmp_path / "replies.jsonl").read_text().splitlines()) == asked + 1


def test_slots_are_asked_for_together_if_told_so(tmp_path: Path) -> None:
    scene = {"objects": [{"name": "owl", "count": 3}], "background": "barn"}
    with serve(says(json.dumps(scene))) as endpoint:
        set_up(tmp_path, ["Owls."], ["slots/llm"], slots="together", output="json_object", **endpoint_keys(endpoint))
        assert run(tmp_path) == 0
        assert len(endpoint.bodies) == 1
    (layout,) = layouts_of(tmp_path, "slots-llm")
    assert (len(layout.frames[0]), layout.background) == (3, "barn")


def in_turn(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """Another place for each call."""
    with server.lock:
        return completion(boxes("kite", 7 * len(server.bodies)))


@pytest.mark.parametrize(("temperature", "distinct"), [(0.0, 1), (0.7, 4)])
def test_repeated_prompts_are_samples_if_replies_vary(temperature: float, distinct: int, tmp_path: Path) -> None:
    with serve(in_turn) as endpoint:
        keys = endpoint_keys(endpoint, temperature=temperature, output="text")
        set_up(tmp_path, ["A kite."] * 4, ["direct/lvd"], **keys)
        assert run(tmp_path) == 0
        first = made(tmp_path)
        assert len(endpoint.bodies) == distinct
        assert run(tmp_path) == 0
        assert len(endpoint.bodies) == distinct
    assert made(tmp_path) == first
    assert metrics(tmp_path)["direct-lvd"]["mine"]["distinct_layouts"] == distinct


def moody(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """Has no boxes for owls."""
    return completion("No\x1b[31m owls <script>.") if "owls" in caption_of(body) else answers_all(server, body)


def test_a_prompt_without_layout_is_set_aside_with_its_reply(tmp_path: Path) -> None:
    with serve(moody) as endpoint:
        keys = endpoint_keys(endpoint, output="text")
        set_up(tmp_path, PROMPTS, ["direct/lvd"], max_bad_fraction=0.25, **keys)
        assert run(tmp_path) == 0
        assert len(endpoint.bodies) == 4
        assert run(tmp_path) == 0
        assert len(endpoint.bodies) == 4
    assert [layout.prompt for layout in layouts_of(tmp_path, "direct-lvd")] == [PROMPTS[0], PROMPTS[2], PROMPTS[3]]
    (line,) = quarantine(tmp_path)
    assert (line["item"], line["reason"]) == ("direct/lvd mine 1", "no-layout")
    assert line["raw"] == "No\\x1b[31m owls <script>."
    assert metrics(tmp_path)["direct-lvd"]["mine"]["quarantined"] == 1


def test_too_many_prompts_without_layout_fail_and_say_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(moody) as endpoint:
        set_up(
            tmp_path,
            PROMPTS,
            ["slots/parser", "direct/lvd"],
            max_bad_fraction=0.24,
            output="text",
            **endpoint_keys(endpoint),
        )
        line = refused(tmp_path, capsys, 1)
    assert "1 of 4 items are bad (25.0%)" in line
    assert str(tmp_path / "made" / "quarantine") in line
    assert len(quarantine(tmp_path)) == 1


def test_all_prompts_may_be_without_layout(tmp_path: Path) -> None:
    with serve(says("")) as endpoint:
        set_up(tmp_path, MANY, ["direct/lvd"], max_bad_fraction=1.0, output="text", **endpoint_keys(endpoint))
        assert run(tmp_path) == 0
    assert layouts_of(tmp_path, "direct-lvd") == []
    assert {line["reason"] for line in quarantine(tmp_path)} == {"empty"}


LEAKY: dict[str, tuple[Answer, int]] = {
    "401": (fails("401 Unauthorized", message=f"bad key {KEY}"), 2),
    "400": (fails("400 Bad Request", message=f"Authorization: Bearer {KEY}"), 2),
    "500": (fails("500 Oops", message=KEY), 1),
    "reply": (says(f"Your key is {KEY}."), 1),
}


@pytest.mark.parametrize(("answer", "code"), LEAKY.values(), ids=LEAKY)
@pytest.mark.parametrize("planner", ["direct/lvd", "slots/llm"])
def test_the_key_is_nowhere(
    planner: str, answer: Answer, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(answer) as endpoint:
        set_up(tmp_path, PROMPTS, [planner], **endpoint_keys(endpoint, in_flight=1))
        assert run(tmp_path) == code
        assert KEY in endpoint.keys[0]
    said = capsys.readouterr()
    files = [file.read_text(encoding="utf-8", errors="replace") for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 3
    for text in (said.out, said.err, *files):
        assert KEY not in text
        assert KEY[-8:] not in text


def test_a_refused_key_ends_the_run_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(fails("401 Unauthorized"), hangs) as endpoint:
        set_up(tmp_path, MANY, ["direct/lvd", "slots/llm"], **endpoint_keys(endpoint, in_flight=1))
        start = time.monotonic()
        assert KEY_VARIABLE in refused(tmp_path, capsys)
        assert time.monotonic() - start < 5
        assert len(endpoint.bodies) == 1


def test_a_missing_key_is_one_line_without_a_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with serve(answers_all) as endpoint:
        set_up(tmp_path, PROMPTS, ["direct/lvd"], **endpoint_keys(endpoint))
        assert KEY_VARIABLE in refused(tmp_path, capsys)
        assert endpoint.bodies == []


@pytest.mark.parametrize("in_flight", [1, 5])
def test_no_more_calls_at_once_than_told(in_flight: int, tmp_path: Path) -> None:
    with serve(after(0.03, answers_all)) as endpoint:
        set_up(tmp_path, MANY, ["direct/lvd"], output="text", **endpoint_keys(endpoint, in_flight=in_flight))
        assert run(tmp_path) == 0
    assert endpoint.most_at_once == in_flight


def asked(body: dict[str, Any]) -> str:
    return json.dumps(body["messages"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_ended_goes_on_without_asking_twice(number: signal.Signals, tmp_path: Path) -> None:
    answered: list[str] = []
    enough, lock = threading.Event(), threading.Lock()

    def seven_then_none(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        with lock:
            if len(answered) < 7:
                answered.append(asked(body))
                return answers_all(server, body)
        enough.set()
        return hangs(server, body)

    keys = {"planners": ["direct/lvd", "direct/dvd"], "output": "text"}
    ended, undisturbed = tmp_path / "ended", tmp_path / "undisturbed"
    with serve(seven_then_none) as endpoint:
        set_up(ended, MANY, **keys, **endpoint_keys(endpoint))
        process = in_a_process(ended)
        assert enough.wait(60)
        end = time.monotonic() + 20
        while (ended / "replies.jsonl").read_bytes().count(b"\n") < 8 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number)
        sent = time.monotonic()
        _, said = process.communicate(timeout=20)
        assert time.monotonic() - sent < 5
    assert made(ended) == {}
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert len(said.splitlines()) == 1
    with serve(answers_all) as endpoint:
        set_up(ended, MANY, **keys, **endpoint_keys(endpoint))
        assert run(ended) == 0
        later = [asked(body) for body in endpoint.bodies]
    assert len(answered) == 7
    assert len(later) == len(set(later)) == 2 * len(MANY) - 7
    assert not set(later) & set(answered)
    with serve(after(0.001, answers_all)) as endpoint:
        set_up(undisturbed, MANY, **keys, **endpoint_keys(endpoint, in_flight=1))
        assert run(undisturbed) == 0
    assert made(ended) == made(undisturbed)


HOSTILE = [
    "../../../etc/passwd of a kite",
    "/kite\\boat",
    "kite " * 60,
    "CON",
    "-rf kite",
    "caf\u00e9 kite",
    "cafe\u0301 kite",
    "\U0001f98e",
    ".",
    "\u202ekite\x1b[31m",
]


def test_hostile_prompts_give_safe_names_in_the_folder(tmp_path: Path) -> None:
    with serve(answers_all) as endpoint:
        keys = endpoint_keys(endpoint, output="text")
        set_up(tmp_path, HOSTILE, ["direct/lvd"], preview_layouts=len(HOSTILE), **keys)
        assert run(tmp_path) == 0
    files = list((tmp_path / "made" / "previews").iterdir())
    assert len(files) == 2 * len(HOSTILE)
    for file in files:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,85}\.(gif|mp4)", file.name)
        assert file.stem.upper() not in {"CON", "NUL", "PRN", "AUX"}
        assert file.stat().st_size > 1000
    assert len({file.name.casefold() for file in files}) == len(files)
    assert [layout.prompt for layout in layouts_of(tmp_path, "direct-lvd")] == [prompt.strip() for prompt in HOSTILE]
    assert {file.name for file in tmp_path.iterdir()} == {"made", "params.yaml", "prompts", "replies.jsonl"}


def test_previews_are_spread_over_different_prompts(tmp_path: Path) -> None:
    with serve(answers_all) as endpoint:
        set_up(tmp_path, MANY * 3, ["direct/lvd"], preview_layouts=3, output="text", **endpoint_keys(endpoint))
        assert run(tmp_path) == 0
    gifs = sorted(file.stem[:-13] for file in (tmp_path / "made" / "previews").glob("*.gif"))
    assert gifs == sorted(MANY[number].lower().replace(" ", "-") for number in (0, 4, 8))


def test_old_results_stay_until_new_ones_are_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path, PROMPTS)
    assert run(tmp_path) == 0
    before = made(tmp_path)
    with serve(fails("401 Unauthorized")) as endpoint:
        set_up(tmp_path, PROMPTS, ["slots/parser", "direct/lvd"], **endpoint_keys(endpoint))
        assert run(tmp_path) == 2
    assert made(tmp_path) == before
    assert not list(tmp_path.rglob("*.unfinished"))
