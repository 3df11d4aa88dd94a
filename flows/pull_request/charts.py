"""Charts of plot data, both sides in one picture. Plots that are images are in `pictures`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path, PurePosixPath

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.errors import RunError
from flows.git import git
from flows.pull_request.dvc_command import dvc_json, one_line

_IMAGES = {".gif", ".jpeg", ".jpg", ".png", ".svg"}


def has_charts(root: Path) -> bool:
    """Whether a DVC file in git declares a plot that is data and no image."""
    for name in filter(None, git(root, "ls-files", "-z", "--", "*dvc.yaml").split("\0")):
        try:
            content = YAML(typ="safe", pure=True).load((root / name).read_text(encoding="utf-8"))
        except (OSError, YAMLError, ValueError):
            continue  # the dry run of the pipeline names the mistake
        sections = content if isinstance(content, dict) else {}
        stages = sections.get("stages")
        owners = [sections, *(stages.values() if isinstance(stages, dict) else [])]
        plots = [plot for owner in owners if isinstance(owner, dict) for plot in owner.get("plots") or []]
        names = [next(iter(plot), "") if isinstance(plot, dict) else plot for plot in plots]
        if any(PurePosixPath(str(plot)).suffix.lower() not in _IMAGES for plot in names):
            return True
    return False


def draw_charts(root: Path, base: str, out: Path) -> tuple[list[str], list[str]]:
    """Charts of the project's plot data on both sides, as `out/charts/NAME.png`; their names, and what could not be drawn.

    Raises:
        RunError: DVC failed.
    """
    if not has_charts(root):
        return [], []
    with tempfile.TemporaryDirectory() as folder:
        plots, _ = dvc_json(root, "plots", "diff", base[:12], "-o", folder)
    errors, data = plots.get("errors"), plots.get("data")
    remarks = [
        f"chart data could not be read: {one_line(str(error))}" for error in (errors if isinstance(errors, list) else [])
    ]
    names: list[str] = []
    for target, drawings in (data if isinstance(data, dict) else {}).items():
        for drawing in drawings if isinstance(drawings, list) else []:
            chart = drawing.get("content") if isinstance(drawing, dict) else None
            if not isinstance(chart, dict):
                continue  # an image
            name = f"{re.sub(r'[^A-Za-z0-9.-]+', '_', target)[:80]}-{len(names) + 1}.png"
            try:
                _draw(chart, out / "charts" / name)
                names.append(name)
            except RunError as error:
                remarks.append(f"{target}: {error}")
    return sorted(names), sorted(remarks)


def _draw(chart: dict[str, JsonValue], file: Path) -> None:
    try:
        import vl_convert
    except ImportError as error:
        raise RunError("charts are not drawn without vl-convert-python; `pip install` it") from error
    try:
        content = vl_convert.vegalite_to_png(chart, allowed_base_urls=[])
    except ValueError as error:
        raise RunError(f"the chart could not be drawn: {one_line(str(error))}") from error
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
