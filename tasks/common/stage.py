"""The way into every stage: arguments, parameters, exit codes, signals, metrics.

Exit codes: 0 done, 1 failed, 2 wrong parameters or input, 130 interrupted. One line says what, where and how to mend it; a
traceback appears only with `-v`.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from tasks.common.errors import StageError, UserError
from tasks.common.files import write_json
from tasks.common.parameters import load_parameters

_DECIMALS = 4
# Threads of torch must not spin while they wait: beside another process, steps took up to twenty times as long.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
Paths = TypeVar("Paths")
Metrics = dict[str, Any]


def rounded(value: Any) -> Any:
    """The same JSON value with floats rounded, so that metrics are readable and comparable."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _interrupt(number: int, frame: FrameType | None) -> None:
    """First signal: stop in order. Second: at once."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    raise KeyboardInterrupt


def _parse(name: str, paths: type[Paths], arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Paths]:
    parser = argparse.ArgumentParser(prog=f"stage {name}", description=paths.__doc__)
    parser.add_argument("--params", type=Path, required=True, help="the parameter file")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")
    fields = dataclasses.fields(paths)  # type: ignore[arg-type]
    for field in fields:
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=Path, required=True)
    options = parser.parse_args(arguments)
    return options, paths(**{field.name: getattr(options, field.name) for field in fields})


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _run(name: str, paths: Any, params: Path, project: str, body: Callable[[Any, Any], Metrics]) -> None:
    model = importlib.import_module(project).ProjectParameters
    parameters = load_parameters(params, model)
    started = time.monotonic()
    metrics = body(parameters, paths)
    if hasattr(paths, "metrics"):
        write_json(paths.metrics, rounded(metrics))
    result = getattr(paths, "out", None) or getattr(paths, "metrics", None)
    _say(f"{name}: done in {time.monotonic() - started:.1f} s, see {result}")


def main(
    name: str,
    paths: type[Paths],
    body: Callable[[Any, Paths], Metrics],
    project: str = "tasks.parameters",
    arguments: Sequence[str] | None = None,
) -> int:
    """Runs a stage and returns its exit code.

    Args:
        name: the stage's name in `dvc.yaml`.
        paths: a dataclass of `Path` fields; each becomes a required `--option`. `metrics`, if there, receives the metrics.
        body: (all parameters, paths) -> metrics.
        project: module whose `ProjectParameters` types the whole parameter file; imported by name, because the sections of
            other stages check the file but cannot change this stage's result.
        arguments: command line, for tests.
    """
    options, given = _parse(name, paths, arguments)
    os.environ.update(_ENVIRONMENT)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _run(name, given, options.params, project, body)
        if arguments is None:
            gc.freeze()  # else the interpreter's end walks all objects of torch and transformers: 1.6 s of 8 s in `boxes`
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; run again to go on, finished shards are kept")
        return 130
    except (UserError, StageError) as error:
        if options.verbose:
            traceback.print_exc()
        _say(f"{name}: {error}")
        return 2 if isinstance(error, UserError) else 1
    except Exception as error:  # noqa: BLE001 - the last resort: one line for the user, the traceback with -v
        if options.verbose:
            traceback.print_exc()
        _say(f"{name}: {type(error).__name__}: {error} (run the command with -v for the traceback)")
        return 1
    return 0
