"""General English for the clause parser: closed-class words, and small word lists where a tagger is unreliable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from tasks.captions.scene import Region, Side, Size

_Value = TypeVar("_Value")


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as one string."""
    return frozenset(text.split())


def lookup(groups: Mapping[_Value, str]) -> dict[str, _Value]:
    """Each word of each list to the key of that list."""
    return {word: value for value, text in groups.items() for word in text.split()}


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
NUMBERS: Mapping[str, int] = (
    {word: value for value, word in enumerate(_UNITS.split())}
    | dict.fromkeys(words("thirty forty fifty sixty seventy eighty ninety hundred hundreds dozens thousands"), 20)
    | {"dozen": 12, "single": 1, "lone": 1, "solitary": 1}
)
# Vague quantities need one number; a plural without any number counts as `PLURAL`.
PLURAL = 2
QUANTIFIERS: Mapping[str, int] = lookup(
    {2: "both twin couple pair double", 3: "few several some various multiple triple", 5: "many numerous", 20: "countless"}
)
# "a <word> of dogs"
GROUPS: Mapping[str, int] = lookup(
    {
        2: "pair couple duo brace",
        3: "trio threesome group set bunch handful number team row line cluster collection family convoy column gang band "
        "squad pride pod stack pile bundle series assortment array",
        4: "quartet foursome",
        5: "quintet pack herd flock swarm crowd school lot lots plenty fleet host parade procession troop colony litter "
        "gaggle gathering",
        6: "sextet",
        12: "dozen",
    }
)
SHARES: Mapping[str, float] = lookup(
    {1 / 2: "half halves", 1 / 3: "third thirds", 1 / 4: "quarter quarters", 1 / 5: "fifth fifths", 1 / 10: "tenth tenths"}
)


def entries(text: str) -> list[str]:
    """The entries of a list that is written as one string, with commas between them."""
    return text.split(", ")


INDEFINITE = words("a an another one any each every")
DEFINITE = words("the this that these those said both all")
DETERMINERS = INDEFINITE | DEFINITE | {"no"}
POSSESSIVES = words("its his her their my our your")
PRONOUNS = lookup({"one": "it he she him itself himself herself this that", "many": "they them"})
VIEWERS = words("we you us i me camera viewer viewers lens audience observer spectator spectators")
NOBODY = words("nothing nobody none")
RELATIVES = words("which who whom that whose")
# They begin a clause of their own.
SUBORDINATORS = words("while whereas when whenever as once until till after before since though although because where if")
CONJUNCTIONS = words("and or but yet plus")
NEGATIONS = words("not n't never without nor neither cannot hardly barely")
COPULAS = words("be is are was were been being am 's 're")
AUXILIARIES = COPULAS | words("do does did will would can could may might shall should must has have had having ca wo sha")
NEXT_MARKS = words(
    "then next afterwards afterward subsequently thereafter later eventually suddenly thereupon second secondly third "
    "thirdly fourth"
)
FIRST_MARKS = words("first initially originally firstly formerly")
EARLIER_MARKS = words("beforehand previously earlier")
LAST_MARKS = words("finally lastly ultimately last")
MARKS = NEXT_MARKS | FIRST_MARKS | EARLIER_MARKS | LAST_MARKS

SIZES: Mapping[str, Size] = lookup(
    {
        "small": "small tiny little mini miniature minute small-sized smallish",
        "medium": "medium medium-sized mid-sized average-sized",
        "large": "large big huge giant gigantic enormous massive immense colossal great large-sized vast oversized",
    }
)
COLOURS = words(
    "red green blue yellow orange purple pink brown black white grey gray golden silver gold violet turquoise beige "
    "cyan magenta crimson scarlet teal maroon navy olive lime indigo lavender tan cream ivory bronze copper amber "
    "khaki reddish greenish bluish yellowish brownish blond blonde ginger emerald azure ruby coral rose colourless "
    "transparent multicoloured rainbow"
)
SHADES = words(
    "light dark pale bright deep jet neon pastel dull vivid soft hot sky snow royal forest lemon mint navy baby blood"
)
# Adjectives that say nothing of an object's looks.
LOOKLESS = words(
    "same other first second third last next only own different alone more whole entire such certain particular "
    "visible present further identical separate individual additional main another following single lone good own said "
    "solitary empty blank"
)
LIVELY = words("lively moving dynamic animated energetic action-packed active busy restless playful eventful")
STILL = words("still motionless stationary static immobile unmoving fixed parked idle frozen stopped")
SHOWN = words("visible present there here shown onscreen seen noticeable viewable inview")
HIDDEN = words("invisible absent missing gone hidden unseen offscreen away out unavailable")
NEARER = words("bigger larger closer nearer")
FARTHER = words("smaller tinier farther further")

# Directions are pairs of -1, 0 and 1, to the right and down.
VECTORS: Mapping[str, tuple[int, int]] = lookup(
    {
        (-1, 0): "left leftmost",
        (1, 0): "right rightmost",
        (0, -1): "top upper topmost uppermost highest",
        (0, 1): "bottom lower bottommost lowermost lowest",
        (0, 0): "center middle central midst",
    }
)
HEADINGS: Mapping[str, tuple[int, int]] = lookup(
    {
        (-1, 0): "leftward leftwards",
        (1, 0): "rightward rightwards",
        (0, -1): "up upward upwards skyward skywards overhead higher",
        (0, 1): "down downward downwards earthward",
    }
)
REGIONS: Mapping[tuple[int, int], Region] = {
    (-1, 0): "left",
    (1, 0): "right",
    (0, -1): "top",
    (0, 1): "bottom",
    (0, 0): "center",
    (-1, -1): "upper left",
    (1, -1): "upper right",
    (-1, 1): "lower left",
    (1, 1): "lower right",
}
PLACE_NOUNS = words(
    "corner side edge part area quadrant portion section region zone border end margin half third spot position point "
    "boundary hand sector sides corners rim fringe extremity quarter"
)
SIDES: Mapping[str, Side] = lookup({"above": "above atop over", "below": "below beneath under underneath"})
# What a preposition says of a place.
Role = Literal["at", "from", "via", "to", "along", "toward"]
ROLES: Mapping[str, Role] = lookup(
    {
        "at": "in at on within inside near by around upon",
        "to": "to into onto toward towards for till until",
        "from": "from off since",
        "via": "via through past across over",
        "along": "along",
    }
)
PREPOSITIONS = words(
    "in at on within inside near by around to into onto toward towards for from off via through past across over along "
    "of with above below beneath under underneath behind beside between among amid against atop about like during "
    "throughout without upon outside featuring containing including showing round beyond opposite amongst amidst "
    "depicting till"
)
