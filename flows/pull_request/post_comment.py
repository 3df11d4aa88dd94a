"""Puts the comment of a finished check under its pull request, once, and then in place.

Runs after the check, in the base repository, with a token that may write comments: `python -m
flows.pull_request.post_comment FILE`. The file comes from code that strangers wrote, so only its size and first line are
believed; which pull request it belongs to is taken from GitHub's event. Standard library only: nothing is installed
beside the token.

Environment: GITHUB_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_EVENT_PATH, as GitHub sets them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.errors import RunError, UsageError
from flows.pull_request import MARKER

AUTHOR = "github-actions[bot]"
_LONGEST = 65_536
_MOST_PAGES = 50
_MOST_ANSWER_BYTES = 20_000_000
_PER_PAGE = 100


@dataclass(frozen=True)
class Repository:
    """A repository behind GitHub's REST interface; the token stays out of all texts."""

    api: str
    name: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """The decoded answer.

        Raises:
            RunError: no answer, or one that is no success.
        """
        url = f"{self.api}/repos/{self.name}/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read(_MOST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise RunError(f"{method} {url}: {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise RunError(f"{method} {url}: {error}") from error

    def pages(self, path: str) -> list[Any]:
        """The items of a listing."""
        items: list[Any] = []
        joint = "&" if "?" in path else "?"
        for page in range(1, _MOST_PAGES + 1):
            found = self.call("GET", f"{path}{joint}per_page={_PER_PAGE}&page={page}")
            items += found
            if len(found) < _PER_PAGE:
                break
        return items


def repository(environment: Mapping[str, str]) -> Repository:
    """The repository that the environment names.

    Raises:
        UsageError: something is missing, or the token would travel without encryption.
    """
    wanted = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN", "GITHUB_EVENT_PATH")
    missing = [name for name in wanted if not environment.get(name)]
    if missing:
        raise UsageError(f"not set: {', '.join(missing)}; this runs in a GitHub workflow")
    api = environment["GITHUB_API_URL"].rstrip("/")
    if urllib.parse.urlsplit(api).scheme != "https" and urllib.parse.urlsplit(api).hostname != "127.0.0.1":
        raise UsageError("GITHUB_API_URL: no https address")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", environment["GITHUB_REPOSITORY"]):
        raise UsageError("GITHUB_REPOSITORY: not of the form OWNER/NAME")
    return Repository(api, environment["GITHUB_REPOSITORY"], environment["GITHUB_TOKEN"])


def read_comment(file: Path) -> str:
    """The comment, without mentions of people and issues.

    Raises:
        RunError: it is no ordinary file, too long, no text, or not the check's.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RunError(f"{file}: no ordinary file")
            text = opened.read(4 * _LONGEST + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{file}: {error}") from error
    if not text.startswith(f"{MARKER}\n"):
        raise RunError(f"{file}: not written by the check")
    harmless = re.sub(r"[@#](?=[^\W_])", "\\g<0>\u200b", text)
    if len(harmless) > _LONGEST:
        raise RunError(f"{file}: longer than {_LONGEST} characters")
    return harmless


def find_pull_request(repo: Repository, event: Mapping[str, Any]) -> int | None:
    """The number of the open pull request whose newest commit the finished workflow checked; None without a single one.

    Raises:
        RunError: the event is not of a finished workflow, or GitHub did not answer.
    """
    try:
        run = event["workflow_run"]
        commit, branch, head = run["head_sha"], run["head_branch"], run["head_repository"]
        if head is None:
            return None
        name, owner = head["full_name"], head["owner"]["login"]
        asked = urllib.parse.urlencode({"state": "open", "head": f"{owner}:{branch}"})
        numbers = [
            int(item["number"])
            for item in repo.pages(f"pulls?{asked}")
            if item["head"]["sha"] == commit and (item["head"]["repo"] or {}).get("full_name") == name
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the event or GitHub's answer has not the expected form: {error!r}") from error
    return numbers[0] if len(numbers) == 1 else None


def put_comment(repo: Repository, number: int, text: str) -> str:
    """Updates our comment under a pull request, or adds it if there is none; says which.

    Raises:
        RunError: GitHub refused or did not answer.
    """
    for item in repo.pages(f"issues/{number}/comments"):
        if (item.get("user") or {}).get("login") == AUTHOR and (item.get("body") or "").startswith(MARKER):
            repo.call("PATCH", f"issues/comments/{int(item['id'])}", {"body": text})
            return "updated"
    repo.call("POST", f"issues/{number}/comments", {"body": text})
    return "added"


def main() -> int:
    """Exit code: 0 for a comment that is there or not wanted, 1 for a failure, 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(description="Puts the comment of a finished check under its pull request.")
    parser.add_argument("file", type=Path, help="the check's comment.md")
    file: Path = parser.parse_args().file
    try:
        repo = repository(os.environ)
        text = read_comment(file)
        try:
            event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"GITHUB_EVENT_PATH: {error}") from error
        number = find_pull_request(repo, event)
        done = (
            f"{put_comment(repo, number, text)} under #{number}" if number else "no single open pull request at this commit"
        )
    except (RunError, UsageError) as error:
        sys.stderr.write(f"pull request comment: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    sys.stdout.write(f"pull request comment: {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
