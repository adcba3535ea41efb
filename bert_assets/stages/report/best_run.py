"""The best run of a dataset: its figures first, then its classes, confusions and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bert_assets.stages import metrics
from bert_assets.stages.report.drawings import reliability, residuals
from bert_assets.stages.report.elements import Markup, el, isolated, short_hash
from bert_assets.stages.report.rows import caveats, chosen_among, reported_figure
from bert_assets.stages.report.wording import (
    format_count,
    format_duration,
    format_figure,
    format_interval,
    metric_label,
    plural,
)

MAX_CONFUSION_CLASSES = 12


MAX_LISTED_CLASSES = 30


def lead_section(
    best: dict[str, Any], current: list[dict[str, Any]], details: dict[str, dict[str, Any]]
) -> Markup:
    split, metric, value, interval = reported_figure(best)
    chosen = chosen_among(best, current)
    rows = format_count(best[f"{split}_labelled"])
    spread = f"95% interval {format_interval(metric, *interval)}, " if interval else ""
    figure = el(
        "div",
        el("span", format_figure(metric, value), class_="numeral"),
        el(
            "div",
            el("div", f"{split} {metric_label(metric)}"),
            el("div", f"{spread}{rows} labelled rows"),
            class_="legend",
        ),
        class_="figure",
    )
    others = [
        (m, best[f"{split}_{m}"]) for m in metrics.METRICS[best["task"]] if m not in (metric, "weighted_f1")
    ]
    facts = [
        *((metric_label(m), format_figure(m, v)) for m, v in others if v is not None),
        ("model", isolated(best["model"])),
        ("parameters", format_count(best["parameters"])),
        ("trained on", f"{format_count(best['train_rows'])} rows, {format_count(best['epochs'])} epochs"),
        ("training time", format_duration(best["train_seconds"])),
        ("snapshot", short_hash(best["snapshot"])),
    ]
    return el(
        "div",
        el("p", "Best run", class_="eyebrow"),
        el("p", isolated(best["run"]), class_="best-name"),
        figure,
        el("p", f"{chosen[0].upper()}{chosen[1:]}. ", " ".join(caveats(best, current, details))),
        el("dl", [el("div", el("dt", term), el("dd", value)) for term, value in facts]),
        class_="lead",
    )


def best_run_section(best: dict[str, Any], figures: dict[str, Any]) -> Markup | None:
    split = reported_figure(best)[0]
    panels: list[Markup | None] = []
    if classes := figures.get("per_class"):
        panels.append(_class_table(classes, split, figures["labelled"]))
        panels.append(_confusion([c["class"] for c in classes], figures["confusion"], split))
    if figures.get("calibration"):
        panels.append(reliability(figures["calibration"], figures["metrics"].get("ece"), split))
    if figures.get("residuals"):
        panels.append(residuals(figures["residuals"], split))
    if not any(panels):
        return None
    return el("section", el("h3", "The best run, closer"), el("div", panels, class_="panels"))


def _class_table(classes: list[dict[str, Any]], split: str, labelled: int) -> Markup:
    listed = classes
    caption = f"Classes on {split}: share of the rows, and how well each is found"
    if len(classes) > MAX_LISTED_CLASSES:
        listed = sorted(classes, key=lambda c: 1.0 if c["f1"] is None else c["f1"])[:MAX_LISTED_CLASSES]
        caption += f" (the {MAX_LISTED_CLASSES} of {len(classes)} with the lowest F1)"
    head = [el("th", "Class", scope="col"), el("th", "Share", scope="col", class_="num")]
    head += [el("th", text, scope="col", class_="num") for text in ("Precision", "Recall", "F1", "Rows")]
    body = []
    for row in listed:
        share = row["support"] / labelled if labelled else 0.0
        bar = el("span", style=f"inline-size:{100 * share:.1f}%", class_="bar")
        body.append(
            el(
                "tr",
                el("th", isolated(row["class"]), scope="row"),
                el("td", bar, format_figure("accuracy", share), class_="num share"),
                [
                    el("td", format_figure("f1", row[key]), class_="num")
                    for key in ("precision", "recall", "f1")
                ],
                el("td", format_count(row["support"]), class_="num"),
            )
        )
    return el(
        "figure",
        el("figcaption", caption),
        el(
            "div",
            el("table", el("thead", el("tr", head)), el("tbody", body), class_="matrix"),
            class_="scroll",
        ),
    )


def _confusion(names: Sequence[str], confusion: list[list[int]], split: str) -> Markup:
    if len(names) > MAX_CONFUSION_CLASSES:
        pairs = sorted(
            ((n, i, j) for i, row in enumerate(confusion) for j, n in enumerate(row) if n and i != j),
            key=lambda pair: (-pair[0], pair[1], pair[2]),
        )[:MAX_CONFUSION_CLASSES]
        items = [
            el("li", isolated(names[i]), " taken for ", isolated(names[j]), f": {plural(n, 'row')}")
            for n, i, j in pairs
        ]
        caption = el("figcaption", f"Most frequent confusions on {split}")
        return el("figure", caption, el("ol", items) if items else el("p", "None."))
    head = el(
        "tr", el("th", "true \\ predicted", scope="col"), [el("th", isolated(n), scope="col") for n in names]
    )
    body = []
    for name, counts in zip(names, confusion, strict=True):
        total = sum(counts)
        cells = []
        for count in counts:
            share = count / total if total else 0.0
            style = f"--share:{100 * share:.0f}%"
            cells.append(
                el("td", format_count(count), class_="cell deep" if share > 0.55 else "cell", style=style)
            )
        body.append(el("tr", el("th", isolated(name), scope="row"), cells))
    table = el("table", el("thead", head), el("tbody", body), class_="matrix confusion")
    caption = el("figcaption", f"Confusion on {split}: rows are true classes, shaded by their share")
    wide = "wide" if len(names) > 4 else None
    return el("figure", caption, el("div", table, class_="scroll"), class_=wide)
