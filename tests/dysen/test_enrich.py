"""Enrichment of whole sequences and the stage `enrich`: checks, the one repair, quarantine, and the log of all edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.dysen.checks.graph_verifiers import Limits, verify_persistence
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.graph_edits import additions, apply_edits
from tasks.dysen.imagining.detail_grammar import format_details
from tasks.dysen.imagining.enrichment import Enriched, Rules, enrich
from tasks.dysen.imagining.enrichment_log import read_edits
from tasks.dysen.imagining.enrichment_repair import violations_of
from tasks.llm.model import CachedModel
from tests.dysen import enrich_stage_for_tests as of_stage
from tests.dysen.enrichment_for_tests import (
    DOGS,
    DOGS_EVENTS,
    LADY,
    answering,
    graph,
    is_for_details,
    planned,
    question_of,
    with_endpoint,
)
from tests.llm.endpoint_for_tests import ScriptedEndpoint, completion, says, serve

pytestmark = pytest.mark.usefixtures("no_proxy")
RULES = Rules(4, True, Limits(), frozenset({"contradiction", "plan", "size"}))
BOTH = "(lady, left of, box) (lady, right of, box)"


def _enriched(
    folder: Path, details: str, polish: str = "keep", repair: str = "keep", rules: Rules = RULES
) -> tuple[Enriched, list[str]]:
    async def use(model: CachedModel) -> Enriched:
        return await enrich(model, planned(), [], rules)

    found, server = with_endpoint(answering(lambda question: details, polish, repair), use, folder)
    return found, [question_of(body) for body in server.bodies]


def test_a_good_graph_needs_no_repair(tmp_path: Path) -> None:
    found, questions = _enriched(tmp_path, "(lady, wearing, dress)")
    assert not found.repaired
    assert found.before == found.after == ()
    assert sum("Details of now:" not in question for question in questions) == 1


def test_violations_lead_to_one_repair(tmp_path: Path) -> None:
    found, questions = _enriched(tmp_path, BOTH, repair="remove 0-3 (lady, left of, box)")
    assert found.repaired
    assert {violation.kind for violation in found.before} == {"contradiction"}
    assert found.after == ()
    assert found.grave(RULES) == []
    (question,) = [question for question in questions if "What is wrong:" in question]
    assert "- tick 0: (lady, left of, box) and (lady, right of, box) exclude each other\n" in question
    assert "(lady, right of, box)" in format_details(found.graph.ticks[3])


def test_what_is_not_mended_is_grave_and_not_asked_for_again(tmp_path: Path) -> None:
    found, questions = _enriched(tmp_path, BOTH, repair="add 0 (lady, old)")
    assert sum("What is wrong:" in question for question in questions) == 1
    assert [violation.where for violation in found.grave(RULES)] == ["tick 0", "tick 1", "tick 2", "tick 3"]
    assert found.grave(RULES._replace(grave=frozenset())) == []


def test_without_polish_the_whole_is_not_asked_about(tmp_path: Path) -> None:
    found, questions = _enriched(tmp_path, "(lady, old)", rules=RULES._replace(polish=False))
    assert all("Details of now:" in question for question in questions)
    assert {entry.edit.source for entry in found.log} == {"imagined"}


def test_what_the_reply_lacks_is_counted_and_not_repaired(tmp_path: Path) -> None:
    found, _ = _enriched(tmp_path, "no idea", polish="no idea")
    assert {violation.kind for violation in found.before} == {"grammar"}
    assert not found.repaired
    assert found.graph == planned()


def test_a_log_replays_to_the_enriched_graph(tmp_path: Path) -> None:
    found, _ = _enriched(
        tmp_path, BOTH, "remove 0-9 (lady, sit on, chair)\nadd 1 (lady, old)", "remove 1-9 (lady, left of, box)"
    )
    assert {entry.edit.source for entry in found.log} == {"imagined", "polished", "repaired"}
    assert apply_edits(planned(), [entry.edit for entry in found.log]) == (found.graph, found.log)


def test_what_events_brought_along_is_not_enrichments_fault() -> None:
    bad = planned("a lady sits and then stands", "(lady, sit on, chair, (5v, 6v)) (the lady, stand on, chair, (1v, 2v))")
    assert violations_of(bad, bad, Limits()) == []
    more = apply_edits(bad, additions(5, [graph("(lady, stand on, chair)").triplets[0]], "")).graph
    assert [violation.kind for violation in violations_of(bad, more, Limits())] == ["contradiction"]


def test_details_of_what_moves_may_end() -> None:
    def seen(above: int) -> DynamicSceneGraph:
        sequence = planned(DOGS, DOGS_EVENTS)
        items = graph("(red dog, above, white cat) (white cat, in, basket)").triplets
        edits = [edit for tick in range(4) for edit in additions(tick, items if tick < above else items[1:], "")]
        return apply_edits(sequence, edits).graph

    assert len(verify_persistence(seen(2))) == 1
    assert violations_of(planned(DOGS, DOGS_EVENTS), seen(2), Limits()) == []
    short = apply_edits(planned(DOGS, DOGS_EVENTS), additions(1, graph("(white cat, in, basket)").triplets, "")).graph
    assert [bad.kind for bad in violations_of(planned(DOGS, DOGS_EVENTS), short, Limits())] == ["persistence"]


def _answer(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """A good endpoint for one prompt, a contradictory one for another, and a refusal for a third."""
    question = question_of(body)
    if "tree" in question:
        return completion(None, refusal="I cannot help with that.")
    if is_for_details(body):
        return completion("(red dog, is, wet)\n(white cat, in, basket)" if "dog" in question else BOTH)
    return completion("remove 2 (red dog, wet)" if "What is wrong:" not in question else "keep")


SETS = {
    "everyday": [
        planned(DOGS, DOGS_EVENTS, attributed=True),
        planned(),
        planned(DOGS, DOGS_EVENTS),
        planned("a tree", "(tree, stand in, scene, (0v, 1v))"),
        planned("a house", "(house, stand in, scene, (0v, 1v))"),
    ]
}


def test_the_stage_by_an_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(_answer) as server:
        of_stage.set_up(tmp_path, SETS, server, max_bad_fraction=0.7)
        assert of_stage.run(tmp_path) == 0, capsys.readouterr().err
        first, asked = of_stage.made(tmp_path), len(server.bodies)
        assert of_stage.run(tmp_path) == 0
        assert (of_stage.made(tmp_path), len(server.bodies)) == (first, asked)
        demonstrated = [message["content"] for message in server.bodies[0]["messages"] if message["role"] == "assistant"]
    assert len(demonstrated) == 2
    (kept,) = of_stage.enriched(tmp_path)
    assert format_details(kept.ticks[0]) == (
        "(red dog, is, red) (red dog, is, wet) (white cat, is, white) "
        "(red dog, run to, right) (white cat, in, basket) (white cat, stay in, scene)"
    )
    assert "wet" not in format_details(kept.ticks[2])
    found = of_stage.quarantine(tmp_path)
    assert [(entry["item"], entry["reason"]) for entry in found] == [
        (f"{of_stage.PLANNER} everyday: {LADY}", "contradiction"),
        (f"{of_stage.PLANNER} everyday: a tree", "refusal"),
    ]
    assert "tick 0: (lady, left of, box) and (lady, right of, box) exclude each other" in found[0]["detail"]
    counts = of_stage.metrics(tmp_path)["everyday"]
    assert (counts["graphs"], counts["set_aside"], counts["repaired"]) == (3, 2, 2)
    assert counts["violations"]["before_repair"]["contradiction"] == 4
    assert counts["edits"]["polished"] == {"applied": 1, "without_effect": 1}


def test_every_edit_is_kept_in_a_log_that_replays(tmp_path: Path) -> None:
    with serve(_answer) as server:
        of_stage.set_up(tmp_path, SETS, server, most_prompts=1, polish=False, demonstrations=0)
        assert of_stage.run(tmp_path) == 0
    log = read_edits(tmp_path / "made" / "out" / of_stage.PLANNER / "edits.jsonl")
    assert {entry.source for entry in log} == {"test-model"}
    assert {(entry.set, entry.prompt) for entry in log} == {("everyday", DOGS)}
    replayed = apply_edits(SETS["everyday"][0], [entry.edit for entry in log])
    assert [replayed.graph] == of_stage.enriched(tmp_path)
    assert [entry.outcome for entry in replayed.log] == [entry.outcome for entry in log]


def test_the_stage_by_the_local_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dogs = planned(DOGS, "(red dog, run to, right, (0v, 1v)) (white cat, stay in, scene, (0v, 1v))")
    of_stage.set_up(tmp_path, {"everyday": [dogs]}, None)
    assert of_stage.run(tmp_path) == 0, capsys.readouterr().err
    first, replies = of_stage.made(tmp_path), (tmp_path / "replies").read_bytes()
    (kept,) = of_stage.enriched(tmp_path)
    assert "(red dog, is, red)" in format_details(kept.ticks[0])
    assert of_stage.metrics(tmp_path)["everyday"]["set_aside"] == 0
    assert of_stage.run(tmp_path) == 0
    assert (of_stage.made(tmp_path), (tmp_path / "replies").read_bytes()) == (first, replies)


def test_graphs_without_ticks_stay_as_they_are(tmp_path: Path) -> None:
    bare = DynamicSceneGraph(prompt="nothing happens", source="planned")
    of_stage.set_up(tmp_path, {"everyday": [bare]}, None, choice="none")
    assert of_stage.run(tmp_path) == 0
    assert of_stage.enriched(tmp_path) == [bare]
    assert read_edits(tmp_path / "made" / "out" / of_stage.PLANNER / "edits.jsonl") == []


def test_too_many_bad_graphs_end_the_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(says(None, refusal="no")) as server:
        of_stage.set_up(tmp_path, SETS, server)
        assert of_stage.run(tmp_path) == 1
    assert "3 of 3 items are bad" in capsys.readouterr().err
    assert not (tmp_path / "made" / "out").exists()
    assert len(of_stage.quarantine(tmp_path)) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sets": ["other"]}, "enrich.sets 'other': no file"),
        ({"planner": "parser"}, "take a planner and sets of llm-fixed/everyday"),
        ({"sets": ["edits"]}, "none is called edits"),
        ({"set_aside": ["times"]}, "enrich.set_aside"),
        ({"demonstrations": 33}, "enrich.demonstrations"),
        ({"limits": {}}, "enrich.limits.longest_gap: missing"),
        ({"demonstrations": 4, "choice": "fixed", "most_prompts": 0}, "enrich.most_prompts"),
    ],
)
def test_mistakes_are_told_in_one_line(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_stage.set_up(tmp_path, SETS, None, **changes)
    assert of_stage.run(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_edits_are_json_lines(tmp_path: Path) -> None:
    with serve(_answer) as server:
        of_stage.set_up(tmp_path, SETS, server, most_prompts=1, choice="random")
        assert of_stage.run(tmp_path) == 0
    text = (tmp_path / "made" / "out" / of_stage.PLANNER / "edits.jsonl").read_text(encoding="utf-8")
    assert json.loads(text.splitlines()[0]) == {
        "set": "everyday",
        "prompt": DOGS,
        "round": "imagined",
        "tick": 0,
        "operation": "add",
        "item": {"object": "red dog", "attribute": "wet"},
        "source": "test-model",
        "outcome": "applied",
    }
