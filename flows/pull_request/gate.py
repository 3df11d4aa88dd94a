"""The gate: per metric a direction and a tolerance, and what a change of the metric means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.errors import UsageError
from flows.pull_request.differences import Difference
from flows.pull_request.dvc_command import one_line

GATE = "reports/gate.yaml"


class Rule(BaseModel):
    """Which way a metric is better, and how far it may go the other way, in the metric's unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    direction: Literal["higher", "lower", "equal"]
    tolerance: float = Field(ge=0, allow_inf_nan=False)

    def __str__(self) -> str:
        verb = {"higher": "fall", "lower": "rise", "equal": "change"}[self.direction]
        return f"may {verb} by {self.tolerance:g}" if self.tolerance else f"may not {verb}"


class Finding(Difference):
    """A gated metric and what the gate says of it; `remark` is empty if there is nothing to say."""

    rule: Rule
    passed: bool
    remark: str = ""


_Name = Annotated[str, Field(min_length=1, strict=True)]
Gate = dict[str, dict[str, Rule]]
_GATE: TypeAdapter[Gate] = TypeAdapter(
    Annotated[dict[_Name, Annotated[dict[_Name, Rule], Field(min_length=1)]], Field(min_length=1)]
)


def parse_gate(text: str, where: str = GATE) -> Gate:
    """Rules by report and by dotted key.

    Raises:
        UsageError: no YAML, or not of the gate's form.
    """
    try:
        return _GATE.validate_python(YAML(typ="safe", pure=True).load(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ": ".join(map(str, first["loc"])) or "the file"
        form = "a metric has a direction (higher, lower, equal) and a tolerance"
        raise UsageError(f"{where}: {one_line(place)}: {first['msg']}; {form}") from error
    except (YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not readable YAML: {one_line(str(error))}") from error


def read_gate(root: Path) -> Gate:
    """The project's gate.

    Raises:
        UsageError: it is not there or wrong; one line.
    """
    try:
        return parse_gate((root / GATE).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{GATE}: {error.strerror}; it names the metrics that a pull request must keep") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{GATE}: not UTF-8 text") from error


def judge(gate: Gate, metrics: Sequence[Difference]) -> tuple[list[Finding], list[Difference]]:
    """A finding per gated metric, in the gate's order, and the metrics that it does not name."""
    known = {(item.file, item.key): item for item in metrics}
    findings = []
    for report, rules in gate.items():
        for key, rule in rules.items():
            metric = known.pop((report, key), Difference(file=report, key=key))
            passed, remark = _decide(rule, metric)
            findings.append(Finding(**dict(metric), rule=rule, passed=passed, remark=remark))
    return findings, list(known.values())


def _decide(rule: Rule, metric: Difference) -> tuple[bool, str]:
    if metric.new is None:
        return False, "missing here"
    new, old = number(metric.new), number(metric.old)
    if new is None:
        return False, "not a finite number here"
    if old is None:
        return True, "new here" if metric.old is None else "no finite number at the merge base"
    worse = {"higher": old - new, "lower": new - old, "equal": abs(new - old)}[rule.direction]
    passed = round(worse, 12) <= rule.tolerance
    return passed, "" if passed else str(rule)


def number(value: object) -> float | None:
    """A finite number, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def gate_changes(old: Gate, new: Gate) -> list[str]:
    """Metrics whose rule is another one than before, each with what happened to it."""
    before, after = (
        {f"{report} {key}": rule for report, rules in gate.items() for key, rule in rules.items()} for gate in (old, new)
    )
    names = sorted({name for name in before.keys() | after.keys() if before.get(name) != after.get(name)})
    return [f"{name} ({before.get(name, 'not gated')} → {after.get(name, 'not gated')})" for name in names]
