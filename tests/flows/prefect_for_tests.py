"""A Prefect server and workers of the tests' own, on free ports, with their own database; all end with the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.flows.small_projects import variables, wait_until

PROGRAMS = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class PrefectServer:
    """A server that can be killed and started again on the same database; `folder` holds its home and logs."""

    folder: Path
    database: str = ""
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def environment(self, project: Path | None = None) -> dict[str, str]:
        """Variables for programs that talk to the server."""
        own = {
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }
        if self.database:
            own["PREFECT_API_DATABASE_CONNECTION_URL"] = self.database
        return {**os.environ, **own, **(variables(project) if project else {})}

    def _start(self, name: str, command: list[str], environment: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = [str(PROGRAMS / command[0]), *command[1:]]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                program, cwd=cwd, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes.append(process)
        return process

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the server and waits until it answers."""
        process = self._start(
            "server", ["prefect", "server", "start", "--port", str(self.port)], self.environment(), self.folder.parent
        )

        def healthy() -> bool:
            assert process.poll() is None, (self.folder / "server.log").read_text()
            with suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
            return False

        wait_until(healthy, 90)
        return process

    def worker(self, project: Path, pool: str, **more: str) -> subprocess.Popen[bytes]:
        """Starts a worker and waits until the server knows it."""
        before = self.online(pool)
        name = f"{pool}-{len(self.processes)}"
        process = self._start(name, ["groundreel", "worker", pool], {**self.environment(project), **more}, project)
        wait_until(lambda: self.online(pool) > before, 60)
        return process

    def online(self, pool: str) -> int:
        """Workers of a pool that have said hello."""
        found = httpx.post(f"{self.url}/work_pools/{pool}/workers/filter", json={}, timeout=10)
        return len(found.json()) if found.status_code == 200 else 0

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Runs of a flow, newest first."""
        wanted = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_DESC"}
        found: list[dict[str, Any]] = httpx.post(f"{self.url}/flow_runs/filter", json=wanted, timeout=10).json()
        return found

    def task_states(self, flow_run: str) -> dict[str, str]:
        """Task to state name, for one flow run."""
        wanted = {"flow_runs": {"id": {"any_": [flow_run]}}}
        found = httpx.post(f"{self.url}/task_runs/filter", json=wanted, timeout=10).json()
        return {run["name"]: run["state_name"] for run in found}

    def artifacts(self) -> dict[str, Any]:
        """The newest data of every artifact, by key."""
        found = httpx.post(f"{self.url}/artifacts/latest/filter", json={}, timeout=10).json()
        return {artifact["key"]: artifact["data"] for artifact in found}

    def stop(self) -> None:
        """Kills the server, its workers, and all that they started."""
        for process in self.processes:
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and to all of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
