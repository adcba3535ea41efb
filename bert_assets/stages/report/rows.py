"""What the rows of the leaderboard say, for HTML and Markdown alike."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bert_assets.stages.report.wording import NO_TEST_NOTE, format_figure, metric_label, undirected_text


def by_dataset(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault(row["dataset"], []).append(row)
    return groups


def parted(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [row for row in rows if not row["stale"]], [row for row in rows if row["stale"]]


def best_row(current: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((row for row in current if row["rank"] == 1), None)


def headline_of(row: dict[str, Any], split: str) -> tuple[float | None, tuple[float, float] | None]:
    name = f"{split}_{row['headline']}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return row[name], None if low is None or high is None else (low, high)


def reported_figure(row: dict[str, Any]) -> tuple[str, str, float | None, tuple[float, float] | None]:
    """Split, metric, value and interval of the figure that speaks for a run: test, or validation without it."""
    split = "test" if row["test_labelled"] else "validation"
    return split, row["headline"], *headline_of(row, split)


def chosen_among(best: dict[str, Any], current: list[dict[str, Any]]) -> str:
    value = f"validation {metric_label(best['headline'])} {format_figure(best['headline'], headline_of(best, 'validation')[0])}"
    return f"chosen among {len(current)} runs by {value}" if len(current) > 1 else f"the only run, {value}"


def caveats(
    best: dict[str, Any], current: list[dict[str, Any]], details: dict[str, dict[str, Any]]
) -> list[str]:
    notes = []
    if not best["test_labelled"]:
        notes.append(NO_TEST_NOTE)
    _, own = headline_of(best, "validation")
    others = [headline_of(row, "validation")[1] for row in current if row is not best]
    overlapping = sum(other[1] >= own[0] for other in others if other) if own else 0
    if overlapping:
        subject = (
            "interval of another run overlaps"
            if overlapping == 1
            else f"intervals of {overlapping} other runs overlap"
        )
        notes.append(
            f"The validation {subject} with that of the best run: on these rows alone the order among them is not "
            "settled."
        )
    figures = figures_of(best, details)
    classes = figures.get("per_class") or []
    if classes and figures["labelled"]:
        largest = max(classes, key=lambda c: c["support"])
        share = largest["support"] / figures["labelled"]
        notes.append(
            f"Always answering “{undirected_text(largest['class'])}” would score {format_figure('accuracy', share)}."
        )
    return notes


def figures_of(row: dict[str, Any], details: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The full metrics of the split that speaks for this run, or {}."""
    return ((details.get(row["run"]) or {}).get("metrics") or {}).get(reported_figure(row)[0]) or {}
