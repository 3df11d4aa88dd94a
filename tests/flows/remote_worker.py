"""A worker on another machine, as a program in its clone: what the flow `stage` does there, without Prefect.

Prints the stage's state; a failure is one line and exit code 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.command import CommandRunner
from flows.dvc_remote import publish_results, remote_workspace
from flows.errors import RunError, UsageError
from flows.stage_run import run_stage

if __name__ == "__main__":
    stage, commit, lock, *options = sys.argv[1:]
    log = Path.cwd() / ".runs" / "logs" / f"{stage}.log"
    try:
        with remote_workspace(Path.cwd(), stage, commit, lock) as project:
            outcome = run_stage(project, CommandRunner(), stage, log, lambda line: None, force="--force" in options)
            publish_results(project, stage)
    except (RunError, UsageError) as error:
        sys.exit(str(error))
    sys.stdout.write(outcome.state)
