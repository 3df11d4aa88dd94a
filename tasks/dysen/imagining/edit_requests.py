"""Questions for edits of a whole sequence: free for endpoints, and a choice among proposals for a small local model."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.dysen.checks.graph_verifiers import Violation
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.event_grammar import format_events
from tasks.dysen.imagining.detail_grammar import format_details
from tasks.dysen.imagining.edit_grammar import ParsedEdits, parse_edits
from tasks.dysen.imagining.edit_proposals import KEEP, Proposal
from tasks.llm.likelihood import Lines, Slot
from tasks.llm.model import CachedModel
from tasks.llm.request import Message, Request

_MOST_VIOLATIONS, _MOST_CHARACTERS = 32, 600
_LONGEST_SEQUENCE = 30_000  # characters; a small model's memory has room for about 50,000
_FORM = f"""Answer with one operation a line and no explanation, in these forms:
add 3 (man, holding, cup)
remove 0-2 (cup, is, red)
replace 4 (man, left of, dog) with (man, right of, dog)
The numbers are moments. What the events tell stays in any case. If nothing is to be changed, answer: {KEEP}"""
_POLISH = """You check the scene graphs of a short video as a whole. There is a graph for each numbered moment, with \
entries such as (man, holding, cup) for a relation and (cup, is, red) for a look; details were added moment by moment.
Make the whole coherent: remove what contradicts the sentence or something else, add what got lost between two moments, \
change what should be the same throughout."""
_REPAIR = """You mend the scene graphs of a short video. There is a graph for each numbered moment, with entries such as \
(man, holding, cup) for a relation and (cup, is, red) for a look. A check has found what is wrong with them. Mend that with \
as few changes as you can."""
# what a small model sees before its own question: one proposal of each kind is taken, one is not
_HEADING = """Mistakes in the scene graphs of videos.

Sentence: a boy carries a red bag to a bench
0: (bag, is, red) (boy, carry, bag)
1: (boy, carry, bag)
2: (bag, is, red) (boy, carry, bag) (boy, is, bench)
Changes:
1. add 1 (bag, is, red)
2. remove 2 (boy, is, bench)

Sentence: a cat runs past a sleeping dog
0: (cat, left of, dog) (cat, run past, dog)
1: (cat, right of, dog) (cat, run past, dog)
Changes:
1. keep

"""


async def ask_for_polish(
    model: CachedModel, graph: DynamicSceneGraph, proposals: Sequence[Proposal], source: str
) -> ParsedEdits:
    """What a model wants to change so that the whole is coherent; a local one is asked only if there are proposals.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    return await _ask(model, _POLISH, graph, "", proposals, source)


async def ask_for_repair(
    model: CachedModel,
    graph: DynamicSceneGraph,
    violations: Sequence[Violation],
    proposals: Sequence[Proposal],
    source: str,
) -> ParsedEdits:
    """What a model wants to change against violations; a local one is asked only if there are proposals.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    listed = [f"- {violation.where}: {violation.detail}" for violation in violations[:_MOST_VIOLATIONS]]
    return await _ask(model, _REPAIR, graph, "\n".join(["What is wrong:", *listed, ""]), proposals, source)


async def _ask(
    model: CachedModel, task: str, graph: DynamicSceneGraph, wrong: str, proposals: Sequence[Proposal], source: str
) -> ParsedEdits:
    sequence = _sequence(graph)
    question = f"{sequence}Events, with begin and end:\n{format_events(graph.events)}\n{wrong}Changes:"
    request = Request(
        messages=(Message(role="system", content=f"{task}\n{_FORM}"), Message(role="user", content=question)),
        likelihood=_choices(sequence, proposals),
    )
    if model.parameters.backend == "local" and request.likelihood is None:
        return ParsedEdits((), ())
    return parse_edits(await model.reply(request), source, max(len(graph.ticks) - 1, 0))


def _sequence(graph: DynamicSceneGraph) -> str:
    ticks = "".join(f"{tick}: {format_details(now)}\n" for tick, now in enumerate(graph.ticks))
    return f"Sentence: {' '.join(graph.prompt.split())[:_MOST_CHARACTERS]}\n{ticks}"


def _choices(sequence: str, proposals: Sequence[Proposal]) -> Lines | None:
    """One line for each proposal, written as a single line of slots so that each is decided once; None without any."""
    if not proposals or len(sequence) > _LONGEST_SEQUENCE:
        return None
    slots = [
        Slot(
            before=f"{number}." if number == 1 else f"\n{number}.",
            choices=tuple(f" {option}" for option in proposal.options),
        )
        for number, proposal in enumerate(proposals, start=1)
    ]
    return Lines(prompt=f"{_HEADING}{sequence}Changes:\n", slots=tuple(slots), after="\n", stop="\n", most=1)
