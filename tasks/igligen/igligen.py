"""Stage `igligen`: adapters that put phrases into boxes, trained on images around a frozen model (specs/lvd.md 6)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.progress import track
from tasks.igligen.parameters import Parameters

if TYPE_CHECKING:
    from tasks.common.training_curves import Curves
    from tasks.igligen.box_following import BoxFollowing, Followed
    from tasks.igligen.training_run import TrainingRun

__all__ = ["Parameters", "Paths", "train_adapters"]


@dataclass(frozen=True)
class Paths:
    """Corpus index, boxes and latents in; adapters, provenance, contact sheet, curves and metrics out."""

    index: Path
    boxes: Path
    latents: Path
    out: Path
    provenance: Path
    figure: Path
    curves: Path
    metrics: Path
    parts: Path


def _without_adapters(run: TrainingRun, following: BoxFollowing) -> Followed:
    from tasks.igligen.adapters import set_adapters_enabled

    set_adapters_enabled(run.base.unet, False)
    try:
        return following.of_generated(run.corpus.latent_shape)
    finally:
        set_adapters_enabled(run.base.unet, True)


def _with_adapters(run: TrainingRun, following: BoxFollowing) -> Followed:
    with run.training.optimiser.averaged():
        return following.of_generated(run.corpus.latent_shape)


def _train(run: TrainingRun, parameters: Parameters, following: BoxFollowing, curves: Path) -> Followed | None:
    """The first process's training; returns the last measurement, if this run made one.

    Curves are written with each measurement and checkpoint, to be watched.
    """
    training, after = run.training, None
    for step in track(training.steps(), "steps", parameters.steps - training.step, lambda: _newest(training.curves)):
        is_last = step == parameters.steps
        is_measured = is_last or step % parameters.evaluate_every == 0
        is_kept = is_last or step % parameters.checkpoint_every == 0
        if is_measured:
            after = _with_adapters(run, following)
            training.curves.add("box_following", step, iou=after.mean_iou)
        if is_measured or is_kept:
            training.curves.write(curves)
        if is_kept and not training.skipped_in_a_row:
            run.checkpoints.save(training.checkpoint())
    return after


def _newest(curves: Curves) -> str:
    """The newest point of the curves that tell how it goes."""
    shown = {"loss": ("loss", "loss"), "gate": ("gates", "attention"), "box-following IoU": ("box_following", "iou")}
    values = {name: curves.last(*place) for name, place in shown.items()}
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)


def _metrics(run: TrainingRun, parameters: Parameters, index: Path, followed: dict[str, Followed]) -> stage.Metrics:
    """Counts and scores; what is not known after a divergence is null."""
    import pyarrow.parquet as parquet

    training, curves = run.training, run.training.curves
    scores = {name: state.mean_iou for name, state in followed.items()}
    after = followed.get("box_following_iou")
    return {
        "images": parquet.read_metadata(index).num_rows,
        "images_trained_on": run.corpus.images,
        "images_held_out": len(run.layouts),
        **{name: run.corpus.counts[name] for name in sorted(run.corpus.counts)},
        "steps": training.step,
        "images_per_step": parameters.batch * parameters.accumulate * run.accelerator.num_processes,
        "trained_parameters": training.optimiser.count,
        "diverged": after is None,
        "skipped_steps": training.skipped,
        "loss": curves.last("loss", "loss"),
        "gates_attention": curves.last("gates", "attention"),
        "gates_dense": curves.last("gates", "dense"),
        "box_following_iou_real": None,
        "box_following_iou_untrained": None,
        "box_following_iou_given": None,
        "box_following_iou": None,
        **scores,
        "box_following_gain": after and after.mean_iou - scores["box_following_iou_untrained"],
        "boxes_followed": after and after.share_followed,
    }


def _save_adapters(run: TrainingRun, parameters: Parameters, iou: float, out: Path) -> None:
    from tasks.igligen.adapter_files import ADAPTERS_FILE, save_adapters

    facts = {
        "model": parameters.model,
        "revision": parameters.revision,
        "model_identity": run.made["checkpoints"]["model"],
        "prediction_type": run.base.scheduler.config.prediction_type,
        "steps": parameters.steps,
        "seed": run.made["seed"],
        "score_threshold": parameters.score_threshold,
        "most_boxes": parameters.most_boxes,
        "box_following_iou": stage.rounded(iou),
    }
    with complete(out, folder=True) as folder:
        with run.training.optimiser.averaged():
            save_adapters(run.base.unet, folder / ADAPTERS_FILE, facts)
        write_json(folder / "config.json", facts)


def _lead(run: TrainingRun, project: Any, paths: Paths) -> stage.Metrics:
    """What the first process does around its training: measure, keep checkpoints, write."""
    from tasks.igligen.box_following import save_comparison
    from tasks.igligen.training import DivergedError
    from tasks.igligen.training_run import go_on, open_box_following

    parameters: Parameters = project.igligen
    training, following = run.training, open_box_following(run, project)
    before = _without_adapters(run, following)
    followed = {"box_following_iou_real": following.of_real(), "box_following_iou_untrained": before}
    if parameters.adapters:
        followed["box_following_iou_given"] = _with_adapters(run, following)
    go_on(run)
    if not training.step:
        start = followed.get("box_following_iou_given", before)
        training.curves.add("box_following", 0, iou=start.mean_iou)
    try:
        after = _train(run, parameters, following, paths.curves) or _with_adapters(run, following)
    except DivergedError:
        training.curves.write(paths.curves)
        write_json(paths.metrics, stage.rounded(_metrics(run, parameters, paths.index, followed)))
        raise
    followed["box_following_iou"] = after
    _save_adapters(run, parameters, after.mean_iou, paths.out)
    training.curves.write(paths.curves)
    save_comparison(run.layouts, before, after, parameters.preview_images, paths.figure)
    write_json(paths.provenance, run.made)
    run.checkpoints.remove_other_trainings()
    return _metrics(run, parameters, paths.index, followed)


def train_adapters(project: Any, paths: Paths) -> stage.Metrics:
    """Trains from the newest checkpoint on, and scores how well boxes are followed without and with the adapters.

    `accelerate launch -m tasks.igligen.igligen ...` runs it on several GPUs; the first process measures and writes.
    """
    from tasks.igligen.training_run import go_on, open_run

    run = open_run(project, paths.index, paths.boxes, paths.latents, paths.parts)
    if not run.is_first:
        go_on(run)
        for _ in run.training.steps():
            pass
        run.accelerator.end_training()
        raise SystemExit(0)  # the first process goes on, and writes the metrics
    with run.checkpoints.locked():
        metrics = _lead(run, project, paths)
    run.accelerator.end_training()
    return metrics


if __name__ == "__main__":
    sys.exit(stage.main("igligen", Paths, train_adapters))
