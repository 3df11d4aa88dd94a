"""The question for the details of one tick: as a conversation for endpoints, and as lines that a small model fills."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.dysen.graphs.graph_edits import Item
from tasks.dysen.imagining.detail_choices import detail_choices
from tasks.dysen.imagining.detail_grammar import NOTHING_TOLD, format_detail, format_details
from tasks.dysen.imagining.imagination_window import Example, Window
from tasks.llm.likelihood import Lines, Slot
from tasks.llm.request import Message, Request

_SYSTEM = """You add details to scene graphs of short videos. A scene graph tells what there is at one moment, in entries \
such as (man, holding, cup) for a relation and (cup, is, red) for a look.
You are given the sentence that describes the whole video, and the graphs of three moments: the one before with its \
details, the one that needs details, and the one after it.
Imagine what a viewer would also see at the moment in the middle: how things look, what people wear and hold, what is \
around them, where things stand to each other. Keep to the sentence and to what the moments before and after show.
Answer with new entries of the moment in the middle only, at most {most}, one a line, and with no explanation. Call things \
as the graphs call them. If there is nothing to add, answer: nothing"""
_MOST_CHARACTERS = 600
_LONGEST_PROMPT = 30_000  # of a small model: its memory has room for about 50,000 characters
_HEADING = "Details of single moments of videos.\n"


def imagination_request(caption: str, window: Window, examples: Sequence[Example], most: int) -> Request:
    """Asks for the details of the window's middle.

    Args:
        caption: the sentence that tells the whole video; its first characters are read.
        window: what the model sees of its graphs.
        examples: the one that matters most last; for a small model, those before it are left out if they are too long.
        most: details that are asked for, 1 or more.
    """
    sentence = _one_line(caption)
    question = _question(sentence, window)
    turns = [Message(role="system", content=_SYSTEM.format(most=most))]
    for example in examples:
        turns.append(Message(role="user", content=_question(_one_line(example.caption), example.window)))
        turns.append(Message(role="assistant", content=_answer(example, most) or NOTHING_TOLD))
    turns.append(Message(role="user", content=question))
    choices = detail_choices(sentence, window, examples)
    prompt = _prompt(question, examples, most) if choices else ""
    return Request(messages=tuple(turns), likelihood=_lines(prompt, choices, most) if prompt else None)


def _one_line(caption: str) -> str:
    return " ".join(caption.split())[:_MOST_CHARACTERS]


def _question(sentence: str, window: Window) -> str:
    return (
        f"Sentence: {sentence}\nBefore, with details: {format_details(window.previous)}\n"
        f"Now: {format_details(window.current)}\nAfter: {format_details(window.following)}\nDetails of now:"
    )


def _answer(example: Example, most: int) -> str:
    return "\n".join(map(format_detail, example.details[:most]))


def _prompt(question: str, examples: Sequence[Example], most: int) -> str:
    """What a small model goes on from, with as many of the last examples as there is room for; empty without room."""
    told = [f"{_question(_one_line(example.caption), example.window)}\n{_answer(example, most)}\n" for example in examples]
    prompts = ("\n".join([_HEADING, *told[start:], f"{question}\n"]) for start in range(len(told) + 1))
    return next((prompt for prompt in prompts if len(prompt) <= _LONGEST_PROMPT), "")


def _lines(prompt: str, choices: Sequence[Item], most: int) -> Lines:
    inside = tuple(format_detail(choice)[1:-1] for choice in choices)
    return Lines(prompt=prompt, slots=(Slot(before="(", choices=inside),), after=")\n", stop="\n", most=most)
