"""The gate's rules, its file, and the comment about them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.pull_request import MARKER
from flows.pull_request.comment import comment
from flows.pull_request.differences import Difference
from flows.pull_request.gate import GATE, Rule, gate_changes, judge, parse_gate, read_gate
from flows.pull_request.pictures import Picture
from flows.pull_request.verdict import Verdict
from tests.flows.markdown import count, outside_code, tags

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = st.text(st.sampled_from("|`<>@#\n\r\t\\*_[]()!&;:~\u202e\x1b abc") | st.characters(), max_size=120)


def _decide(direction: str, tolerance: float, old: object, new: object) -> tuple[bool, str]:
    rule = Rule.model_validate({"direction": direction, "tolerance": tolerance})
    metric = Difference.model_construct(file="r.json", key="k", old=old, new=new)
    (finding,), ungated = judge({"r.json": {"k": rule}}, [metric])
    assert ungated == []
    return finding.passed, finding.remark


@pytest.mark.parametrize(
    ("direction", "old", "new", "passed"),
    [
        ("higher", 0.97, 0.96, True),  # by exactly the tolerance, whatever the rounding of floats
        ("higher", 0.97, 0.9599, False),
        ("higher", 0.97, 2.0, True),
        ("lower", 0.96, 0.97, True),
        ("lower", 5, 6, False),
        ("lower", 5, 0, True),
        ("equal", 1.0, 1.01, True),
        ("equal", 1.0, 0.98, False),
    ],
)
def test_direction_and_tolerance(direction: str, old: float, new: float, passed: bool) -> None:
    assert _decide(direction, 0.01, old, new)[0] is passed


@given(st.sampled_from(["higher", "lower"]), st.floats(0, 10), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_one_direction_is_the_other_with_the_sign_changed(direction: str, tolerance: float, old: int, new: int) -> None:
    other = {"higher": "lower", "lower": "higher"}[direction]
    assert _decide(direction, tolerance, old, new)[0] == _decide(other, tolerance, -old, -new)[0]


@pytest.mark.parametrize("new", [None, "0.9", True, math.nan, math.inf, [0.9], {"a": 1}, 10**400])
def test_a_missing_or_impossible_value_fails(new: object) -> None:
    passed, remark = _decide("higher", 1.0, 0.9, new)
    assert not passed
    assert remark == ("missing here" if new is None else "not a finite number here")


def test_a_new_metric_passes_with_a_remark() -> None:
    assert _decide("higher", 0, None, 0.9) == (True, "new here")
    assert _decide("higher", 0, "unknown", 0.9) == (True, "no finite number at the merge base")


def test_metrics_that_the_gate_does_not_name_are_listed() -> None:
    named = parse_gate("r.json: {a: {direction: equal, tolerance: 0}}")
    metrics = [Difference(file="r.json", key=key, old=1, new=1) for key in "ab"]
    findings, ungated = judge(named, metrics)
    assert [item.key for item in findings] == ["a"]
    assert [item.key for item in ungated] == ["b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file"),
        ("r.json: {}", "r.json"),
        ("r.json: [recall]", "r.json"),
        ("r.json: {a: {direction: up, tolerance: 0}}", "r.json: a: direction"),
        ("r.json: {a: {direction: higher}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: -1}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: .nan}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: .inf}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: '0'}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: true}}", "r.json: a: tolerance"),
        ("r.json: {a: {direction: higher, tolerance: 0, relative: true}}", "r.json: a: relative"),
        ("r.json: {1: {direction: higher, tolerance: 0}}", "r.json: 1"),
        ("r.json: {a: 1}\nr.json: {a: 1}", "not readable YAML"),
        ("r.json: {a: 2001-99-99}", "not readable YAML"),
        ("{", "not readable YAML"),
        ("!!python/object/apply:os.system [id]", "not readable YAML"),
    ],
)
def test_a_wrong_gate_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert str(caught.value).startswith(f"{GATE}: {told}")
    assert "\n" not in str(caught.value)


def test_a_gate_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gate\.yaml: No such file"):
        read_gate(tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / GATE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_gate(tmp_path)


def test_changes_of_the_gate_are_told() -> None:
    old = parse_gate("r.json: {a: {direction: higher, tolerance: 0}, b: {direction: lower, tolerance: 1}}")
    new = parse_gate("r.json: {b: {direction: lower, tolerance: 2}, c: {direction: equal, tolerance: 0}}")
    assert gate_changes(old, old) == []
    assert gate_changes(old, new) == [
        "r.json a (may not fall → not gated)",
        "r.json b (may rise by 1 → may rise by 2)",
        "r.json c (not gated → may not change)",
    ]


def test_every_gated_metric_is_in_the_reports() -> None:
    for report, rules in read_gate(ROOT).items():
        content = json.loads((ROOT / report).read_text(encoding="utf-8"))
        for key in rules:
            value = content
            for part in key.split("."):
                value = value[part]
            assert isinstance(value, int | float), f"{report} {key}"


def _verdict(text: str, value: object = 0.5) -> Verdict:
    rule = Rule(direction="higher", tolerance=0.25)
    metric = Difference(file=text, key=text, old=value, new=1)
    findings, _ = judge({text: {text: rule}}, [metric])
    return Verdict(
        base="b" * 40,
        head="a" * 40,
        mistakes=(text,),
        problems=(text,),
        stale=(text,),
        findings=(*findings, *judge({text: {text: rule}}, [])[0]),
        ungated=(metric,),
        parameters=(Difference(file=text, key=text, old=text, new=[text]),),
        pictures=(Picture(path=text, before=True, after=False),),
        charts=(text,),
        remarks=(text,),
    )


PLAIN = comment(_verdict("plain", "plain"))


@given(ANYTHING)
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    made = comment(_verdict(text, text))
    assert outside_code(made) == outside_code(PLAIN)
    assert tags(made) == tags(PLAIN)
    assert all(count(made, tag) == count(PLAIN, tag) for tag in ("table", "tr", "td", "li", "code", "img"))


def test_a_long_comment_fits() -> None:
    many = tuple(Difference(file="f" * 500, key=f"{index}" * 500, old=index, new="v" * 500) for index in range(5000))
    names = tuple(f"{index}{'x' * 500}" for index in range(5000))
    pictures = tuple(Picture(path="p" * 3000, before=True, after=True) for _ in range(100))
    made = comment(Verdict(base="b", head="a", stale=names, ungated=many, parameters=many, pictures=pictures, remarks=names))
    assert len(made) < 65_536
    assert made.startswith(MARKER)
    assert "failed" in made


def test_a_lock_file_that_could_not_be_judged_is_not_called_fresh() -> None:
    made = comment(Verdict(base="b", head="a", stale=None, problems=("dvc repro: no",)))
    assert "fresh" not in made
    assert "failed" in made
