"""English nouns that are no objects of a scene, or no ordinary ones; and plurals."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.captions.english import entries, words

MEDIA_OF_TIME = words(
    "video clip footage film movie recording sequence animation gif timeline duration runtime length time reel vid videoclip"
)
MEDIA_OF_SPACE = words("frame screen image picture canvas view display field-of-view viewport background foreground")
MEDIA = (
    MEDIA_OF_TIME
    | MEDIA_OF_SPACE
    | words(
        "scene shot close-up closeup scenario caption prompt camera scenery setting depiction rendering render "
        "illustration take perspective angle backdrop composition timelapse time-lapse panorama pan vision cartoon "
        "painting drawing sketch photo photograph portrait montage story episode artwork viewer distance horizon "
        "videos clips scenes shots"
    )
)
# They name the medium, or a thing on a wall or a desk.
MEDIA_OR_THINGS = words("picture screen camera frame canvas display image painting drawing sketch photo photograph portrait")
# "the <word> of a dog" tells of the dog.
ABSTRACT = words(
    "position location place journey path movement motion appearance colour color size presence trip route course "
    "trajectory travel shape type kind sort passage sight voyage look hue example bit way"
)
COLOUR_NOUNS = words("colour color hue tone shade paint colours")
# Parts whose colour is that of the whole.
COVERINGS = words(
    "fur coat hair skin feather feathers wool plumage shell body paint surface exterior scales colour color hue tone "
    "shade colours"
)
PARTS = words(
    "fur coat hair skin feather feathers wool plumage shell body tail eye eyes ear ears wing wings leg legs paw paws "
    "beak horn horns mane head face back belly surface exterior wheel wheels roof door sail sails stripe stripes spot "
    "spots dot dots handle beard collar hat cap scarf shirt dress jacket suit uniform trousers jeans shoes boots "
    "gloves glasses helmet costume outfit clothes armour armor scales fin fins trunk antlers feet hands arms mouth "
    "nose teeth pattern patterns texture finish hooves claws"
)
SCENERY = words(
    "sky sea ocean meadow desert forest lake river street road beach field city town village mountain mountains hill "
    "hills park garden jungle room kitchen valley grass grassland snow rain water waters waves shore coast harbour "
    "harbor stage farm farmyard barn pond wood woods savanna savannah prairie steppe plain plains tundra swamp marsh "
    "canyon island highway motorway runway track path trail lawn yard square plaza market office classroom hall "
    "hallway corridor stadium arena pool aquarium zoo space sand dune dunes ice glacier riverbank bank canal creek "
    "stream waterfall cave countryside landscape skyline seaside seabed reef ground floor asphalt pavement sidewalk "
    "alley avenue parking studio background backdrop sunset sunrise night day morning evening afternoon dusk dawn "
    "moonlight sunlight daylight sunshine fog mist storm wind air seas streets fields outdoors indoors wall orchard "
    "station vineyard pasture wilderness rainforest environment world universe galaxy"
)
# One goes up or down them without rising or sinking.
WAYS = words(
    "road street path track highway lane avenue alley river trail hallway corridor runway motorway sidewalk pavement aisle"
)
TIMES_OF_DAY = words("sunset sunrise night day morning evening afternoon dusk dawn moonlight daylight midnight noon")
# Nouns of fixed phrases.
NO_THINGS = words(
    "walk ride flight swim stroll trek jog arc curve zigzag spiral drive someone somebody anyone anybody everyone "
    "everybody something air midair moment while time speed pace direction turn end start beginning manner order front "
    "back side other thing rest total part others row line queue formation unison dark darkness hand hands step steps "
    "addition group pair contrast instant point eye corner edge area quadrant portion section region zone border "
    "margin spot position boundary sector rim fringe extremity quarter half third"
)
HYPERNYMS = words(
    "animal creature vehicle object thing person item figure character one beast machine subject bird insect fish pet "
    "toy being craft device shape fruit critter"
)
# Compounds whose first word looks like an adjective or a participle.
FIXED_COMPOUNDS = frozenset(
    tuple(line.split())
    for line in entries(
        "hot air balloon, polar bear, fire engine, flying saucer, shooting star, rocking chair, washing machine, "
        "killer whale, sailing boat, rowing boat, racing car, high chair, black hole, electric guitar, hot dog, soft toy, "
        "wild boar, solar panel, grizzly bear, remote control, mobile phone, double decker, swimming pool, dining table, "
        "guinea pig, rubber duck, rolling pin"
    )
)

IRREGULAR: Mapping[str, str] = dict(
    line.split()
    for line in entries(
        "mice mouse, geese goose, men man, women woman, children child, people person, feet foot, teeth tooth, wolves wolf, "
        "calves calf, leaves leaf, knives knife, loaves loaf, elves elf, scarves scarf, shelves shelf, oxen ox, "
        "lice louse, cacti cactus, octopi octopus, dice die, policemen policeman, firemen fireman, snowmen snowman, "
        "fishermen fisherman, thieves thief, wives wife, hooves hoof, taxis taxi, skis ski, kiwis kiwi, buses bus, "
        "gases gas, lenses lens, irises iris"
    )
)
# Words with the look of a plural.
_SINGULAR = words("gas lens canvas atlas christmas news series species always bus pants scissors")
# Plurals of words that end in "e", unlike most words whose plurals look so.
_WITH_E = words(
    "shoes canoes toes oboes hoes foes movies cookies zombies brownies smoothies pixies genies collies magpies ties "
    "pies aches axes"
)


def singular(text: str) -> str:
    """The singular of a plural noun; other words unchanged."""
    if text in IRREGULAR:
        return IRREGULAR[text]
    if text in _SINGULAR:
        return text
    if text in _WITH_E:
        return text[:-1]
    if text.endswith("ies") and len(text) > 4:
        return text[:-3] + "y"
    if re.search(r"(?:ss|[^aeiou]us|x|zz|ch|sh|o)es$", text):
        return text[:-2]
    return text[:-1] if text.endswith("s") and not text.endswith(("ss", "ous", "is", "bus", "pus", "rus", "tus")) else text
