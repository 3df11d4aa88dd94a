"""What a run shows in Prefect's UI: how the stages ended, the DAG, the metrics and how they moved, and previews."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.prefect_runs.dag_picture import draw_dag
from flows.prefect_runs.metrics import changed_metrics, read_metrics
from flows.run import Run
from flows.stage_run import Outcome

_LARGEST_PREVIEW_BYTES = 1_000_000


def publish_artifacts(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Creates the artifacts of the running flow."""
    rows = [
        {"stage": end.stage, "state": end.state, "seconds": round(end.seconds, 1), "why": end.reason} for end in outcomes
    ]
    create_table_artifact(rows, key="stages", description="How every stage ended")
    picture = _inline("DAG", "image/svg+xml", draw_dag(run.graph, outcomes).encode())
    create_markdown_artifact(picture, key="dag", description="The DAG and how every stage ended")
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


def _inline(name: str, kind: str, data: bytes) -> str:
    return f"![{name}](data:{kind};base64,{base64.b64encode(data).decode()})"


def previews(root: Path, figures: Sequence[Path]) -> str:
    """Markdown with the figures themselves, and where the page is."""
    parts = []
    for path in figures:
        if path.is_file() and path.stat().st_size <= _LARGEST_PREVIEW_BYTES:
            parts.append(f"### {path.relative_to(root)}\n{_inline(path.stem, 'image/png', path.read_bytes())}")
    page = root / "reports" / "index.html"
    if page.is_file():
        parts.append(f"The report: [{page}]({page.as_uri()})")
    return "\n\n".join(parts) or "no figures"
