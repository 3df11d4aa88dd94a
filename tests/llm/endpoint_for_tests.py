"""A real HTTP server on this machine that plays a good endpoint and all kinds of bad ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tasks.llm.parameters import LanguageModel

KEY_VARIABLE = "GROUNDREEL_TEST_KEY"
KEY = "sk-canary-1f2e3d4c5b6a7988"

Answer = Callable[["ScriptedEndpoint", dict[str, Any]], bytes]


def http(body: bytes, status: str = "200 OK", headers: dict[str, str] | None = None) -> bytes:
    """A whole response."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def completion(text: str | None, finish_reason: str = "stop", **message: Any) -> bytes:
    """A chat completion as endpoints write it."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    return http(json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode())


def says(text: str | None, finish_reason: str = "stop", **message: Any) -> Answer:
    """Answers with this text."""
    return lambda server, body: completion(text, finish_reason, **message)


def sends(body: bytes, status: str = "200 OK", headers: dict[str, str] | None = None) -> Answer:
    """Answers with these bytes."""
    return lambda server, asked: http(body, status, headers)


def fails(status: str, headers: dict[str, str] | None = None, message: str = "no") -> Answer:
    """Answers with an error as endpoints write it."""
    return sends(json.dumps({"error": {"message": message, "code": None}}).encode(), status, headers)


def hangs(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """Says nothing until the test ends."""
    server.over.wait(30)
    return b""


def after(delay_s: float, answer: Answer) -> Answer:
    """The same answer, later."""

    def later(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        time.sleep(delay_s)
        return answer(server, body)

    return later


class ScriptedEndpoint:
    """Plays its answers in turn, the last one for ever.

    Attributes:
        bodies: what was asked.
        keys: the Authorization headers.
        most_at_once: the largest number of calls that were open together.
    """

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.most_at_once = self.open = 0
        self.over = threading.Event()
        self.lock = threading.Condition()
        self.url = ""

    def wait_for_calls(self, number: int) -> None:
        """Returns when so many calls are open."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.open >= number, timeout=20)

    def begin(self, key: str, body: dict[str, Any]) -> Answer:
        with self.lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.open += 1
            self.most_at_once = max(self.most_at_once, self.open)
            self.lock.notify_all()
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def end(self) -> None:
        with self.lock:
            self.open -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        endpoint: ScriptedEndpoint = self.server.endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = endpoint.begin(self.headers.get("Authorization", ""), body)
        try:
            self.play(answer(endpoint, body))
        finally:
            endpoint.end()

    def play(self, response: bytes) -> None:
        """Sends byte by byte what says so, and hangs up after what is shorter than it promised."""
        head, _, body = response.partition(b"\r\n\r\n")
        try:
            if b"X-Drip" in head:
                self.wfile.write(head + b"\r\n\r\n")
                for place in range(len(body)):
                    self.wfile.write(body[place : place + 1])
                    if self.server.endpoint.over.wait(0.02):
                        break
            else:
                self.wfile.write(response)
        except OSError:
            self.close_connection = True
        self.close_connection |= f"Content-Length: {len(body)}".encode() not in head

    def log_message(self, *words: Any) -> None:
        """Nothing on the terminal."""


@contextmanager
def serve(*script: Answer) -> Iterator[ScriptedEndpoint]:
    """The endpoint for the length of a block."""
    endpoint = ScriptedEndpoint(*script)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.endpoint = endpoint
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def settings(url: str | None, **changes: Any) -> LanguageModel:
    """Parameters with tiny waits."""
    values: dict[str, Any] = {
        "backend": "openai",
        "model": "test-model",
        "base_url": url,
        "key_variable": KEY_VARIABLE,
        "output": "json_schema",
        "temperature": 0.0,
        "max_tokens": 500,
        "in_flight": 4,
        "timeout_s": 10.0,
        "retries": 2,
        "most_wait_s": 0.02,
        "most_reply_bytes": 100_000,
    }
    return LanguageModel(**(values | changes))
