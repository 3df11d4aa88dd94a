"""Fills a scene description with a language model: one small question per slot, or one question for all of them."""

from __future__ import annotations

from tasks.captions import slot_questions
from tasks.captions.noun_phrases import split_phrase
from tasks.captions.scene import WHOLE, Motion, Place, SceneDescription, SceneObject, Span
from tasks.llm.likelihood import Comparison, Completion
from tasks.llm.model import CachedModel
from tasks.llm.request import Message
from tasks.llm.structured import ask, choose

_MOST_CHARACTERS = 600
_HALVES = {"first half": Span(start=0.0, end=0.5), "second half": Span(start=0.5, end=1.0)}
_UP = (Place(region="bottom"), Place(region="top"))
_ACROSS = (Place(region="left"), Place(region="right"))
_MOTIONS: dict[str, tuple[Motion, tuple[Place, ...]]] = {
    "none": ("travel", ()),
    "rise": ("travel", _UP),
    "fall": ("fall", ()),
    "approach": ("approach", ()),
    "recede": ("recede", ()),
    "bounce": ("bounce", ()),
    "jump": ("jump", ()),
}


def _side_to_side(of: int) -> tuple[Place, ...]:
    return Place(side="left", of=of), Place(side="right", of=of)


async def describe_each(model: CachedModel, caption: str) -> SceneDescription:
    """A scene by about seven small questions, as a model of a hundred million parameters can answer them.

    Raises:
        ReplyError: a question found no usable answer.
        UserError, StageError: see `CachedModel.reply`.
    """
    text = " ".join(caption.split())[:_MOST_CHARACTERS]
    things = await _things(model, text)
    if not things:
        return SceneDescription()
    motion, places = await _motion(model, text, len(things))
    first = things[0].model_copy(update={"motion": motion, "places": places, "visible": await _visible(model, text)})
    others = things[1:]
    if motion == "travel" and not places:
        others = [thing.model_copy(update={"motion": "travel"}) for thing in others]
    return SceneDescription.model_validate(SceneDescription(objects=(first, *others)).model_dump())


_ASKED_TOGETHER = """You turn the caption of a short video into a typed description of its scene, as JSON.
Objects: every person, animal or thing that is shown, each kind once, with its count; name is the singular noun, attribute
its colour or looks or an empty text, size small, medium or large. A place is either a region of the picture (side and of are
null), or a side of another object (region is null, of is the index of that object, from 0).
motion: "still" stays at its first place; "travel" passes through its places in order (moving without a direction: no
places); "fall", "bounce" and "jump" obey gravity; "approach" and "recede" are seen from the camera.
when: the part of the video, from 0 to 1, in which it moves; visible: the part in which it can be seen.
background: one or two words, an empty text if none is told."""
_EXAMPLE_CAPTION = "Two grey geese walk from the left of a well to its right. At the end a moth shows up on a farm."
_EXAMPLE_SCENE = SceneDescription(
    objects=(
        SceneObject(name="goose", attribute="grey", count=2, motion="travel", places=_side_to_side(1)),
        SceneObject(name="well"),
        SceneObject(name="moth", size="small", visible=Span(start=0.7, end=1.0)),
    ),
    background="farm",
)


async def describe_together(model: CachedModel, caption: str) -> SceneDescription:
    """A scene by one question with a schema, as a large model can answer it.

    Raises:
        ReplyError: two replies could not be used.
        UserError, StageError: see `CachedModel.reply`.
    """
    conversation = (
        Message(role="system", content=_ASKED_TOGETHER),
        Message(role="user", content=f"Caption: {_EXAMPLE_CAPTION}"),
        Message(role="assistant", content=_EXAMPLE_SCENE.model_dump_json()),
        Message(role="user", content=f"Caption: {' '.join(caption.split())[:_MOST_CHARACTERS]}"),
    )
    return await ask(model, conversation, SceneDescription)


async def _pick(model: CachedModel, text: str, question: str, likelihood: Comparison | Completion) -> str:
    options = likelihood.answers if isinstance(likelihood, Comparison) else likelihood.choices
    if len(options) == 1:
        return options[0]
    wish = f"{question} Answer with one of: {'; '.join(options)}."
    return await choose(model, slot_questions.messages(text, wish), options, likelihood=likelihood)


async def _things(model: CachedModel, text: str) -> list[SceneObject]:
    if not slot_questions.phrases(text):
        return []
    kinds = await _pick(model, text, "Does it show one kind of thing, or two kinds?", slot_questions.kinds(text))
    if kinds == "one":
        named = [await _pick(model, text, "Which words name the thing that is shown?", slot_questions.one_thing(text))]
    else:
        first = slot_questions.two_things(text)
        named = [await _pick(model, text, "Which words name the first thing that is shown?", first)]
        if slot_questions.phrases(text, beside=named[0]):
            beside = slot_questions.two_things(text, named[0])
            named.append(await _pick(model, text, f"Which words name the other thing, beside {named[0]}?", beside))
    return [await _thing(model, phrase) for phrase in named]


async def _thing(model: CachedModel, phrase: str) -> SceneObject:
    noun = await _pick(model, phrase, "Which word is the thing itself?", slot_questions.noun(phrase))
    count, attribute, name = split_phrase(phrase, noun)
    return SceneObject(name=name[:80], attribute=attribute[:80], count=count)


async def _motion(model: CachedModel, text: str, things: int) -> tuple[Motion, tuple[Place, ...]]:
    kind = await _pick(model, text, "How does it move?", slot_questions.motion(text))
    corners = slot_questions.places_named(text)
    if kind == "route" and len(corners) > 1:
        order = await _pick(model, text, "In which order does it reach these places?", slot_questions.route(text, corners))
        return "travel", tuple(Place(region=slot_questions.region_of(corner)) for corner in order.split(", "))
    if kind in {"sideways", "route"}:
        direction = await _pick(model, text, "To which side does it move?", slot_questions.direction(text))
        places = _side_to_side(1) if things > 1 else _ACROSS
        return "travel", places if direction == "to the right" else places[::-1]
    return _MOTIONS[kind]


async def _visible(model: CachedModel, text: str) -> Span:
    seen = await _pick(model, text, "Is it seen always, or only for a part of the time?", slot_questions.seen(text))
    if seen == "always":
        return WHOLE
    return _HALVES[await _pick(model, text, "In which half of the video is it seen?", slot_questions.half(text))]
