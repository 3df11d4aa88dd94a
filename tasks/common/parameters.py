"""Typed parameters: reads `params.yaml`, and refuses what is wrong with the field, its range and the nearest key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from tasks.common.errors import UserError

_MOST_BYTES = 1_000_000


class Section(BaseModel):
    """A part of `params.yaml`: every key is required, none may be added, values have the declared type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Compute(Section):
    """Where and in what precision models run, and how shards are mapped."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(description="auto takes the first accelerator found")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(description="precision of model weights and activations")
    workers: int = Field(ge=1, le=256, description="processes per stage; results do not depend on it")
    engine: Literal["processes", "ray"] = Field(description="what maps shards; results do not depend on it")
    num_gpus: float = Field(ge=0, le=64, description="GPUs per worker with Ray, a part of one or a whole number")

    @field_validator("num_gpus")
    @classmethod
    def _is_whole_above_one(cls, number: float) -> float:
        if number > 1 and not number.is_integer():
            raise ValueError("Ray gives a part of one GPU or whole ones")
        return number


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file: no tags, no aliases, no duplicate keys.

    Raises:
        UserError: the file is missing, too large, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `groundreel profile toy` makes one") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8") from None
    if len(text) > _MOST_BYTES:
        raise UserError(f"{path}: over {_MOST_BYTES} characters; parameters are a short file")
    try:
        if any(isinstance(event, AliasEvent) for event in YAML(typ="safe", pure=True).parse(text)):
            raise UserError(f"{path}: aliases (*name) are not allowed; write the value out")
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UserError(f"{path}: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected `key: value` lines; compare with profiles/toy.yaml")
    return value


def _one_line(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or "not valid YAML"
    return f"{place}{' '.join(str(problem).split())}"


def load_parameters(path: Path, model: type[Model]) -> Model:
    """The whole file as `model`.

    Raises:
        UserError: names the first wrong field by its path, with the allowed range and the nearest key.
    """
    values = read_yaml(path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")  # a typo first
        problems = [f"{path}: {_explain(model, problem)}" for problem in found]
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(problems[0] + more) from None


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    dotted = ".".join(location)
    if problem["type"] == "extra_forbidden":
        parent = _model_at(model, location[:-1])
        names = list(parent.model_fields) if parent else []
        near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
        return f"{dotted}: unknown key; {hint}"
    field = _field_at(model, location)
    allowed = f"; allowed: {describe_range(field)}" if field else ""
    if problem["type"] == "missing":
        return f"{dotted}: missing{allowed}; profiles/toy.yaml shows a value"
    shown = f" = {str(problem['input'])[:60]!r}" if field is None or field.repr else ""  # repr=False: may hold a secret
    return f"{dotted}{shown}: {problem['msg'].removeprefix('Value error, ')}{allowed}"


def _model_at(model: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    for part in location:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return model


def _field_at(model: type[BaseModel], location: list[str]) -> FieldInfo | None:
    for depth in range(len(location), 0, -1):
        parent = _model_at(model, location[: depth - 1])
        if parent and location[depth - 1] in parent.model_fields:
            return parent.model_fields[location[depth - 1]]
    return None


_BOUNDS = (
    (annotated_types.Ge, "ge", "at least {}"),
    (annotated_types.Gt, "gt", "above {}"),
    (annotated_types.Le, "le", "at most {}"),
    (annotated_types.Lt, "lt", "below {}"),
    (annotated_types.MultipleOf, "multiple_of", "a multiple of {}"),
    (annotated_types.MinLen, "min_length", "{} characters or more"),
)


def describe_range(field: FieldInfo) -> str:
    """What a field takes, in words: its type, bounds and meaning."""
    if get_origin(field.annotation) is Literal:
        words = ["one of " + ", ".join(str(option) for option in get_args(field.annotation))]
    else:
        words = [getattr(field.annotation, "__name__", str(field.annotation))]
    for item in field.metadata:
        words += [text.format(getattr(item, name)) for kind, name, text in _BOUNDS if isinstance(item, kind)]
    return ", ".join(words) + (f" ({field.description})" if field.description else "")
