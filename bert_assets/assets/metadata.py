"""What a person sees of a materialization in Dagster's UI. Users' texts are escaped: metadata renders as HTML."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from bert_assets.stages.evaluation import Metrics
    from bert_assets.stages.publish import PublishedModel, StagedModel
    from bert_assets.stages.snapshot import BuiltSnapshot
    from bert_assets.stages.train import Progress

MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]()#+!|~-])")
LONGEST_CELL = 200


def escaped(text: object) -> str:
    """Text that Markdown and HTML show as it is, on one line, cut at 200 characters."""
    flat = " ".join(str(text).split())
    shown = flat if len(flat) <= LONGEST_CELL else flat[: LONGEST_CELL - 1] + "…"
    return MARKDOWN_SIGNS.sub(r"\\\1", html.escape(shown))


def table_preview(records: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """A Markdown table of the records, escaped cell by cell."""
    if not records:
        return dg.MetadataValue.md("*no rows*")
    names = list(records[0])
    lines = ["| " + " | ".join(escaped(name) for name in names) + " |", "|" + "---|" * len(names)]
    for record in records:
        lines.append("| " + " | ".join(_cell(record[name]) for name in names) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def image(png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})")


def snapshot_metadata(built: BuiltSnapshot) -> dict[str, Any]:
    """Content hash, rows per split, label distribution, length histogram, schema and a preview."""
    from bert_assets.stages.snapshot import snapshot_summary

    summary = snapshot_summary(built)
    metadata: dict[str, Any] = {
        "content_hash": built.content_hash,
        "task": built.task,
        "dagster/row_count": sum(summary["rows"].values()),
        "schema": table_preview([{"column": name, "type": kind} for name, kind in summary["schema"].items()]),
        "preview": table_preview(summary["preview"]),
    }
    metadata |= {f"rows_{split}": rows for split, rows in summary["rows"].items()}
    metadata["source_rows"] = dg.MetadataValue.json(summary["counts"])
    metadata["labels"] = _per_split(summary["labels"])
    metadata["lengths"] = _per_split(summary["lengths"])
    return metadata


def model_metadata(trained: StagedModel | PublishedModel, *, reused: bool) -> dict[str, Any]:
    """Id, weights, recipe's snapshot and the training's figures, as numbers that plot over partitions and time."""
    manifest = trained.manifest
    training = manifest["training"]
    metadata: dict[str, Any] = {
        "model_id": trained.model_id,
        "weights_sha256": trained.weights_sha256,
        "snapshot": manifest["recipe"]["snapshot"],
        "reused": reused,
        "exact": manifest["exact"],
        "numerics_fingerprint": manifest["numerics_fingerprint"],
        "resumed": len([entry for entry in manifest["checkpoint_chain"] if entry["from_step"] > 0]),
        "checkpoint_chain": dg.MetadataValue.json(manifest["checkpoint_chain"]),
        "recipe": dg.MetadataValue.json(manifest["recipe"]),
    }
    for name in (
        "epochs",
        "batch_size",
        "steps",
        "published_step",
        "train_loss",
        "train_seconds",
        "examples_per_second",
    ):
        metadata[name] = training[name]
    return metadata | (training["best_validation"] or {})


def progress_metadata(progress: Progress) -> dict[str, Any]:
    """One observation while training: where it is, the figures, and the checkpoint's path if there is one."""
    metadata: dict[str, Any] = {
        "event": progress.event,
        "step": progress.step,
        "total_steps": progress.total_steps,
        "epoch": round(progress.epoch, 4),
        "seconds": round(progress.seconds, 1),
    }
    for name, value in progress.values.items():
        if name == "path":
            metadata["checkpoint"] = dg.MetadataValue.path(value)
        elif isinstance(value, list):
            metadata[name] = dg.MetadataValue.json(value)
        else:
            metadata[name] = value
    return metadata


def metrics_metadata(metrics: Metrics) -> dict[str, Any]:
    """Every figure as `<split>_<metric>`, its interval as text, per-class tables, and the plots."""
    about = metrics.manifest
    metadata: dict[str, Any] = {
        "content_hash": metrics.content_hash,
        "model_id": about["model_id"],
        "weights_sha256": about["weights_sha256"],
        "snapshot": about["snapshot"],
    }
    for split, figures in metrics.values.items():
        metadata[f"{split}_rows"] = figures["rows"]
        metadata |= {
            f"{split}_{name}": value for name, value in figures["metrics"].items() if value is not None
        }
        intervals = {name: bounds for name, bounds in figures["intervals"].items() if bounds}
        metadata |= {
            f"{split}_{name}_interval": f"[{low:.4f}, {high:.4f}]" for name, (low, high) in intervals.items()
        }
        if figures.get("per_class"):
            metadata[f"{split}_per_class"] = table_preview(figures["per_class"])
    return metadata | {name: image(png) for name, png in metrics.plots().items()}


def _per_split(tables: Mapping[str, Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """A table with a row per value and a column per split."""
    keys = list(dict.fromkeys(key for table in tables.values() for key in table))
    return table_preview(
        [{"value": key, **{split: table.get(key, 0) for split, table in tables.items()}} for key in keys]
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return "" if value is None else escaped(value)
