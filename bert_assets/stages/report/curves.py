"""Learning curves: one small panel per run, on common axes."""

from __future__ import annotations

from typing import Any

from bert_assets.stages.plots import curve, smoothed
from bert_assets.stages.report.drawings import Axis, path_data
from bert_assets.stages.report.elements import Markup, el, isolated
from bert_assets.stages.report.rows import headline_of
from bert_assets.stages.report.wording import format_count, format_figure, plain_text

MAX_CURVES = 24


def learning_curves(rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup | None:
    """Loss over steps, one small panel per run on common axes."""
    drawn = []
    for row in rows:
        progress = (details.get(row["run"]) or {}).get("progress") or []
        train, validation = curve(progress, "train", "loss"), curve(progress, "evaluation", "validation_loss")
        if train or validation:
            drawn.append((row, train, validation))
    if not drawn:
        return None
    shown = drawn[:MAX_CURVES]
    last_step = max(step for _, train, validation in shown for step, _ in (*train, *validation))
    lines = []
    for row, train, validation in shown:
        smooth = smoothed([v for _, v in train]) if len(train) > 30 else [v for _, v in train]
        points = list(zip((step for step, _ in train), smooth, strict=True))
        stride = max(1, len(points) // 120)
        lines.append((row, points[::stride] + (points[-1:] if stride > 1 else []), validation))
    values = [v for _, train, validation in lines for _, v in (*train, *validation)]
    x = Axis(0, max(last_step, 1), 34, 232, ticks=4)
    y = Axis(min(0.0, *values), max(*values, 1e-9) * 1.04, 118, 8, ticks=5)
    panels = [_curve_panel(row, train, validation, x, y) for row, train, validation in lines]
    caption = el(
        "p",
        el("span", class_="key train"),
        "training loss ",
        el("span", class_="key test"),
        "validation loss, ringed where lowest. Steps and loss share their axes across panels.",
        f" The first {len(shown)} of {len(drawn)} runs." if len(shown) < len(drawn) else None,
        class_="caption",
    )
    return el("section", el("h3", "Learning curves"), caption, el("div", panels, class_="multiples"))


def _curve_panel(
    row: dict[str, Any],
    train: list[tuple[int, float]],
    validation: list[tuple[int, float]],
    x: Axis,
    y: Axis,
) -> Markup:
    parts: list[Markup] = []
    for tick in y.ticks:
        parts.append(el("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(
            el("text", y.text(tick), x=x.start - 5, y=y(tick) + 3.5, text_anchor="end", class_="tick")
        )
    for tick in x.ticks:
        parts.append(el("text", format_count(tick), x=x(tick), y=133, text_anchor="middle", class_="tick"))
    if train:
        parts.append(el("path", d=path_data((x(s), y(v)) for s, v in train), class_="line train"))
    if validation:
        parts.append(el("path", d=path_data((x(s), y(v)) for s, v in validation), class_="line test"))
        parts += [el("circle", cx=x(s), cy=y(v), r=2.4, class_="dot test") for s, v in validation]
        step, value = min(validation, key=lambda point: (point[1], point[0]))
        parts.append(el("circle", cx=x(step), cy=y(value), r=5.5, class_="ring"))
    label = f"loss over steps of {plain_text(row['run'])}"
    figure = f"{format_figure(row['headline'], headline_of(row, 'validation')[0])} validation"
    return el(
        "figure",
        el("figcaption", isolated(row["run"]), el("small", figure)),
        el("svg", parts, viewBox="0 0 240 140", role="img", aria_label=label),
    )
