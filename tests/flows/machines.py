"""Two machines on one: the clone where a run is, the clone of a worker with its own cache, and a DVC remote between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from flows.command import CommandRunner
from flows.dvc_remote import adopt, check_remote, send_inputs
from flows.run import Run, Wishes, open_run
from flows.stage_run import Outcome, run_stage
from tests.flows.prefect_for_tests import free_port
from tests.flows.small_projects import DIAMOND, make_project, variables, wait_until
from tests.pipeline.workspaces import git

S3_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}


def set_remote(folder: Path, url: str, **settings: str) -> None:
    """Makes `url` the default DVC remote; not committed."""
    lines = ["[core]", "analytics = false", "remote = store", "['remote \"store\"']", f"url = {url}"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    (folder / ".dvc" / "config").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _makes_bucket(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request("PUT", "/bucket")
        return connection.getresponse().status == 200
    except ConnectionError:
        return False
    finally:
        connection.close()


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """The address of an S3-compatible server with the bucket `bucket`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).with_name("moto_server")
    with log.open("wb") as file:
        server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=file, stderr=file)
    try:
        wait_until(lambda: _makes_bucket(port) or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        yield url
    finally:
        server.terminate()
        server.wait()


@dataclass(frozen=True)
class Machines:
    """The clone where the run is, and the worker's."""

    parent: Path
    worker: Path

    def open(self, *targets: str) -> AbstractContextManager[Run]:
        """A run that needs other machines."""
        return open_run(self.parent, targets, Wishes(remote_workers=True))

    def here(self, run: Run, stage: str) -> Outcome:
        """Runs a stage where the run is."""
        environment = variables(self.parent)
        return run_stage(run.project, CommandRunner(), stage, run.log(stage), lambda line: None, environment=environment)

    def start(self, run: Run, stage: str, lock: str, *options: str) -> subprocess.Popen[str]:
        """The worker at a stage, in a process and a folder of its own."""
        program = [sys.executable, Path(__file__).with_name("remote_worker.py"), stage, run.snapshot.commit, lock, *options]
        pipe, environment = subprocess.PIPE, {**os.environ, **variables(self.worker)}
        return subprocess.Popen(program, cwd=self.worker, env=environment, stdout=pipe, stderr=pipe, text=True)

    def ask(self, run: Run, stage: str, *options: str) -> tuple[str, str]:
        """What the worker prints, and its errors, when it is given a stage."""
        check_remote(run.project, [run.graph[stage]])
        return self.start(run, stage, send_inputs(run, run.graph[stage]), *options).communicate(timeout=50)

    def away(self, run: Run, stage: str, *options: str) -> Outcome:
        """Runs a stage at the worker and takes its result over."""
        state, errors = self.ask(run, stage, *options)
        assert state, errors
        assert errors == ""
        return Outcome(stage, state, entry=adopt(run, run.graph[stage]))


def make_machines(folder: Path, url: str, pipeline: str = DIAMOND, **settings: str) -> Machines:
    """A committed project with a remote, and a clone of it."""
    parent = make_project(folder / "parent", pipeline)
    set_remote(parent, url, **settings)
    git(parent, "commit", "-qam", "remote")
    git(folder, "clone", "-q", str(parent), "worker")
    return Machines(parent, folder / "worker")
