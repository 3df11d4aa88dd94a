"""What a healthy workspace needs, checked; each finding says how to mend it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.common.errors import UserError
from tasks.common.parameters import load_parameters
from tasks.llm.parameters import LanguageModel

_LEAST_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """`level` is "ok", "warning" or "error"."""

    level: str
    subject: str
    text: str


def examine(root: Path) -> list[Finding]:
    """All findings for the clone at `root`."""
    checks = (_python, _packages, _tools, _disk, _parameters, _runs)
    return [finding for check in checks for finding in check(root)]


def _python(root: Path) -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} in {sys.prefix}")


def _pins(root: Path) -> dict[str, str]:
    pattern = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)")
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {match[1]: match[2] for line in lines if (match := pattern.match(line))}


def _packages(root: Path) -> Iterator[Finding]:
    needed = {
        re.split(r"[<>=!~ ;\[]", line)[0].lower()
        for line in importlib.metadata.requires("groundreel") or []
        if "extra ==" not in line
    }
    pins = {name.lower(): pin for name, pin in _pins(root).items()}
    wrong = 0
    for name in sorted(needed):
        try:
            found = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            wrong += 1
            yield Finding("error", "packages", f"{name} is missing; `pip install -c constraints.txt -e .`")
            continue
        if name in pins and found != pins[name]:
            wrong += 1
            mend = f"`pip install {name}=={pins[name]}`"
            yield Finding("warning", "packages", f"{name} {found} differs from the tested {pins[name]}; {mend}")
    if importlib.util.find_spec("torchvision") and not _imports("torchvision"):
        wrong += 1
        mend = "`pip uninstall torchvision`, which groundreel does not need"
        yield Finding("error", "packages", f"torchvision does not fit this torch and breaks transformers; {mend}")
    if not wrong:
        yield Finding("ok", "packages", f"{len(needed)} as tested")


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except (ImportError, RuntimeError, OSError):
        return False
    return True


def _tools(root: Path) -> Iterator[Finding]:
    for tool, mend in (("git", "install git"), ("dvc", "`. .venv/bin/activate`, which has it")):
        if shutil.which(tool) is None:
            yield Finding("error", "tools", f"{tool} is not on PATH; {mend}")
    if not (root / ".dvc").is_dir():
        yield Finding("error", "tools", f"{root} has no .dvc folder; clone the repository instead of copying files")


def _disk(root: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(root).free
    level = "ok" if free >= _LEAST_FREE_BYTES else "warning"
    more = "" if level == "ok" else "; `dvc gc --workspace` removes results that params.yaml no longer names"
    yield Finding(level, "disk", f"{free / 1e9:.1f} GB free{more}")


def _runs(root: Path) -> Iterator[Finding]:
    from flows.inspection.health import examine_runs

    if (root / ".dvc").is_dir():
        yield from (Finding(*found) for found in examine_runs(root))


def _language_model(llm: LanguageModel) -> Finding:
    """Replies that are kept need neither key nor weights, so what is missing is a warning."""
    kept = "kept replies still answer"
    if llm.backend == "local":
        from tasks.llm.local_model import check_installed

        try:
            check_installed(llm.model)
        except UserError as error:
            return Finding("warning", "llm", f"{error}; {kept}")
        return Finding("ok", "llm", f"{llm.model}, in this process")
    if llm.key_variable and not os.environ.get(llm.key_variable, "").strip():
        return Finding("warning", "llm", f"no key in {llm.key_variable}; `export {llm.key_variable}=...` sets it; {kept}")
    return Finding("ok", "llm", f"{llm.model} at {llm.base_url}, key {'present' if llm.key_variable else 'not needed'}")


def _parameters(root: Path) -> Iterator[Finding]:
    from tasks.parameters import ProjectParameters

    try:
        project = load_parameters(root / "params.yaml", ProjectParameters)
    except UserError as error:
        yield Finding("error", "params", str(error))
        return
    yield Finding("ok", "params", f"profile {project.profile}, seed {project.seed}")
    yield _language_model(project.llm)
    from tasks.common.devices import select_device

    try:
        device, dtype = select_device(project.compute)
    except UserError as error:
        yield Finding("error", "device", str(error))
        return
    yield Finding("ok", "device", f"{device}, {str(dtype).removeprefix('torch.')}, {project.compute.workers} workers")
