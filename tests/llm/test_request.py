"""What a request's key depends on, which schemas are sent, and which parameters are refused without telling a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.parameters import Section, load_parameters
from tasks.llm.likelihood import Completion
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message, Request, request_key
from tasks.llm.schema import strict_schema
from tests.llm.endpoint_for_tests import settings as language_model

SETTINGS = {"temperature": 0.0, "max_tokens": 10, "output": "text"}
HELLO = Request(messages=(Message(role="user", content="hello"),), json_schema={"a": 1, "b": 2})


def test_keys_never_change_because_replies_are_kept_under_them() -> None:
    expected = "8f110a50be0c76bb964d17328c3445e278fa26027b47f934f315edbce198240a"
    assert request_key("m", SETTINGS, HELLO) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message(role="user", content="hello "),)},
        {"messages": (Message(role="system", content="hello"),)},
        {"messages": (Message(role="user", content="hello"), Message(role="user", content=""))},
        {"json_schema": None},
        {"json_schema": {"a": 1, "b": 3}},
        {"likelihood": Completion(prompt="It is", choices=("a", "b"), stop=".")},
        {"likelihood": Completion(prompt="It is", choices=("b", "a"), stop=".")},
        {"sample": 1},
    ],
)
def test_everything_in_a_request_changes_its_key(change: dict[str, Any]) -> None:
    assert request_key("m", SETTINGS, HELLO.model_copy(update=change)) != request_key("m", SETTINGS, HELLO)


def test_model_and_settings_change_the_key_and_patience_does_not() -> None:
    def key(**changes: Any) -> str:
        parameters = language_model("http://127.0.0.1", **changes)
        return request_key(parameters.model, parameters.reply_settings(), HELLO)

    changed = [{"model": "other"}, {"temperature": 0.5}, {"max_tokens": 11}, {"output": "text"}]
    assert len({key(), *(key(**change) for change in changed)}) == 5
    same = [{"in_flight": 9}, {"timeout_s": 9.0}, {"retries": 9}, {"most_wait_s": 9.0}, {"most_reply_bytes": 9_000}]
    same += [{"key_variable": None}, {"base_url": "https://elsewhere.example/v1"}]
    assert {key(**change) for change in same} == {key()}


def test_the_order_of_a_schema_does_not_change_the_key() -> None:
    turned = HELLO.model_copy(update={"json_schema": {"b": 2, "a": 1}})
    assert request_key("m", SETTINGS, turned) == request_key("m", SETTINGS, HELLO)


@given(text=st.text(st.characters(), max_size=50))
def test_any_message_can_be_sent_and_hashed(text: str) -> None:
    message = Message(role="user", content=text)
    message.content.encode("utf-8")
    assert len(request_key("m", SETTINGS, Request(messages=(message,)))) == 64
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert message.content == text


def test_half_surrogates_are_replaced_and_whole_pairs_joined() -> None:
    assert Message(role="user", content="a\ud83db").content == "a\ufffdb"
    assert Message(role="user", content="\ud83d\ude00").content == "\U0001f600"


@pytest.mark.parametrize("wrong", [{"messages": ()}, {"sample": -1}, {"more": 1}])
def test_requests_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Request(**({"messages": HELLO.messages} | wrong))


class Box(BaseModel):
    """A box."""

    kind: Literal["box"]
    corners: tuple[float, float, float, float]


class Cat(BaseModel):
    kind: Literal["cat"]
    title: str = Field(default="cat", min_length=2, max_length=9, description="its name")


class Scene(BaseModel):
    things: list[Annotated[Box | Cat, Field(discriminator="kind")]] = Field(max_length=5)
    first: Box
    second: Box | None = None
    count: int = Field(default=1, ge=1, le=9)


def test_a_schema_is_closed_whole_and_without_references() -> None:
    corners = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
    box = {
        "description": "A box.",
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": ["box"]}, "corners": corners},
        "required": ["kind", "corners"],
        "additionalProperties": False,
    }
    cat = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["cat"]},
            "title": {"type": "string", "description": "its name"},
        },
        "required": ["kind", "title"],
        "additionalProperties": False,
    }
    assert strict_schema(Scene) == {
        "type": "object",
        "properties": {
            "things": {"type": "array", "maxItems": 5, "items": {"anyOf": [box, cat]}},
            "first": box,
            "second": {"anyOf": [box, {"type": "null"}]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["things", "first", "second", "count"],
        "additionalProperties": False,
    }


class Tree(BaseModel):
    branches: list[Tree]


class Pair(BaseModel):
    pair: tuple[int, str]


@pytest.mark.parametrize("kind", [Tree, Pair])
def test_types_without_a_strict_schema_are_refused(kind: type[BaseModel]) -> None:
    with pytest.raises(ValueError, match=r"contains itself|different types"):
        strict_schema(kind)


class Project(Section):
    llm: LanguageModel


GOOD = """
llm:
  backend: openai
  model: deepseek-chat
  base_url: https://api.deepseek.com
  key_variable: DEEPSEEK_API_KEY
  output: json_object
  temperature: 0
  max_tokens: 900
  in_flight: 16
  timeout_s: 60
  retries: 5
  most_wait_s: 30
  most_reply_bytes: 1000000
"""


def test_good_parameters(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(GOOD)
    parameters = load_parameters(file, Project).llm
    assert parameters.reply_settings() == {"temperature": 0.0, "max_tokens": 900, "output": "json_object"}


PASTED = "sk-Ab12cd34ef56gh78"


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ("DEEPSEEK_API_KEY", PASTED, "llm.key_variable: "),
        ("DEEPSEEK_API_KEY", f"[{PASTED}]", "llm.key_variable: "),
        ("DEEPSEEK_API_KEY", f"{{key: {PASTED}}}", "llm.key_variable: "),
        ("DEEPSEEK_API_KEY", f"A_{PASTED}", "llm.key_variable: "),
        ("https://api.deepseek.com", f"https://user:{PASTED}@host", "llm.base_url: "),
        ("https://api.deepseek.com", f"https://host/v1?key={PASTED}", "llm.base_url: "),
        ("https://api.deepseek.com", f"https://host:{PASTED}/v1", "llm.base_url: "),
        ("temperature: 0", f"temperature: 0\n  api_key: {PASTED}", "llm.api_key: unknown key"),
        ("https://api.deepseek.com", "null", "llm.base_url: backend openai needs the address"),
        ("https://api.deepseek.com", "ftp://host", "llm.base_url: "),
        ("https://api.deepseek.com", "api.deepseek.com", "llm.base_url: "),
        ("https://api.deepseek.com", '"https://host\\n"', "llm.base_url: "),
        ("temperature: 0", "temperature: .nan", "llm.temperature = 'nan'"),
        ("in_flight: 16", "in_flight: 0", "llm.in_flight = '0'"),
        ("output: json_object", "output: xml", "one of json_schema, json_object, text"),
    ],
)
def test_wrong_parameters_are_refused_and_secrets_not_repeated(tmp_path: Path, good: str, bad: str, field: str) -> None:
    file = tmp_path / "params.yaml"
    assert good in GOOD
    file.write_text(GOOD.replace(good, bad))
    with pytest.raises(UserError) as caught:
        load_parameters(file, Project)
    assert field in str(caught.value)
    assert "Ab12" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "http://[::1]:8000", "https://host.example/a/b/"])
def test_addresses(address: str) -> None:
    assert language_model(address).base_url == address
