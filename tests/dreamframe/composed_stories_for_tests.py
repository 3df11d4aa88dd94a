"""Choices as a model may make them, and the stories that come of them."""

from __future__ import annotations

from hypothesis import strategies as st

from tasks.dreamframe.story_composer import Actor, Cast, Turn, compose, scenes_for, share
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_slots import PLOTS
from tasks.dreamframe.story_tree import Story
from tasks.dreamframe.story_vocabulary import NAMES, SETTINGS, SPECIES, STYLES, THING_COLOURS

BREADTHS = st.builds(Breadth, st.integers(1, 4), st.integers(1, 4), st.integers(1, 14), st.integers(0, 5))


@st.composite
def casts(draw: st.DrawFn) -> Cast:
    species = draw(st.permutations(sorted(SPECIES)))
    names = draw(st.permutations(NAMES))
    actors = [Actor(name, kind, draw(st.sampled_from(SPECIES[kind]))) for name, kind in zip(names, species, strict=False)]
    thing, other = draw(st.permutations(THING_COLOURS))[:2]
    style, setting = draw(st.sampled_from(sorted(STYLES))), draw(st.sampled_from(sorted(SETTINGS)))
    return Cast(draw(st.sampled_from(list(PLOTS.values()))), style, setting, *actors, thing, other)


@st.composite
def composed(draw: st.DrawFn) -> tuple[Story, Breadth]:
    """A story and how broad it was to be."""
    cast, breadth = draw(casts()), draw(BREADTHS)
    count = breadth.substories * breadth.tiny_stories
    turns = [
        Turn(
            draw(st.sampled_from(share(SETTINGS[cast.setting], number, count))),
            draw(st.sampled_from(scenes_for(cast.plot, number, count))),
        )
        for number in range(count)
    ]
    return compose("tale", cast, turns, breadth, draw(st.integers(0, 2**32 - 1))), breadth
