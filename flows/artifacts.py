"""What a run shows in Prefect's UI: how the stages ended, the DAG, the metrics and how they moved, and previews."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.graph import Graph
from flows.metrics import changed_metrics, read_metrics
from flows.run import Run
from flows.stage_run import Outcome

_LARGEST_PREVIEW_BYTES = 1_000_000


def publish_artifacts(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Creates the artifacts of the running flow."""
    rows = [
        {"stage": end.stage, "state": end.state, "seconds": round(end.seconds, 1), "why": end.reason} for end in outcomes
    ]
    create_table_artifact(rows, key="stages", description="How every stage ended")
    create_markdown_artifact(f"```mermaid\n{mermaid(run.graph, outcomes)}\n```", key="dag", description="The DAG")
    files = [path for stage in run.graph for path in stage.metrics]
    metrics = [{"metric": name, "value": str(value)} for name, value in read_metrics(run.root, files).items()]
    create_table_artifact(metrics, key="metrics", description="Metrics in the tree after the run")
    moved = [
        {"metric": name, "before": str(before), "after": str(after)}
        for name, (before, after) in changed_metrics(run.root, files, run.snapshot.head).items()
    ]
    create_table_artifact(moved, key="metrics-diff", description=f"Metrics against commit {run.snapshot.head[:8]}")
    figures = [run.root / path for stage in run.graph for path in stage.figures]
    create_markdown_artifact(previews(run.root, figures), key="previews", description="Figures and pages of the run")


def mermaid(graph: Graph, outcomes: Sequence[Outcome] = ()) -> str:
    """The DAG as a Mermaid flowchart, with pools and, if given, how the stages ended."""
    ends = {end.stage: f"<br/>{end.state}" for end in outcomes}
    number = {stage.name: f"s{index}" for index, stage in enumerate(graph)}
    lines = ["flowchart TD"]
    lines += [f'  {number[stage.name]}["{stage.name}<br/>{stage.meta.pool}{ends.get(stage.name, "")}"]' for stage in graph]
    lines += [
        f"  {number[before]} --> {number[stage.name]}" for stage in graph for before in stage.upstream if before in number
    ]
    return "\n".join(lines)


def previews(root: Path, figures: Sequence[Path]) -> str:
    """Markdown with the figures themselves, and where the page is."""
    parts = []
    for path in figures:
        if path.is_file() and path.stat().st_size <= _LARGEST_PREVIEW_BYTES:
            data = base64.b64encode(path.read_bytes()).decode()
            parts.append(f"### {path.relative_to(root)}\n![{path.stem}](data:image/png;base64,{data})")
    page = root / "reports" / "index.html"
    if page.is_file():
        parts.append(f"The report: [{page}]({page.as_uri()})")
    return "\n\n".join(parts) or "no figures"
