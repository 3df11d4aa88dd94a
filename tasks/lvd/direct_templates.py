"""The conversation in which a language model is asked to write a layout itself (specs/lvd.md 1.2 and 1.3)."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.llm.request import Message
from tasks.llm.schema import strict_schema
from tasks.lvd.direct_examples import example_layouts
from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout, LayoutObject

Template = Literal["lvd", "dvd"]
ReplyFormat = Literal["text", "json"]
MOST_PROMPT = 2_000

_TASK = """\
You write bounding boxes for videos. You do not make the video itself: another program draws it from your boxes.
You get the caption of a video of {frames} frames, shown at {rate} frames per second.
Your task is to give, for every frame, realistic boxes of the objects that the caption names, and one keyword for the \
background.
The picture is {canvas} pixels wide and {canvas} pixels high. The upper left corner is [0, 0], the upper right corner is \
[{canvas}, 0], the lower left corner is [0, {canvas}] and the lower right corner is [{canvas}, {canvas}].
Boxes must not overlap, and no part of a box may lie outside the picture."""

_TEXT_SYNTAX = """\
Write each frame on one line as `Frame i: [{{'id': 0, 'name': 'name of the object', 'box': [x, y, width, height]}}, ...]`, \
where i counts from 1 to {frames} and x and y are the upper left corner of the box. A frame without objects is \
`Frame i: []`. After the frames write `Background keyword: ` and the keyword."""

_JSON_SYNTAX = """\
Answer with one JSON object: {{"reasoning": "...", "frames": [[{{"id": 0, "name": "name of the object", "box": \
[x, y, width, height]}}, ...], ...], "background": "keyword"}}, where "frames" holds exactly {frames} lists, one for each \
frame, and x and y are the upper left corner of the box. A frame without objects is an empty list."""

_SCENE = """\
Each box holds one object; two objects of the same kind get two boxes.
The {frames} frames must show all that the caption tells, from its beginning in frame 1 to its end in frame {frames}.
Follow the physics of the real world, such as gravity and elasticity.
Follow the perspective of a camera: what is nearer looks larger, and when the camera moves, boxes change with it.
An object keeps its id in all frames. If it disappears, leave it out of those frames; if it comes back, it has the same id.
Where the caption leaves something open, make a reasonable guess."""

_TEXT_STYLE = """\
Begin with a line `Reasoning: ` that says briefly how things move.
Keep to the format of the examples. Do not use markdown, do not begin a line with `-`, and do not write comments."""

_JSON_STYLE = """\
Begin with "reasoning", which says briefly how things move.
Keep to the format of the examples. Do not use markdown, and do not write comments or anything around the JSON object."""

_DVD = """\
Four requirements matter most:
1. Dynamics: show how things move and change in every frame; do not repeat a still picture.
2. Sequence: what the caption tells one after the other happens in that order, each step in frames of its own.
3. Consistency: the same object has the same id and name in all frames, and its size and place change smoothly.
4. Precision: places, directions and numbers of objects are exactly those of the caption.
Before you answer, check your boxes:
1. No box overlaps another one or leaves the picture.
2. Every object has the same id in all frames.
3. If something is wrong, mend it and check again. Give the final boxes only.
Work in three phases:
1. Initialise: list the objects, give them ids, and place them in frame 1.
2. Interact: move them from frame to frame, with all that they do to each other, as the caption tells.
3. Finalise: bring them to where the caption leaves them in frame {frames}, and choose the background."""

_PARTS: dict[tuple[Template, ReplyFormat], tuple[str, ...]] = {
    ("lvd", "text"): (_TASK, _TEXT_SYNTAX, _SCENE, _TEXT_STYLE),
    ("lvd", "json"): (_TASK, _JSON_SYNTAX, _SCENE, _JSON_STYLE),
    ("dvd", "text"): (_TASK, _TEXT_SYNTAX, _SCENE, _TEXT_STYLE, _DVD),
    ("dvd", "json"): (_TASK, _JSON_SYNTAX, _SCENE, _JSON_STYLE, _DVD),
}


class AnswerObject(BaseModel):
    """One object in one frame; `box` is x, y, width and height in canvas pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    name: str
    box: Annotated[list[float], Field(min_length=4, max_length=4)]


class DirectAnswer(BaseModel):
    """A reply in the format "json"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning: str
    frames: list[list[AnswerObject]]
    background: str


def answer_schema(frames: int) -> dict[str, Any]:
    """The JSON schema of `DirectAnswer` with exactly this many frames."""
    schema = strict_schema(DirectAnswer)
    schema["properties"]["frames"] |= {"minItems": frames, "maxItems": frames}
    return schema


def direct_messages(
    prompt: str, template: Template, frames: int, frames_per_second: float, reply_format: ReplyFormat
) -> tuple[Message, ...]:
    """System message, three worked examples, and the caption.

    Args:
        prompt: the caption; hostile, so it becomes one printable line of at most `MOST_PROMPT` characters.
        template: "lvd" as in LLM-grounded Video Diffusion; "dvd" adds key requirements, phases and a self-check.
        frames: how many are asked for, 2 to 64.
        frames_per_second: of the video, as told to the model.
        reply_format: lines of text as in the original, or one JSON object.

    Raises:
        ValueError: a number of frames for which there are no examples.
    """
    parts = "\n".join(_PARTS[template, reply_format])
    system = parts.format(frames=frames, rate=f"{frames_per_second:g}", canvas=CANVAS_PIXELS)
    messages = [Message(role="system", content=system)]
    for example in example_layouts(frames):
        messages += [_caption(example.prompt), Message(role="assistant", content=render_reply(example, reply_format))]
    return (*messages, _caption(prompt))


def _caption(prompt: str) -> Message:
    line = "".join(character if character.isprintable() else " " for character in prompt[:MOST_PROMPT])
    return Message(role="user", content=f"Caption: {' '.join(line.split())}")


def render_reply(layout: DynamicSceneLayout, reply_format: ReplyFormat) -> str:
    """A layout as a model should reply it; `tolerant_parser.parse_reply` reads it back."""
    frames = [[_plain(item) for item in frame] for frame in layout.frames]
    if reply_format == "json":
        answer = {"reasoning": layout.reasoning, "frames": frames, "background": layout.background}
        return json.dumps(answer, ensure_ascii=False)
    lines = [f"Frame {number}: {frame}" for number, frame in enumerate(frames, start=1)]
    return "\n".join([f"Reasoning: {layout.reasoning}", *lines, f"Background keyword: {layout.background}"])


def _plain(item: LayoutObject) -> dict[str, Any]:
    return {"id": item.id, "name": item.name, "box": [int(side) if side.is_integer() else side for side in item.box]}
