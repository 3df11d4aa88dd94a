"""Switching `params.yaml` between profiles without losing comments or the user's own values."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode

from tasks.common.errors import UserError
from tasks.common.files import write_text
from tasks.common.parameters import read_yaml


def _write_null(representer: Any, value: None) -> ScalarNode:
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:null", "null")
    return node


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(type(None), _write_null)
    return yaml


def _leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def switch_profile(params: Path, profiles: Path, name: str, *, reset: bool = False) -> list[str]:
    """Gives `params` the values of profile `name`, except those that differ from the profile it follows now.

    Args:
        params: the parameter file; if it is not there, it becomes a copy of the profile.
        profiles: folder of whole parameter files.
        name: the profile to follow.
        reset: whether to replace the user's own values too.

    Returns:
        The user's own values that were kept, as "section.key = value".

    Raises:
        UserError: there is no such profile, or `params` is not readable YAML.
    """
    wanted_file = profiles / f"{name}.yaml"
    wanted = dict(_leaves(read_yaml(wanted_file)))
    if not params.exists():
        write_text(params, wanted_file.read_text(encoding="utf-8"))
        return []
    current = dict(_leaves(read_yaml(params)))
    base_file = profiles / f"{current.get(('profile',))}.yaml"
    if not base_file.is_file() and not reset:
        raise UserError(f"{params}: profile names no file in {profiles}; write `profile: toy`, or add --reset")
    base = {} if reset else dict(_leaves(read_yaml(base_file)))
    own = {path for path, value in current.items() if path in base and value != base[path] and path in wanted}
    yaml = _round_trip()
    document = yaml.load(params.read_text(encoding="utf-8"))
    for path, value in wanted.items():
        if path not in own:
            section = document
            for part in path[:-1]:
                section = section.setdefault(part, {})
            section[path[-1]] = value
    text = io.StringIO()
    yaml.dump(document, text)
    write_text(params, text.getvalue())
    return [f"{'.'.join(path)} = {current[path]}" for path in sorted(own)]
