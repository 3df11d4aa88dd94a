"""A comment as a browser would get it: which elements it has, and its text outside code."""

from __future__ import annotations

from html.parser import HTMLParser

from markdown_it import MarkdownIt


class _Reader(HTMLParser):
    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.inside = 0
        self.text = ""
        self.tags: list[str] = []
        self.feed(MarkdownIt("commonmark").enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += "" if self.inside else data


def outside_code(markdown: str) -> str:
    return _Reader(markdown).text


def tags(markdown: str) -> set[str]:
    return set(_Reader(markdown).tags)


def count(markdown: str, tag: str) -> int:
    return _Reader(markdown).tags.count(tag)
