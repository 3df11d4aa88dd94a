"""Example captions, by what they say: all that a small model learns a slot from.

The examples of one slot are alike in everything but the slot, so that only it can tell them apart. They name other things
than the LVD benchmark and use other words: the scores there say what was understood, not what was copied.
"""

from __future__ import annotations

KINDS = {
    "one": (
        "A bee hums around a flower.",
        "Five lions sleep in the shade.",
        "A truck drives from the right to the left.",
        "A monkey can be seen only at the end of the clip.",
        "A pink balloon drifts over a town.",
        "A crab sits in the top right corner, then it crawls down to the bottom right.",
        "Three sheep",
        "Two old chairs stand in an empty room.",
    ),
    "two": (
        "A white bowl and a grey stone lie on the floor.",
        "The nurse walks from the right of a wheelchair to its left.",
        "A wolf runs past a sheep.",
        "A sailor and a tall soldier",
        "A video of two old women who feed a swan.",
        "A striped cup stands beside a square box.",
        "A queen passes a king from his left side to his right side.",
        "A pink balloon and a red bell",
    ),
}
KINDS_CALIBRATION = (
    "A whale swims to the right.",
    "Two ladies walk in a park.",
    "A candle burns at the beginning only.",
    "Six burning candles",
    "A comet crosses the sky from right to left.",
    "A short film of a turning windmill",
    "A cloud at the top left moves to the top right and then to the bottom right.",
    "A pilot who is not to be seen in the second half",
    "A cook sits left of a waiter.",
    "A bell and a brown shoe",
    "A bus passes a gate.",
    "A short film with a round table and a blue lamp",
    "A juggler on the left of a drum goes to its right.",
    "A comet above a white castle",
    "A grandmother holds a yellow apple.",
    "A whale meets a diver.",
)

MOTIONS = {
    "sideways": (
        "A truck drives from the left to the right.",
        "A nurse walks from the right of a wheelchair to its left.",
        "A pink balloon rolls to the left.",
        "The crow, first on the left of the chimney, flies over to its right side.",
        "A whale swims rightwards.",
        "A cyclist crosses the picture from right to left.",
    ),
    "none": (
        "Five lions sleep in the shade.",
        "A moving truck",
        "A monkey is seen only at the end of the clip.",
        "A bee hums around a flower.",
        "A cup and a stone",
        "Two old women feed a swan.",
        "A ghost disappears in the middle of the clip.",
    ),
    "rise": (
        "The smoke rises above the roof.",
        "An eagle soars high up into the sky.",
        "A pink balloon climbs upwards.",
        "A lift goes up.",
    ),
    "fall": (
        "A coin drops on the floor.",
        "A vase falls off a shelf.",
        "Leaves sink to the ground.",
        "A stone tumbles down from a cliff.",
    ),
    "route": (
        "A snail creeps from the upper left over the upper right to the lower right.",
        "The bus is first in the lower left, goes up to the upper left and then turns to the upper right.",
        "An elephant at the bottom right walks to the bottom left and later to the top left.",
        "A ghost floats in the top right corner. Next it comes to the bottom right. Its last stop is the bottom left.",
    ),
    "approach": (
        "A truck comes closer to the camera.",
        "A wolf runs towards us and gets bigger.",
        "A ship approaches the viewer.",
    ),
    "recede": (
        "A sailor walks away from the camera.",
        "A tram drives off into the distance.",
        "A kite gets smaller and smaller as it leaves us.",
    ),
    "bounce": (
        "A rubber toy bounces on the floor.",
        "A coconut is thrown and rebounds from the ground.",
    ),
    "jump": (
        "A frog jumps over a stone.",
        "A girl hops into the air and lands again.",
    ),
}

DIRECTIONS = {
    "to the right": (
        "A truck drives from the left to the right.",
        "A nurse walks from the left of a wheelchair to its right.",
        "A pink balloon rolls to the right.",
        "The crow, first on the left of the chimney, flies over to its right side.",
        "A cyclist crosses the picture from left to right.",
        "Coming from the left, a snail creeps toward the right border.",
    ),
    "to the left": (
        "A tram drives from the right to the left.",
        "A sailor walks from the right of a gate to its left.",
        "A white cloud glides to the left.",
        "The wolf, first on the right of the fence, runs over to its left side.",
        "A skater crosses the picture from right to left.",
        "Coming from the right, a beetle creeps toward the left border.",
    ),
}

