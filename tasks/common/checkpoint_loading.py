"""Loading a diffusers or transformers checkpoint, from a folder or the hub, and refusing one that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from tasks.common.errors import UserError
from tasks.common.pickled_weights import HOW_TO_CONVERT, are_there_instead

_MOST_NAMED = 5
_HARMLESS = ("position_ids",)  # buffers that older releases stored


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_place(checkpoint: str) -> None:
    folder = Path(checkpoint)
    looks_local = folder.is_absolute() or checkpoint.startswith((".", "models/")) or checkpoint.count("/") != 1
    if looks_local and not folder.is_dir():
        raise UserError(f"{checkpoint}: no such folder; name a checkpoint folder or a hub id such as owner/model")


def load_part(factory: Any, checkpoint: str, revision: str | None, **settings: Any) -> Any:
    """A tokenizer, processor or configuration by `factory.from_pretrained`.

    Raises:
        UserError: it is not there or not readable.
    """
    _check_place(checkpoint)
    try:
        return factory.from_pretrained(checkpoint, revision=revision, **settings)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{checkpoint}: {factory.__name__} cannot read it: {_one_line(error)}") from None


def load_weights(factory: Any, checkpoint: str, revision: str | None, **settings: Any) -> Any:
    """A model in evaluation mode, from safetensors only, with every weight where it belongs and finite.

    Raises:
        UserError: the checkpoint is missing, damaged, of another kind, or its keys or shapes differ (the first are named).
    """
    _check_place(checkpoint)
    try:
        model, report = factory.from_pretrained(
            checkpoint, revision=revision, use_safetensors=True, output_loading_info=True, **settings
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        instead = are_there_instead(checkpoint, settings.get("subfolder") or "", str(error))
        advice = f"; {HOW_TO_CONVERT}" if instead else ""
        raise UserError(f"{checkpoint}: {factory.__name__} cannot load it: {_one_line(error)}{advice}") from None
    differing = [f"{key} (missing)" for key in sorted(report["missing_keys"])]
    differing += [f"{key} (not known)" for key in sorted(report["unexpected_keys"]) if not key.endswith(_HARMLESS)]
    differing += [f"{key} (other shape)" for key in sorted(str(item) for item in report["mismatched_keys"])]
    if differing:
        more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
        raise UserError(f"{checkpoint}: does not fit its config.json: {', '.join(differing[:_MOST_NAMED])}{more}")
    bad = [name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()]
    if bad:
        raise UserError(f"{checkpoint}: {len(bad)} weights hold NaN or infinity, first {bad[0]}; get it again")
    return model.eval()
