"""The report as one HTML document."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bert_assets.stages.report.best_run import best_run_section, lead_section
from bert_assets.stages.report.curves import learning_curves
from bert_assets.stages.report.elements import Markup, el, isolated
from bert_assets.stages.report.reproduction import reproduction_section
from bert_assets.stages.report.rows import best_row, by_dataset, figures_of, parted
from bert_assets.stages.report.runs import common_axis, runs_table
from bert_assets.stages.report.settings import settings_section
from bert_assets.stages.report.style import CSS
from bert_assets.stages.report.wording import HOW_CHOSEN, STALE_NOTE, WHAT_INTERVALS_SAY, plural


def render_html(
    table: pa.Table, details: dict[str, dict[str, Any]], *, title: str, generated: str | None
) -> str:
    """The report as one HTML document.

    `table` is a leaderboard (`leaderboard.build`). `details` holds, by run name and as far as known, `metrics` (the
    output of `metrics.evaluate`), `progress` (the entries of `progress.jsonl`) and `recipe` (a JSON-able dict); a
    section without its input is left out. `generated` is shown as it is, for example a date; null leaves it out.
    """
    groups = by_dataset(table)
    runs = table.num_rows
    stale = sum(row["stale"] for rows in groups.values() for row in rows)
    counted = [plural(len(groups), "dataset"), plural(runs, "run")] + ([f"{stale} stale"] if stale else [])
    body = [
        el(
            "header",
            el("h1", title),
            el("p", " · ".join([*counted, *([generated] if generated else [])]), class_="dateline"),
        ),
        *(_dataset_section(name, rows, details) for name, rows in groups.items()),
    ]
    if not groups:
        command = el("code", "bert-assets run NAME")
        body.append(el("p", "No run has been evaluated yet. ", command, " trains and evaluates one."))
    body.append(el("footer", el("h2", "How to read this"), el("p", HOW_CHOSEN), el("p", WHAT_INTERVALS_SAY)))
    head = [
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        # Nothing can be loaded or run from this page, whatever a name in it contains.
        Markup(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        ),
        el("title", title),
        Markup(f"<style>{CSS}</style>"),
    ]
    return f'<!doctype html>\n<html lang="en">\n{el("head", head)}\n{el("body", el("main", body))}\n</html>\n'


def _dataset_section(name: str, rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup:
    current, stale = parted(rows)
    parts: list[Any] = [el("h2", isolated(name))]
    axis = common_axis([*current, *stale])
    best = best_row(current)
    if best:
        parts.append(lead_section(best, current, details))
    if current:
        parts += [el("h3", "Runs"), runs_table(current, axis)]
    elif stale:
        parts.append(el("p", "No run has been evaluated on the current snapshot.", class_="note"))
    if stale:
        heading = el("h3", "On an earlier snapshot")
        parts.append(
            el(
                "section",
                heading,
                el("p", STALE_NOTE, class_="note"),
                runs_table(stale, axis),
                class_="stale",
            )
        )
    parts.append(learning_curves([*current, *stale], details))
    if best and (figures := figures_of(best, details)):
        parts.append(best_run_section(best, figures))
    parts += [settings_section([*current, *stale], details), reproduction_section([*current, *stale])]
    return el("section", parts, class_="dataset")
