"""The report as GitHub's Markdown."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bert_assets.stages.report.rows import (
    best_row,
    by_dataset,
    caveats,
    chosen_among,
    headline_of,
    parted,
    reported_figure,
)
from bert_assets.stages.report.wording import (
    DASH,
    HOW_CHOSEN,
    STALE_NOTE,
    WHAT_INTERVALS_SAY,
    format_count,
    format_duration,
    format_figure,
    format_interval,
    metric_label,
    rebuild_command,
    undirected_text,
)


def render_markdown(
    table: pa.Table, details: dict[str, dict[str, Any]], *, title: str, generated: str | None
) -> str:
    """The same in GitHub's Markdown: best run, table, stale runs and commands, for a pull request comment."""
    lines = [f"# {_md(title)}", ""]
    if generated:
        lines += [f"*{_md(generated)}*", ""]
    groups = by_dataset(table)
    for name, rows in groups.items():
        current, stale = parted(rows)
        lines += [f"## {_md(name)}", ""]
        if best := best_row(current):
            split, metric, value, interval = reported_figure(best)
            figure = f"{split} {metric_label(metric)} **{format_figure(metric, value)}**"
            if interval:
                figure += f" (95% interval {format_interval(metric, *interval)})"
            lines += [f"**Best run: {_md(best['run'])}**, {figure}, {chosen_among(best, current)}.", ""]
            notes = caveats(best, current, details)
            lines += [line for note in notes for line in (_md(note), "")]
        for heading, part in (("", current), ("On an earlier snapshot", stale)):
            if not part:
                continue
            if heading:
                lines += [f"### {heading}", "", STALE_NOTE, ""]
            lines += [*_markdown_table(part), ""]
        lines += ["Reproduce:", "", "```sh", *(rebuild_command(row["run"]) for row in rows), "```", ""]
    if not groups:
        lines += ["No run has been evaluated yet: `bert-assets run NAME` trains and evaluates one.", ""]
    return "\n".join([*lines, f"{HOW_CHOSEN} {WHAT_INTERVALS_SAY}", ""])


def _md(value: Any) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no links, no mentions, no table cells."""
    text = undirected_text(value)
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
    text = "".join(entities.get(c) or (f"\\{c}" if c in r"\`*_[]#|~$!" else c) for c in text)
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")


def _markdown_table(rows: list[dict[str, Any]]) -> list[str]:
    ranked = any(row["rank"] for row in rows)
    head = [
        *(["#"] if ranked else []),
        "run",
        "metric",
        "validation",
        "test",
        "95% interval",
        "epochs",
        "time",
    ]
    lines = [
        f"| {' | '.join(head)} |",
        f"|{'|'.join('---' if h in ('run', 'metric') else '--:' for h in head)}|",
    ]
    for row in rows:
        metric = row["headline"]
        test, interval = headline_of(row, "test")
        cells = [
            *([str(row["rank"] or DASH)] if ranked else []),
            _md(row["run"]),
            metric_label(metric),
            format_figure(metric, headline_of(row, "validation")[0]),
            format_figure(metric, test),
            format_interval(metric, *interval).replace("[", "\\[").replace("]", "\\]") if interval else DASH,
            format_count(row["epochs"]),
            format_duration(row["train_seconds"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
