"""The README's picture of a run in Prefect's UI: `make screenshot`.

Starts a server and a worker for the pool `gpu`, runs the DAG in a temporary clone, and takes the run's page with headless
Chromium (Debian's packages `chromium`, or CHROMIUM=/path/to/it).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.flows.prefect_for_tests import PROGRAMS, PrefectServer
from tests.pipeline.workspaces import ROOT, clone

PICTURE = ROOT / "reports" / "figures" / "prefect_run.png"
_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --window-size=1400,860 --virtual-time-budget=15000"
)


def photograph(url: str, picture: Path, profile: Path) -> None:
    """Takes a page, after 15 s of its own time."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium found; `apt-get install chromium`, or set CHROMIUM to its path")
    options = [*_OPTIONS.split(), f"--user-data-dir={profile}", f"--screenshot={picture}"]
    subprocess.run([browser, *options, url], check=True, capture_output=True, timeout=120)  # noqa: S603


def main() -> None:
    """Makes `reports/figures/prefect_run.png`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = clone(folder / "groundreel")
        server = PrefectServer(folder / "prefect")
        server.start()
        try:
            environment = server.environment(project)
            for command in ("deploy", "run"):
                subprocess.run([PROGRAMS / "groundreel", command], cwd=project, env=environment, check=True)  # noqa: S603
                if command == "deploy":
                    server.worker(project, "gpu")
            run = server.runs("pipeline")[0]["id"]
            photograph(f"http://127.0.0.1:{server.port}/runs/flow-run/{run}", folder / "page.png", folder / "chromium")
            shutil.copyfile(folder / "page.png", PICTURE)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
