"""Words of stories: what may be done in a frame, how faces look, and the small world of stories that code composes.

Species, things and colours are those of the sprite world, which the tiny picture model knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

VERBS: Mapping[str, str] = {
    "standing": "stands",
    "sitting": "sits",
    "looking": "looks",
    "talking": "talks",
    "holding": "holds",
    "squatting": "squats",
    "walking": "walks",
    "hugging": "hugs",
}
"""What somebody may do in a frame, and the same in a sentence (specs/dreamframe.md C1)."""

QUESTION_WORDS = ("what", "why", "how", "where")

EXPRESSIONS: Mapping[str, tuple[str, ...]] = {
    "happy": ("smiling", "with a happy face"),
    "merry": ("laughing", "with a big smile"),
    "worried": ("with a worried face", "frowning"),
    "surprised": ("with wide eyes", "with a surprised face"),
    "curious": ("with a curious face", "with bright eyes"),
    "calm": ("with a calm face", "with half-closed eyes"),
    "proud": ("with a proud smile", "with a proud face"),
    "shy": ("with a shy smile", "with lowered eyes"),
}
"""A mood, and how a face shows it."""

STYLES: Mapping[str, tuple[str, ...]] = {
    "Storybook": ("soft outlines", "warm light", "gentle colours", "rounded shapes"),
    "Watercolour": ("wet edges", "pale washes", "paper grain", "airy light"),
    "Crayon": ("waxy strokes", "bright colours", "rough edges", "childlike shapes"),
    "Felt": ("woolly surfaces", "stitched edges", "soft colours", "cosy light"),
    "Mosaic": ("small tiles", "hard edges", "glowing colours", "regular patterns"),
    "Moonlit": ("deep blue shadows", "silver light", "quiet night", "cool colours"),
}
"""A style's keyword and its phrases."""

SPECIES: Mapping[str, tuple[str, ...]] = {
    "cat": ("gray", "black", "white", "orange"),
    "dog": ("brown", "black", "white", "gray"),
    "bird": ("yellow", "blue", "green", "pink"),
}
"""An animal of the sprite world and the colours that suit it."""

THING_COLOURS = ("red", "blue", "yellow", "green", "purple", "pink")

NAMES = ("Mia", "Pip", "Rusty", "Biscuit", "Tilly", "Moss", "Poppy", "Otto", "Juniper", "Waffle", "Pickle", "Button")


class Place(NamedTuple):
    """A place of at most two words, how one is there, and where something can be hidden."""

    name: str
    preposition: str
    spot: str

    @property
    def at(self) -> str:
        """As in "Mia sits by the duck pond"."""
        return f"{self.preposition} the {self.name}"


def _places(text: str) -> tuple[Place, ...]:
    return tuple(Place(*(part.strip() for part in line.split(";"))) for line in text.strip().splitlines())


SETTINGS: Mapping[str, tuple[Place, ...]] = {
    "village": _places("""
        garden; in; behind the watering can
        front gate; at; behind the letter box
        bakery; at; under the bread counter
        market square; on; between the fruit stands
        fountain; by; behind the stone rim
        school yard; in; under the swing
        library; in; behind the tallest shelf
        old bridge; on; behind the railing
        duck pond; by; between the reeds
        orchard; in; under the apple tree
        windmill; at; behind the flour sacks
        hilltop; on; behind the bench
    """),
    "forest": _places("""
        clearing; in; under the big fern
        hollow oak; at; behind the roots
        brook; by; between the pebbles
        mossy rock; by; behind the moss
        berry bushes; by; under the leaves
        beaver dam; at; between the branches
        pine grove; in; behind the cones
        mushroom ring; by; under the largest mushroom
        fox path; on; behind the bend
        waterfall; by; behind the spray
        cave mouth; at; behind the boulder
        lookout; on; under the old sign
    """),
    "seaside": _places("""
        beach hut; at; behind the deck chair
        harbour; at; between the fishing boats
        pier; on; under the planks
        fish market; at; behind the barrels
        lighthouse; by; behind the red door
        sand dunes; in; behind the long grass
        rock pool; by; between the wet stones
        ice stand; at; under the striped roof
        sea wall; on; behind the steps
        boat shed; at; under the upturned boat
        shell beach; on; behind the driftwood
        cliff path; on; behind the signpost
    """),
}
"""Places in an order in which one can walk from one to the next."""
