"""Lines of slots, filled token by token: the model is asked only where the slots leave a choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.llm.continuation import Continuation
from tasks.llm.likelihood import Lines
from tasks.llm.llama_runtime import LlamaRuntime


class _Slot(NamedTuple):
    """Tokens of the text before a slot, of its choices, and of the text after it."""

    before: Sequence[int]
    choices: Sequence[Sequence[int]]
    after: Sequence[int]


def fill_lines(runtime: LlamaRuntime, question: Lines) -> str:
    """The lines that greedy decoding reaches when nothing else is allowed; it ends before a line that would come again.

    Raises:
        UserError: the prompt and its lines are longer than the model's memory.
    """
    slots = _slots(runtime, question)
    stop = runtime.tokens(question.stop)
    longest = sum(len(slot.before) + max(map(len, slot.choices)) for slot in slots) + len(slots[-1].after)
    said: list[str] = []
    with runtime.continuation(runtime.tokens(question.prompt), question.most * longest + len(stop)) as text:
        while len(said) < question.most:
            if said and text.pick([slots[0].before, stop])[0]:
                break
            line = _fill(text, question, slots)
            if line in said:
                break
            said.append(line)
    return "".join(said)


def _slots(runtime: LlamaRuntime, question: Lines) -> list[_Slot]:
    befores = [runtime.tokens(slot.before) for slot in question.slots]
    afters = [*befores[1:], runtime.tokens(question.after)]
    return [
        _Slot(before, [runtime.tokens(choice) for choice in slot.choices], after)
        for slot, before, after in zip(question.slots, befores, afters, strict=True)
    ]


def _fill(text: Continuation, question: Lines, slots: Sequence[_Slot]) -> str:
    line = ""
    for asked, slot in zip(question.slots, slots, strict=True):
        text.say(slot.before)
        index, said = text.pick([[*choice, slot.after[0]] for choice in slot.choices])
        text.say(slot.choices[index][said:])
        line += asked.before + asked.choices[index]
    text.say(slots[-1].after)
    return line + question.after
