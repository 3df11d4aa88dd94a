"""Verified questions as records that video-language models are trained and tested with (docs/dreamframe_data.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.dreamframe.question_files import QuestionRecord
from tasks.dreamframe.subtitles import harmless

Record = dict[str, Any]


def _conversation(token: str, record: QuestionRecord) -> Record:
    return {
        "id": _identifier(record),
        "video": video_file(record.story),
        "conversations": [
            {"from": "human", "value": f"{token}\n{harmless(record.question)}"},
            {"from": "gpt", "value": harmless(record.answer)},
        ],
    }


def llama_vid(record: QuestionRecord) -> Record:
    """A record of LLaMA-VID's long videos; `<image>` stands for the story's input string (specs/dreamframe.md C4)."""
    return _conversation("<image>", record)


def video_chatgpt(record: QuestionRecord) -> Record:
    """A record of Video-ChatGPT."""
    return _conversation("<video>", record)


def chat(record: QuestionRecord) -> Record:
    """Messages as today's processors take them."""
    asked = [{"type": "video", "video": video_file(record.story)}, {"type": "text", "text": harmless(record.question)}]
    answered = [{"type": "text", "text": harmless(record.answer)}]
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return {"id": _identifier(record), "messages": messages}


def multiple_choice(record: QuestionRecord) -> Record:
    """A record of MVBench; the answer is one of the candidates."""
    return {
        "video": video_file(record.story),
        "question": harmless(record.question),
        "candidates": [harmless(option) for option in record.options or ()],
        "answer": harmless(record.answer),
    }


OPEN: Mapping[str, Callable[[QuestionRecord], Record]] = {
    "llama_vid.json": llama_vid,
    "video_chatgpt.json": video_chatgpt,
    "chat.jsonl": chat,
}
CHOICE: Mapping[str, Callable[[QuestionRecord], Record]] = {"multiple_choice.json": multiple_choice}


def records_of(questions: Sequence[QuestionRecord]) -> dict[str, list[Record]]:
    """The records of each file: open questions in all forms of conversation, the others as multiple choice."""
    open_ones = [question for question in questions if question.options is None]
    others = [question for question in questions if question.options is not None]
    made = {name: [form(question) for question in open_ones] for name, form in OPEN.items()}
    return made | {name: [form(question) for question in others] for name, form in CHOICE.items()}


def video_file(story: str) -> str:
    """A story's slideshow, in the folder of its split."""
    return f"slideshows/{story}.mp4"


def _identifier(record: QuestionRecord) -> str:
    return f"{record.story}-{record.id}"
