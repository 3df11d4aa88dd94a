"""Stage `report`: `reports/index.html`, one self-contained and escaped page of what the other stages measured."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import Field

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import write_text
from tasks.common.parameters import Section
from tasks.common.quarantine import printable
from tasks.common.report_table import read_table
from tasks.report.curves import draw_folder
from tasks.report.dag_picture import draw_dag
from tasks.report.graph_pictures import KIND, read_pictures
from tasks.report.pipeline import PipelineStage, read_pipeline
from tasks.report.storyboards import read_storyboards

TEMPLATE = "index.html.j2"
_MOST_CHARACTERS = 2000
_PICTURES = {".png": "image/png", ".gif": "image/gif", ".svg": KIND}


class Parameters(Section):
    """What the page says."""

    title: str = Field(min_length=1, max_length=200, description="heading of the page")
    quarantine_lines: int = Field(ge=0, le=1000, description="quarantined items listed per stage")


@dataclass(frozen=True)
class Paths:
    """The pipeline file names tables, metrics, figures and quarantine lists; one page out."""

    pipeline: Path
    out: Path


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, text) of each leaf of a JSON value; a list of numbers is one leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(str(item) for item in value)
    else:
        yield name, "not known" if value is None else str(value)


def _clean(value: Any) -> Any:
    """Text without control characters; markup of our own stays as it is."""
    return printable(value, _MOST_CHARACTERS) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; `dvc repro` makes it") from None


def _base64(path: str) -> Markup:
    return Markup(base64.b64encode(_read(path)).decode())  # noqa: S704 - the base64 alphabet has no markup


def _figure(stage: PipelineStage, path: str) -> dict[str, Any]:
    """A picture as a data address, or the charts of the curves in a folder and the pictures of the graphs in it."""
    kind = _PICTURES.get(Path(path).suffix)
    address = Markup("data:{};base64,{}").format(kind, _base64(path)) if kind else None
    charts = None if kind else draw_folder(Path(path))
    pictures = [] if kind else read_pictures(Path(path))
    return {"title": f"{stage.name}: {stage.description}", "address": address, "charts": charts, "pictures": pictures}


def _quarantine(path: str, most: int) -> dict[str, Any]:
    lines = _read(path).splitlines()[1:]
    shown = [json.loads(line) for line in lines[:most]]
    return {"name": Path(path).stem, "path": path, "count": len(lines), "lines": shown}


def render_page(stages: list[PipelineStage], values: dict[str, Any], parameters: Parameters) -> str:
    """The page as text; every name, caption and number is escaped."""
    quarantines = [path for stage in stages for path in stage.outputs if Path(path).parent.name == "quarantine"]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
    )
    return environment.get_template(TEMPLATE).render(
        title=parameters.title,
        profile=values["profile"],
        seed=values["seed"],
        dag=draw_dag(stages),
        stages=stages,
        tables=[read_table(Path(path)) for stage in stages for path in stage.tables],
        metrics=[
            {"name": stage.name, "rows": list(flatten(json.loads(_read(path))))}
            for stage in stages
            for path in stage.metrics
        ],
        storyboards=[board for stage in stages for path in stage.storyboards for board in read_storyboards(Path(path))],
        figures=[_figure(stage, path) for stage in stages for path in stage.figures],
        quarantines=[_quarantine(path, parameters.quarantine_lines) for path in quarantines],
        parameters=list(flatten(values)),
    )


def make_report(project: Any, paths: Paths) -> stage.Metrics:
    """Writes the page."""
    values = project.model_dump(exclude={"compute": {"workers", "engine", "num_gpus"}})  # no result depends on them
    write_text(paths.out, render_page(read_pipeline(paths.pipeline, values), values, project.report))
    return {}


if __name__ == "__main__":
    sys.exit(stage.main("report", Paths, make_report))
