"""Planners that differ in their seed alone: their mean, and the value of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.dysen.scores.event_scores import mean

_WITH_SEED = re.compile(r"(?P<group>.+)-(?P<seed>\d+)")


def by_group(planners: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metrics of planners by name: of one without a seed as they are, of NAME-SEED as those of NAME.

    A group has `mean`, metrics of the same form, `seeds`, the same with a list of values each, and `seed_names`. The mean
    of what some seed does not have is that of the others; it is None if none has it.
    """
    found: dict[str, dict[str, Any]] = {}
    seeds: dict[str, dict[int, dict[str, Any]]] = {}
    for name, metrics in planners.items():
        match = _WITH_SEED.fullmatch(name)
        if match is None or match["group"] in planners:
            found[name] = metrics
        else:
            seeds.setdefault(match["group"], {})[int(match["seed"])] = metrics
    for group, members in seeds.items():
        of_each = [members[seed] for seed in sorted(members)]
        found[group] = {"seed_names": sorted(members), "mean": _joined(of_each, _mean), "seeds": _joined(of_each, list)}
    return dict(sorted(found.items()))


def of_each_seed(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics of each seed of a group, by its number; the inverse of `by_group`."""
    return {str(seed): _pick(metrics["seeds"], place) for place, seed in enumerate(metrics["seed_names"])}


def _joined(members: Sequence[Mapping[str, Any]], join: Callable[[Sequence[Any]], Any]) -> dict[str, Any]:
    """One mapping of the same form, with the values of all members joined."""
    first = members[0]
    return {
        key: _joined([member[key] for member in members], join)
        if isinstance(first[key], Mapping)
        else join([member[key] for member in members])
        for key in first
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return known[0] if len({*known}) == 1 else mean(known)


def _pick(joined: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {key: _pick(value, place) if isinstance(value, Mapping) else value[place] for key, value in joined.items()}
