"""Layouts, replies and strategies that several tests use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout, LayoutObject

Box = tuple[int, int, int, int]
FRAMES = 6


def layout(*objects: tuple[str, Sequence[Box | None]], prompt: str = "a test") -> DynamicSceneLayout:
    """A layout of objects, each a name and its box or None in every frame."""
    count = len(objects[0][1]) if objects else FRAMES
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for number, (name, boxes) in enumerate(objects):
        for frame, box in zip(frames, boxes, strict=True):
            if box is not None:
                frame.append({"id": number, "name": name, "box": box})
    return DynamicSceneLayout.model_validate({"prompt": prompt, "frames": frames})


def still(box: Box = (100, 100, 50, 50), frames: int = FRAMES) -> list[Box | None]:
    """The same box in all frames."""
    return [box] * frames


def only_in(frames: set[int], box: Box = (100, 100, 50, 50)) -> list[Box | None]:
    """A box in some frames, counted from 0."""
    return [box if index in frames else None for index in range(FRAMES)]


def along(*xs: int, y: int = 100, side: int = 50) -> list[Box | None]:
    """A square at these places from left to right, one for each frame."""
    return [(x, y, side, side) for x in xs]


def reply(*frames: str, background: str = " meadow", reasoning: str = "It drifts.") -> str:
    """A well-formed reply of six frames; the last one given is repeated."""
    six = [*frames, *[frames[-1]] * (FRAMES - len(frames))]
    lines = [f"Frame {number}: {frame}" for number, frame in enumerate(six, start=1)]
    return "\n".join([f"Reasoning: {reasoning}", *lines, f"Background keyword:{background}"])


def boxes_inside() -> st.SearchStrategy[Box]:
    """Boxes of at least one pixel a side that do not leave the canvas."""

    def placed(size: tuple[int, int]) -> st.SearchStrategy[Box]:
        width, height = size
        return st.tuples(
            st.integers(0, CANVAS_PIXELS - width), st.integers(0, CANVAS_PIXELS - height), st.just(width), st.just(height)
        )

    return st.tuples(st.integers(1, CANVAS_PIXELS), st.integers(1, CANVAS_PIXELS)).flatmap(placed)


def boxes_anywhere() -> st.SearchStrategy[Box]:
    """Boxes that may be empty or leave the canvas."""
    return st.tuples(st.integers(-600, 700), st.integers(-600, 700), st.integers(0, 700), st.integers(0, 700))


def layouts_of(names: st.SearchStrategy[list[str]], boxes: st.SearchStrategy[Box]) -> st.SearchStrategy[DynamicSceneLayout]:
    """Layouts of six frames with objects of these names, each in some of the frames."""
    track = st.lists(st.none() | boxes, min_size=FRAMES, max_size=FRAMES)
    return names.flatmap(lambda found: st.tuples(*[st.tuples(st.just(name), track) for name in found])).map(
        lambda objects: layout(*objects)
    )


def mirrored(given: DynamicSceneLayout) -> DynamicSceneLayout:
    """Left and right changed over."""

    def turned(item: LayoutObject) -> LayoutObject:
        x, y, width, height = item.box
        return item.model_copy(update={"box": (CANVAS_PIXELS - x - width, y, width, height)})

    return given.model_copy(update={"frames": tuple(tuple(map(turned, frame)) for frame in given.frames)})
