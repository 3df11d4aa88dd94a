"""Themes of other stories, by what suits them: all that a small model learns these choices from."""

from __future__ import annotations

from collections.abc import Mapping

HEROES: Mapping[str, tuple[str, str, str]] = {
    "cat": ("the cat who slept all day", "a proud lady on the roof", "nine lives and a fish"),
    "dog": ("the dog who waited at the station", "a loyal friend with muddy feet", "running after a bone"),
    "bird": ("the bird who sang too early", "flying over the mountains", "a nest in the chimney"),
}
SETTINGS: Mapping[str, tuple[str, str, str]] = {
    "village": ("the new baker", "a rainy day at school", "the street where we live"),
    "forest": ("alone among the trees", "the wolf and the hunter", "a picnic under the oak"),
    "seaside": ("the pirate and his ship", "a summer by the sea", "the keeper of the lighthouse"),
}
STYLES: Mapping[str, tuple[str, str, str]] = {
    "Storybook": ("the princess and the giant", "a tale from long ago", "three wishes in a castle"),
    "Watercolour": ("spring in the garden", "a rainy day by the lake", "a quiet morning at the sea"),
    "Crayon": ("a funny birthday party", "my little brother", "a child's first day at school"),
    "Felt": ("a cosy winter evening", "a warm bed for everybody", "the old sheep and the scarf"),
    "Mosaic": ("the temple of the king", "a market in an old city", "the traveller from the south"),
    "Moonlit": ("a ghost in the dark", "a journey at night", "the owl and the stars"),
}
CALIBRATION = (
    "a farmer and a fox",
    "the man who could not swim",
    "something is wrong with the soup",
    "the long way home",
    "two sisters and a secret",
    "a machine that can talk",
)
"""What a model thinks of these is its prejudice, for they suit all choices alike."""
