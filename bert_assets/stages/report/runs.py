"""The runs of a dataset with their figures and intervals."""

from __future__ import annotations

from typing import Any

from bert_assets.stages import metrics
from bert_assets.stages.report.drawings import Axis, axis_labels, flat, interval_marks
from bert_assets.stages.report.elements import Markup, el, isolated
from bert_assets.stages.report.rows import headline_of
from bert_assets.stages.report.wording import (
    format_count,
    format_duration,
    format_figure,
    format_interval,
    metric_label,
)


def common_axis(rows: list[dict[str, Any]]) -> Axis | None:
    """One scale for the intervals of all runs of a dataset, whose headline is that of its first row."""
    metric = rows[0]["headline"]
    values = [
        value
        for row in rows
        if row["headline"] == metric
        for split in metrics.SPLITS
        for value in flat(headline_of(row, split))
    ]
    if not values:
        return None
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.02
    return Axis(low - pad, high + pad, 6, 254, ticks=6)


def runs_table(rows: list[dict[str, Any]], axis: Axis | None) -> Markup:
    metric = rows[0]["headline"]
    second = "macro_f1" if metric == "accuracy" else "spearman"
    head = el(
        "tr",
        el("th", "Run", scope="col"),
        el("th", f"Validation {metric_label(metric)}", scope="col", class_="num"),
        el("th", f"Test {metric_label(metric)}", el("small", "95% interval"), scope="col", class_="num"),
        el("th", axis_labels(axis, metric), scope="col", class_="chart"),
        el("th", f"Test {metric_label(second)}", scope="col", class_="num"),
        el("th", "Epochs", scope="col", class_="num"),
        el("th", "Time", scope="col", class_="num"),
    )
    body = []
    for row in rows:
        own = row["headline"]
        (validation, validation_interval), (test, test_interval) = (
            headline_of(row, s) for s in metrics.SPLITS
        )
        extra = "macro_f1" if own == "accuracy" else "spearman"
        interval = el("small", format_interval(own, *test_interval)) if test_interval else None
        comparable = own == metric and axis
        body.append(
            el(
                "tr",
                el(
                    "th",
                    el("span", row["rank"], class_="rank") if row["rank"] else None,
                    isolated(row["run"]),
                    el("small", isolated(row["model"])),
                    scope="row",
                ),
                el(
                    "td",
                    format_figure(own, validation),
                    class_="num",
                    data_label=f"Validation {metric_label(own)}",
                ),
                el(
                    "td",
                    format_figure(own, test),
                    interval,
                    class_="num strong",
                    data_label=f"Test {metric_label(own)}",
                ),
                el(
                    "td",
                    interval_marks(axis, validation, validation_interval, test, test_interval)
                    if comparable
                    else None,
                    class_="chart",
                ),
                el(
                    "td",
                    format_figure(extra, row[f"test_{extra}"]),
                    class_="num",
                    data_label=f"Test {metric_label(extra)}",
                ),
                el("td", format_count(row["epochs"]), class_="num", data_label="Epochs"),
                el("td", format_duration(row["train_seconds"]), class_="num", data_label="Training time"),
                class_="best" if row["rank"] == 1 else None,
            )
        )
    caption = el(
        "caption",
        el("span", class_="key test"),
        f"test {metric_label(metric)} ",
        el("span", class_="key validation"),
        f"validation {metric_label(metric)}, each with its 95% interval",
    )
    return el("table", caption, el("thead", head), el("tbody", body), class_="runs")
