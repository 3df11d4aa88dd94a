"""Ray maps shards as the process pool does: the same bytes, errors and signals; on a cluster of two and on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.common.errors import StageError, UserError
from tasks.common.shard_engine import Part, Work, run_jobs
from tests.common import shard_work
from tests.common.shard_work import compute
from tests.common.test_shard_engine import ROOT, children, jobs, wait_until
from tests.corpus.archives_for_tests import tar
from tests.corpus.ingest_for_tests import FIVE, folder_of_archives
from tests.corpus.test_boxes_and_latents import run_latents, work  # noqa: F401 - a fixture

pytestmark = pytest.mark.ray
TWO = compute(2, "ray")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two machines with one CPU each, so that two workers have one each."""
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
    cluster.add_node(**machine)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster, for this process to join."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    return address


def bytes_in(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def descendants(process: int) -> list[int]:
    found = children(process)
    return found + [below for child in found for below in descendants(child)]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("cluster")
def test_parts_have_the_same_bytes_as_with_the_pool(tmp_path: Path) -> None:
    stores = {engine: tmp_path / engine for engine in ("processes", "ray")}
    parts: dict[str, list[Part]] = {
        engine: run_jobs(jobs(5), shard_work.write_number, store, compute(2, engine), "jobs")
        for engine, store in stores.items()
    }
    assert len(bytes_in(stores["ray"])) == 10
    assert bytes_in(stores["ray"]) == bytes_in(stores["processes"])
    assert [part.statistics for part in parts["ray"]] == [part.statistics for part in parts["processes"]]
    assert [part.folder.name for part in parts["ray"]] == [part.folder.name for part in parts["processes"]]


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_costs_one_shard(tmp_path: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    with pytest.raises(StageError, match="a worker died, killed or out of memory; run again"):
        run_jobs(jobs(6, log), shard_work.die_once, store, TWO, "jobs")
    done = log.read_text().split()
    assert done
    assert "2" not in done
    parts = run_jobs(jobs(6, log), shard_work.die_once, store, TWO, "jobs")
    assert (parts[2].folder / "square.txt").read_text() == "4"
    assert not list(store.glob(".*.unfinished"))
    calls = log.read_text().split()
    assert set(calls) == {str(n) for n in range(6)}
    assert len(calls) - len(set(calls)) <= 2, "a finished shard was done again"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("function", "error"), [(shard_work.refuse, UserError), (shard_work.fail, ValueError)])
def test_an_error_of_the_work_is_passed_on(tmp_path: Path, function: Work, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^number one") as caught:
        run_jobs(jobs(3), function, tmp_path, TWO, "jobs")
    assert type(caught.value) is error
    assert not list(tmp_path.glob(".*.unfinished"))


@pytest.mark.usefixtures("cluster")
def test_gpus_that_no_machine_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"compute\.num_gpus = 0\.5: no machine .*GPUs in all: 0") as caught:
        run_jobs(jobs(3), shard_work.write_number, tmp_path, compute(2, "ray", 0.5), "jobs")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["127.0.0.1:1", "nonsense", "ray://127.0.0.1:10001"])
def test_a_cluster_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", wrong)
    with pytest.raises(UserError, match=f"RAY_ADDRESS = {wrong}: ") as caught:
        run_jobs(jobs(3), shard_work.write_number, tmp_path, TWO, "jobs")
    assert "\n" not in str(caught.value)


def test_files_that_machines_do_not_share_are_named(tmp_path: Path) -> None:
    from tasks.common.shard_engine_ray import enter, wait_until_seen

    with pytest.raises(UserError, match=rf"does not see {tmp_path}/store: .*file system that they share"):
        enter(tmp_path, Path("store/mark"), {})
    with pytest.raises(StageError, match=r"not to be seen here: .*file system that they share"):
        wait_until_seen(Part("job", tmp_path / "part", {}), seconds=0)


@pytest.mark.usefixtures("cluster")
def test_latents_have_the_same_bytes_as_with_the_pool(work: Path) -> None:  # noqa: F811
    assert run_latents(work, "pool/latents") == 0
    params = work / "params.yaml"
    params.write_text(params.read_text().replace("engine: processes", "engine: ray").replace("workers: 1", "workers: 2"))
    assert run_latents(work, "ray/latents") == 0
    results = [bytes_in(work / engine) for engine in ("pool", "ray")]
    assert len(results[0]) > 4
    assert results[0] == results[1]
    assert bytes_in(work / "parts/pool") == bytes_in(work / "parts/ray")


def test_ingest_with_a_ray_of_this_machine_alone_has_the_same_bytes(tmp_path: Path) -> None:
    archives = {"a.tar": tar(FIVE[:2]), "b.tar": tar(FIVE[2:4]), "c.tar": tar(FIVE[4:])}
    pool, ray = (folder_of_archives(tmp_path, archives, run) for run in ("pool", "ray"))
    assert pool.start(2) == 0
    ray.write_parameters(2, "ray")
    command = [sys.executable, "-m", "tasks.corpus.ingest", *ray.arguments]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ray.results == pool.results
    others = [line for line in done.stderr.splitlines() if not line.startswith(("ingest: done", "archives: "))]
    assert others == [], "Ray is not quiet"


SCRIPT = """
import sys
from pathlib import Path
from tasks.common import stage
from tasks.common.shard_engine import run_jobs
from tests.common import shard_work
from tests.common.test_shard_engine import jobs
from tests.common.test_stage import Paths

def body(project, paths):
    run_jobs(jobs(2), shard_work.sleep_long, paths.metrics.parent / "store", shard_work.compute(2, "ray"), "jobs")
    return {}

if __name__ == "__main__":
    sys.exit(stage.main("example", Paths, body))
"""


def start_stage(folder: Path, address: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A stage at work with Ray, in a process group of its own, and its two workers."""
    (folder / "run.py").write_text(SCRIPT)
    params, metrics = ROOT / "profiles" / "toy.yaml", folder / "metrics.json"
    command = [sys.executable, str(folder / "run.py"), "--params", str(params), "--metrics", str(metrics)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": address}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert wait_until(lambda: len(list(folder.glob("store/begun-*"))) == 2, 60), "two workers, each on its machine"
    return process, [int(mark.read_text()) for mark in folder.glob("store/begun-*")]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
@pytest.mark.parametrize(
    ("where", "number"),
    [("local", signal.SIGINT), ("local", signal.SIGKILL), ("cluster", signal.SIGTERM), ("cluster", signal.SIGKILL)],
)
def test_a_signal_ends_the_stage_and_its_workers(
    tmp_path: Path, request: pytest.FixtureRequest, where: str, number: signal.Signals
) -> None:
    process, workers = start_stage(tmp_path, request.getfixturevalue("address") if where == "cluster" else "")
    begun = [*workers, *descendants(process.pid)]
    assert all(is_running(worker) for worker in workers)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does on Ctrl-C
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=15)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "interrupted; run again" in said
    ended = begun if number != signal.SIGKILL else workers  # Ray's own may then take a minute
    assert wait_until(lambda: not any(is_running(one) for one in ended), 15), "processes were left behind"
    store = tmp_path / "store"
    parts = run_jobs(jobs(2), shard_work.write_number, store, compute(), "jobs")
    assert [part.statistics["number"] for part in parts] == [0, 1]
    assert not list(store.glob(".*.unfinished"))
