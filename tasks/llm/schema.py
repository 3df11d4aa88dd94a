"""JSON schemas in the narrow form that endpoints and grammars take."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_DROPPED = {"$defs", "$ref", "title", "default", "discriminator", "minLength", "maxLength", "uniqueItems", "prefixItems"}


def strict_schema(answer_type: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema without references, each object closed and with all its keys required.

    What endpoints refuse (titles, defaults, lengths of texts) is left out; pydantic checks it in the reply.

    Raises:
        ValueError: the type contains itself, so that no schema without references can say it.
    """
    schema = answer_type.model_json_schema()
    strict: dict[str, Any] = _strict(schema, schema.get("$defs", {}), ())
    return strict


def _strict(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_strict(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        if name in inside:
            raise ValueError(f"{name} contains itself; a reply's type must be a tree of bounded depth")
        inside = (*inside, name)
        node = {**definitions[name], **node}
    strict: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            strict[key] = {name: _strict(item, definitions, inside) for name, item in value.items()}
            strict |= {"required": list(value), "additionalProperties": False}
        elif key == "const":
            strict["enum"] = [value]
        elif key in ("enum", "required"):
            strict.setdefault(key, value)
        elif key not in _DROPPED and key not in strict:
            strict["anyOf" if key == "oneOf" else key] = _strict(value, definitions, inside)
    if "prefixItems" in node:
        strict["items"] = _strict(_the_same(node["prefixItems"]), definitions, inside)
    return strict


def _the_same(items: list[Any]) -> Any:
    if any(item != items[0] for item in items):
        raise ValueError("a tuple of different types has no strict schema; use a model with named fields")
    return items[0]
