"""The comment under a pull request: added once, then changed in place, against a small server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flows.pull_request import MARKER
from flows.pull_request.post_comment import AUTHOR

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-secret-token"  # noqa: S105
COMMIT = "c" * 40
FORK = {"full_name": "stranger/fork", "owner": {"login": "stranger"}}


class Hub(ThreadingHTTPServer):
    """The part of GitHub that the script uses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pulls = [{"number": 7, "head": {"sha": COMMIT, "repo": FORK}}]
        self.comments = [
            {"id": number, "user": {"login": "reader"}, "body": f"{MARKER}\nnot ours, number {number}"}
            for number in range(120)
        ]
        self.calls: list[tuple[str, str, dict[str, list[str]]]] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def _answer(self) -> Any:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        self.server.calls.append((self.command, address.path, query))
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else {}
        if self.command == "GET":
            listed: list[Any] = self.server.pulls if address.path.endswith("/pulls") else self.server.comments
            page, size = int(query["page"][0]), int(query["per_page"][0])
            return listed[(page - 1) * size : page * size]
        if self.command == "POST":
            self.server.comments.append({"id": 1000, "user": {"login": AUTHOR}, **body})
            return self.server.comments[-1]
        (changed,) = [item for item in self.server.comments if address.path.endswith(f"/comments/{item['id']}")]
        changed.update(body)
        return changed

    def _handle(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
        answer = json.dumps(self._answer()).encode()
        self.send_response(self.server.status if allowed else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = _handle

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _post(hub: Hub, folder: Path, text: str = f"{MARKER}\nfirst\n", **run: Any) -> subprocess.CompletedProcess[str]:
    """The script as the workflow runs it; -S leaves it the standard library only."""
    file, event = folder / "comment.md", folder / "event.json"
    if not file.is_symlink():
        file.write_text(text, encoding="utf-8")
    finished = {"head_sha": COMMIT, "head_branch": "a branch&state=all", "head_repository": FORK, **run}
    event.write_text(json.dumps({"workflow_run": finished}))
    variables = {
        **os.environ,
        "GITHUB_API_URL": f"http://127.0.0.1:{hub.server_port}",
        "GITHUB_REPOSITORY": "owner/groundreel",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(event),
    }
    command = [sys.executable, "-S", "-m", "flows.pull_request.post_comment", str(file)]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def _ours(hub: Hub) -> list[str]:
    return [item["body"] for item in hub.comments if item["user"]["login"] == AUTHOR]


def test_the_comment_is_added_and_then_changed_in_place(hub: Hub, tmp_path: Path) -> None:
    added = _post(hub, tmp_path)
    assert added.stdout == "pull request comment: added under #7\n"
    assert hub.calls[0] == (
        "GET",
        "/repos/owner/groundreel/pulls",
        {"state": ["open"], "head": ["stranger:a branch&state=all"], "per_page": ["100"], "page": ["1"]},
    )
    assert _ours(hub) == [f"{MARKER}\nfirst\n"]
    updated = _post(hub, tmp_path, f"{MARKER}\nsecond\n")
    assert updated.stdout == "pull request comment: updated under #7\n"
    assert _ours(hub) == [f"{MARKER}\nsecond\n"]
    assert [method for method, *_ in hub.calls if method != "GET"] == ["POST", "PATCH"]
    assert sum("not ours" in item["body"] for item in hub.comments) == 120


def test_people_and_issues_are_not_mentioned(hub: Hub, tmp_path: Path) -> None:
    _post(hub, tmp_path, f"{MARKER}\n### @someone and owner/other#12, `@team/x`\n")
    assert _ours(hub) == [f"{MARKER}\n### @\u200bsomeone and owner/other#\u200b12, `@\u200bteam/x`\n"]


@pytest.mark.parametrize(
    "change",
    [
        {"head_sha": "d" * 40},  # a newer push is there
        {"head_repository": {"full_name": "stranger/other", "owner": {"login": "stranger"}}},
        {"head_repository": None},
    ],
)
def test_nothing_is_written_without_a_pull_request_at_the_commit(hub: Hub, tmp_path: Path, change: dict[str, Any]) -> None:
    done = _post(hub, tmp_path, **change)
    assert done.returncode == 0
    assert done.stdout == "pull request comment: no single open pull request at this commit\n"
    assert _ours(hub) == []


def test_nothing_is_written_for_two_pull_requests_at_the_commit(hub: Hub, tmp_path: Path) -> None:
    hub.pulls.append({**hub.pulls[0], "number": 8})
    assert _post(hub, tmp_path).returncode == 0
    assert _ours(hub) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [(f"text\n{MARKER}\n", "not written by the check"), (f"{MARKER}\n{'x' * 65_536}", "longer than 65536 characters")],
)
def test_a_file_that_is_no_comment_is_refused(hub: Hub, tmp_path: Path, text: str, told: str) -> None:
    done = _post(hub, tmp_path, text)
    assert done.returncode == 1
    assert told in done.stderr
    assert hub.calls == []


def test_a_link_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{MARKER}\nsecret\n")
    (tmp_path / "comment.md").symlink_to(tmp_path / "secret")
    done = _post(hub, tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert hub.calls == []


def test_a_refusal_is_one_line(hub: Hub, tmp_path: Path) -> None:
    hub.status = 403
    done = _post(hub, tmp_path)
    assert done.returncode == 1
    assert "403 Forbidden" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_event_of_another_kind_is_one_line(hub: Hub, tmp_path: Path) -> None:
    done = _post(hub, tmp_path, head_repository={"full_name": "stranger/fork"})
    assert done.returncode == 1
    assert "has not the expected form" in done.stderr


def test_a_token_travels_by_https_only(hub: Hub, tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-m", "flows.pull_request.post_comment", "comment.md"]
    variables = {
        "GITHUB_API_URL": "http://127.0.0.1.example.org",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": "event.json",
    }
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "pull request comment: GITHUB_API_URL: no https address\n")
