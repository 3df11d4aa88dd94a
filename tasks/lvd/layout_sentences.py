"""Says in plain sentences what was laid out."""

from __future__ import annotations

from tasks.captions.scene import WHOLE, Motion, Place, SceneDescription, SceneObject, Span

_NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_VERBS: dict[Motion, tuple[str, str]] = {
    "still": ("stays", "stay"),
    "travel": ("travels", "travel"),
    "fall": ("falls", "fall"),
    "bounce": ("bounces", "bounce"),
    "jump": ("jumps up and comes down", "jump up and come down"),
    "approach": ("comes nearer", "come nearer"),
    "recede": ("moves away from the camera", "move away from the camera"),
}
_LEADS_THROUGH_PLACES: tuple[Motion, ...] = ("travel", "fall", "bounce", "jump")
_PLURALS = {
    **{"man": "men", "woman": "women", "person": "people", "child": "children", "mouse": "mice", "goose": "geese"},
    **{"foot": "feet", "leaf": "leaves", "wolf": "wolves", "knife": "knives", "ox": "oxen"},
    **{name: name for name in ("sheep", "fish", "deer", "aircraft", "scissors")},
}
_LONGEST = 900
"""Characters of a sentence, so that those of a full scene fit into a layout."""


def plural(label: str) -> str:
    """Several of them: "fire truck" becomes "fire trucks"."""
    start, space, noun = label.rpartition(" ")
    lower = noun.lower()
    if lower in _PLURALS:
        return start + space + _PLURALS[lower]
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        return label + "es"
    if lower.endswith("y") and not lower.endswith(("ay", "ey", "oy", "uy")):
        return label[:-1] + "ies"
    return label + "s"


def sentence(scene: SceneDescription, index: int, laid_out: int) -> str:
    """What one object of a scene does, such as "Two red kites travel from the left to the right."

    Args:
        scene: the whole scene.
        index: which of its objects.
        laid_out: how many of it were laid out.
    """
    item = scene.objects[index]
    many = laid_out > 1
    words = [_NUMBERS[laid_out]]
    if laid_out < item.count:
        words.append(f"of {_NUMBERS[item.count]}")
    words.append(plural(item.label) if item.count > 1 else item.label)
    words.append(_VERBS[item.motion][many])
    words.append(_way(scene, item))
    words.append("" if item.motion == "still" else _span(item.when))
    if item.visible != WHOLE:
        words.append(f"and {'are' if many else 'is'} seen {_span(item.visible)}")
    text = " ".join(word for word in words if word)
    return text[:1].upper() + text[1:_LONGEST] + ("; there is no room for more." if laid_out < item.count else ".")


def _way(scene: SceneDescription, item: SceneObject) -> str:
    places = [_place(scene, place) for place in item.places]
    if not places:
        return "a little" if item.motion == "travel" else ""
    if item.motion not in _LEADS_THROUGH_PLACES or (len(places) == 1 and item.motion != "travel"):
        return _at(scene, item.places[0])
    if len(places) == 1:
        return f"to {places[0]}"
    between = f" through {', '.join(places[1:-1])}" if places[1:-1] and item.motion == "travel" else ""
    return f"from {places[0]}{between} to {places[-1]}"


def _place(scene: SceneDescription, place: Place) -> str:
    """As something comes from it or goes to it."""
    if place.of is None:
        return "the centre" if place.region == "center" else f"the {place.region}"
    name = scene.objects[place.of].label
    return f"the {place.side} of the {name}" if place.side in ("left", "right") else f"a place {place.side} the {name}"


def _at(scene: SceneDescription, place: Place) -> str:
    """As something is there."""
    words = _place(scene, place).removeprefix("a place ")
    if place.side in ("above", "below"):
        return words
    return f"{'at' if place.region in ('left', 'right', 'top', 'bottom') or place.side else 'in'} {words}"


def _span(span: Span) -> str:
    if span == WHOLE:
        return ""
    return f"from {span.start:.0%} to {span.end:.0%} of the video"