SEEN = {
    "always": (
        "A bee hums around a flower.",
        "A nurse walks from the right of a wheelchair to its left.",
        "A nice film with five sleeping lions",
        "A truck drives from the right to the left.",
        "A white bowl and a grey stone lie on the floor.",
        "A snail creeps from the upper left over the upper right to the lower right.",
        "A queen passes a king from his left side to his right side.",
    ),
    "sometimes": (
        "A crab can be seen in the opening half only.",
        "A ghost disappears in the middle of the clip.",
        "A monkey comes into view only near the end of the clip.",
        "A knight is seen only after the middle of the film.",
        "Until half of the film is over we see a snail, then no more.",
        "At the beginning there is no parrot, but later there is one.",
    ),
}
SEEN_CALIBRATION = (
    "A whale swims to the right.",
    "Two old chairs",
    "A sailor shows himself only in the later part.",
    "A candle burns in the earlier part only.",
    "A cook leaves after half of the time.",
    "A bus passes a gate.",
)

HALVES = {
    "first half": (
        "A crab can be seen in the opening half only.",
        "A ghost disappears in the middle of the clip.",
        "Until half of the film is over we see a snail, then no more.",
        "A witch is there at the beginning and is gone for the rest.",
        "A lantern burns before the middle of the video.",
    ),
    "second half": (
        "The moon is visible during the closing half only.",
        "A monkey comes into view only near the end of the clip.",
        "A knight is seen only after the middle of the film.",
        "At the beginning there is no parrot, but later there is one.",
        "A sailor appears when half of the time is over.",
    ),
}

ROUTES = {
    "A snail creeps from the upper left over the upper right to the lower right.": "upper left, upper right, lower right",
    "The bus is first in the lower left, goes up to the upper left and then turns to the upper right.": (
        "lower left, upper left, upper right"
    ),
    "A ghost floats in the top right corner. Next it comes to the bottom right. Its last stop is the bottom left.": (
        "top right, bottom right, bottom left"
    ),
    "An elephant at the bottom right walks to the bottom left and later to the top left.": (
        "bottom right, bottom left, top left"
    ),
    "A witch who set out at the lower right flies to the lower left, and after that to the upper left.": (
        "lower right, lower left, upper left"
    ),
}

ONE_THING = {
    "Five sleeping lions in the shade.": "five sleeping lions",
    "A video in which a monkey can be seen only at the end.": "a monkey",
    "A pink balloon drifting over a town": "a pink balloon",
    "Footage of a truck that goes toward the left border of the picture.": "a truck",
    "In the top right corner sits a crab, then it crawls down to the bottom right.": "a crab",
    "A very nice film of two kids that run through a forest": "two kids",
    "The ghost disappears in the middle of the clip.": "the ghost",
    "A calm shot with one big ship": "one big ship",
}
TWO_THINGS = {
    "A white bowl and a grey stone lie on the floor.": ("a white bowl", "a grey stone"),
    "A nice picture of a tall tower beside a square box": ("a tall tower", "a square box"),
    "The nurse walks from the right of a wheelchair to its left.": ("the nurse", "a wheelchair"),
    "We see two kids and a wolf run through a forest.": ("two kids", "a wolf"),
    "A sailor stands in the rain while a pink balloon flies by.": ("a sailor", "a pink balloon"),
    "Coming from the left, a queen passes an old king on his right.": ("a queen", "an old king"),
    "A nice film of a copper bell with a brown shoe": ("a copper bell", "a brown shoe"),
}
NOUNS = {
    "five sleeping lions": "lions",
    "the ghost disappears": "ghost",
    "two rolling stones": "stones",
    "the flag falls down": "flag",
    "a turning wheel": "wheel",
    "a pink balloon": "balloon",
    "a copper bell next": "bell",
    "one tall sailor": "sailor",
    "the snail creeps": "snail",
    "two old women": "women",
    "a nice white bowl": "bowl",
}
