"""Verbs of captions by what they say of an object, and all forms of them: a tagger takes many of them for nouns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from tasks.captions.english import entries, lookup, words

_BY_KIND = {
    "be": "be exist",
    "become": "become get grow turn seem keep stay",
    "show": (
        "show depict feature contain include display capture film present see watch find spot observe notice record "
        "portray comprise involve focus imagine generate create draw render picture view glimpse expect consist"
    ),
    "have": "have own possess",
    "appear": "appear emerge materialise materialize surface arrive pop reveal reappear",
    "vanish": "vanish disappear depart evaporate dissolve fade",
    "begin": "begin start commence originate",
    "end": "end finish conclude terminate",
    "stop": "stop halt cease freeze brake",
    "wait": "wait pause remain linger hesitate idle",
    "stand": (
        "stand sit lie rest sleep park hover hang perch lean dwell pose kneel crouch nap lounge squat recline occupy "
        "doze loom locate position situate place set dangle balance slumber snooze tower protrude repose"
    ),
    "make": "make",
    "travel": (
        "move go walk run trot drive ride travel fly swim crawl roll slide glide drift float sail row race rush hurry "
        "dash sprint jog gallop canter stroll wander roam march creep sneak slither scurry scamper scuttle waddle hike "
        "trek stride pace limp stagger tiptoe shuffle strut prance lumber plod trudge amble saunter mosey cruise speed "
        "zoom whizz whiz streak shoot dart charge stampede migrate proceed advance head journey progress continue "
        "pedal cycle skate ski surf paddle steer navigate taxi coast hurtle career soar flit flutter swoop swing sweep "
        "wriggle wiggle worm inch stream flow blow transition shift relocate transfer transport switch change swap "
        "tour track bolt flee escape meander snake zigzag weave pull push drag tow carry haul lead wheel propel slip "
        "skid cartwheel parade promenade traipse bike motor chug steam trundle rumble rattle ramble scoot skitter lope "
        "bound hasten jet stalk prowl wade dig burrow swerve veer edge bring take guide herd relay step tread sashay "
        "skulk scramble slink come pilot displace shimmy pad tear whoosh hobble dribble crab wing puff dogtrot zip "
        "wind whirl spiral scud waft trickle leak drizzle curl lurch reel totter teeter straggle flounce"
    ),
    "stir": (
        "dance play juggle wave shake wrestle fight exercise work perform bustle wobble sway vibrate frolic romp twist"
    ),
    "rise": "raise rise climb ascend lift launch levitate clamber scale mount",
    "sink": "lower sink descend dive submerge land dip alight",
    "fall": "fall drop plummet tumble plunge topple collapse",
    "bounce": "bounce rebound ricochet",
    "throw": "throw toss hurl lob pitch fling sling chuck catapult cast",
    "send": "kick hit shove bat nudge release",
    "jump": "jump hop leap bob spring",
    "approach": "approach near",
    "recede": "recede retreat withdraw",
    "shrink": "shrink dwindle",
    "swell": "swell enlarge expand",
    "circle": "circle orbit loop circulate revolve encircle",
    "pass": "pass overtake outrun bypass",
    "reach": "reach visit touch gain",
    "leave": "leave exit",
    "enter": "enter join",
    "cross": "cross traverse span transit",
    "return": "return",
    "chase": "chase follow pursue hunt trail",
    "hold": "hold grip clutch grasp wield",
    "wear": "wear don sport",
    "hide": "hide conceal",
    "act": (
        "fill spin rotate twirl eat drink graze feed bark meow sing talk speak chat laugh smile cry yawn read write "
        "cook bake look stare gaze glance listen flicker glow shine sparkle glitter gleam burn smoke blink pan open "
        "close bloom chirp tweet howl roar croak munch chew nibble sniff lick paint clean knit type sew fish argue "
        "kiss hug greet pet blossom melt drip rustle flap wag nod clap cheer ring tick hum buzz purr snore peck preen "
        "bathe break burst catch grab chop comb cough crack cuddle dress embrace explode fetch fix flash fold gather "
        "give grin guard hatch help knock lay light load mow pick polish point pour pray press shout sigh slice smash "
        "smell sneeze splash spray squeak stir sweat swallow tap taste teach tickle tie unfold wink wipe yell whistle "
        "whisper wonder squawk quack neigh moo cluck hiss pant scratch stretch dry crash"
    ),
}
KINDS = MappingProxyType(lookup(_BY_KIND))

# base, past and participle
_IRREGULAR = {
    line.split()[0]: line
    for line in entries(
        "go went gone, run ran run, drive drove driven, ride rode ridden, fly flew flown, swim swam swum, creep "
        "crept crept, sneak snuck sneaked, stride strode stridden, speed sped sped, shoot shot shot, fall fell "
        "fallen, sink sank sunk, rise rose risen, throw threw thrown, fling flung flung, sling slung slung, cast "
        "cast cast, leave left left, stand stood stood, sit sat sat, lie lay lain, begin began begun, see saw "
        "seen, show showed shown, find found found, be was been, have had had, get got gotten, grow grew grown, "
        "hold held held, wear wore worn, hid hidden, hang hung hung, swing swung swung, sweep swept swept, "
        "spring sprang sprung, hit hit hit, lead led led, make made made, spin spun spun, fight fought fought, "
        "shake shook shaken, become became become, slide slid slid, blow blew blown, flee fled fled, come came "
        "come, withdraw withdrew withdrawn, freeze froze frozen, keep kept kept, sleep slept slept, draw drew "
        "drawn, kneel knelt knelt, slink slunk slunk, bring brought brought, take took taken, shrink shrank "
        "shrunk, tread trod trodden, "
        "wind wound wound, catch caught caught, break broke broken, give gave given, lay laid laid, "
        "teach taught taught, arise arose arisen, set set set, dig dug dug, tear tore torn, "
        "dive dove dived"
    )
}
_DOUBLES = re.compile(
    r"(?:^|qu)[^aeiou]*[aeiou][bdgklmnprt]$|^(?:begin|propel|submit|transfer|travel|cancel|zigzag|refer|occur)$"
)


def forms_of(lemma: str) -> dict[str, str]:
    """All forms of a verb: form to "base", "s", "ing", "past" or "participle" (the latter for forms that are both)."""
    doubled = lemma + lemma[-1] if _DOUBLES.search(lemma) else lemma
    stem = lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else doubled
    ing = lemma[:-2] + "ying" if lemma.endswith("ie") else stem + "ing"
    if re.search(r"[^aeiou]y$", lemma):
        third, past = lemma[:-1] + "ies", lemma[:-1] + "ied"
    else:
        third = lemma + ("es" if re.search(r"(?:s|x|z|ch|sh|[^o]o)$", lemma) else "s")
        past = lemma + "d" if lemma.endswith("e") else doubled + "ed"
    _, preterite, participle = _IRREGULAR.get(lemma, f"{lemma} {past} {past}").split()
    forms = {preterite: "past", participle: "participle", ing: "ing", third: "s", lemma: "base"}
    if lemma in {"travel", "signal"}:
        forms |= {lemma + "ing": "ing", lemma + "ed": "participle"}
    return forms


# A verb with its particle, where the two mean something else than the verb.
PHRASAL: Mapping[tuple[str, str], str] = {
    (verb, particle): kind
    for kind, pairs in (
        ("appear", "show up, pop up, turn up, fade in, pop in, come out, spring up"),
        ("end", "end up, wind up"),
        ("rise", "take off, lift off, blast off, go up"),
        ("begin", "start out, start off, begin out"),
        ("vanish", "fade out, fade away, go away"),
        ("fall", "fall down, fall over, drop down, tumble down"),
        ("sink", "come down, go down"),
        ("travel", "set off, set out, pass by, go by"),
        ("stand", "stand by"),
    )
    for verb, particle in map(str.split, entries(pairs))
}
ENTERING = frozenset({"in", "inside"})
LEAVING = frozenset({"out"})

# form -> (lemma, which form)
FORMS = MappingProxyType({form: (lemma, which) for lemma in KINDS for form, which in forms_of(lemma).items()})
# Forms that are more often nouns than verbs in captions, unless the tagger or the position says otherwise.
NOUN_LIKE = words(
    "balance bark barrel barrels bat bats bike bikes bolt bolts break breaks cast casts catapult catch change changes "
    "coast coasts cook cooks crab crabs crack cracks crash crashes cry dart curl curls cycle cycles draw dress dresses "
    "drink drinks edge edges end ends fight fights film films finish fish flash flashes glimpse guard guards hatch "
    "head heads help hit hits hug hum jet jets kiss knock land lands lead leads leak leaks light lights load loads "
    "look looks loop loops motor motors mount mounts pad pads paint pant pants park parks pass passes pet pets pick "
    "picks picture pictures pitch pitches place places play plays point points polish position positions present press "
    "puff rattle record records reel reels render ride rides ring rings row rows scale scales set sets shot show shows "
    "ski skis slice slices sling slings smell smile smoke snake snakes span spans spiral spirals splash spot spots "
    "spray spring springs start starts steam step steps stir stream streams swing swings tap taps taste taxi taxis "
    "tear tears tick tie ties tour tours tower towers track tracks trail trails train trains type types view views "
    "wave waves wheel wheels whirl whistle whistles wind winds wing wings work works worm worms zip zips"
)
