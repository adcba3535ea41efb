"""Drawings as inline SVG, in the colours of the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from bert_assets.stages.report.elements import Markup, el
from bert_assets.stages.report.wording import format_figure, format_number


class Axis:
    """A linear scale with round ticks."""

    def __init__(self, low: float, high: float, start: float, end: float, ticks: int = 4) -> None:
        if not high > low:
            low, high = low - 0.5, high + 0.5
        step = 10 ** math.floor(math.log10((high - low) / ticks))
        step *= next(f for f in (1, 2, 5, 10) if f * step * ticks >= (high - low) * 0.999)
        self.low, self.high, self.start, self.end, self.step = low, high, start, end, step
        first = math.ceil(low / step - 1e-9)
        self.ticks = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def text(self, value: float, scale: float = 1) -> str:
        digits = max(0, -math.floor(math.log10(self.step * scale) + 1e-9))
        return format_number(value * scale + 0.0, digits)


def flat(figure: tuple[float | None, tuple[float, float] | None]) -> list[float]:
    value, interval = figure
    return [v for v in (value, *(interval or ())) if v is not None]


def axis_labels(axis: Axis | None, metric: str) -> Markup | None:
    if not axis:
        return None
    scale = 100 if metric == "accuracy" else 1
    marks = [
        el("text", axis.text(tick, scale), x=axis(tick), y=13, text_anchor="middle", class_="tick")
        for tick in axis.ticks
    ]
    lines = [el("line", x1=axis(tick), x2=axis(tick), y1=17, y2=20, class_="rule") for tick in axis.ticks]
    return el("svg", marks, lines, viewBox="0 0 260 20", aria_hidden="true")


def interval_marks(
    axis: Axis | None,
    validation: float | None,
    validation_interval: tuple[float, float] | None,
    test: float | None,
    test_interval: tuple[float, float] | None,
) -> Markup | None:
    if not axis:
        return None
    drawn: list[Markup] = [
        el("line", x1=axis(tick), x2=axis(tick), y1=0, y2=30, class_="grid") for tick in axis.ticks
    ]
    for kind, y, value, interval in (
        ("test", 11, test, test_interval),
        ("validation", 21, validation, validation_interval),
    ):
        if interval:
            drawn.append(
                el("line", x1=axis(interval[0]), x2=axis(interval[1]), y1=y, y2=y, class_=f"range {kind}")
            )
        if value is not None:
            drawn.append(
                el("circle", cx=axis(value), cy=y, r=4 if kind == "test" else 3, class_=f"dot {kind}")
            )
    return el(
        "svg", drawn, viewBox="0 0 260 30", role="img", aria_label="intervals, as in the figures beside"
    )


def path_data(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


def reliability(bins: list[dict[str, Any]], error: float | None, split: str) -> Markup:
    filled = [b for b in bins if b["rows"]]
    most = max(b["rows"] for b in filled)
    x, y = Axis(0, 1, 34, 232), Axis(0, 1, 170, 8)
    parts = [el("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="ideal")]
    for tick in (0, 0.5, 1):
        parts.append(
            el("text", f"{tick:g}", x=x.start - 5, y=y(tick) + 3.5, text_anchor="end", class_="tick")
        )
        parts.append(el("text", f"{tick:g}", x=x(tick), y=230, text_anchor="middle", class_="tick"))
        parts.append(el("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
    for b in filled:
        height = round(36 * b["rows"] / most, 2)
        width = round(x(b["high"]) - x(b["low"]) - 1, 2)
        parts.append(
            el("rect", x=x(b["low"]) + 0.5, y=216 - height, width=width, height=height, class_="column")
        )
    parts.append(
        el("path", d=path_data((x(b["confidence"]), y(b["accuracy"])) for b in filled), class_="line test")
    )
    parts += [
        el("circle", cx=x(b["confidence"]), cy=y(b["accuracy"]), r=2.8, class_="dot test") for b in filled
    ]
    caption = f"Calibration on {split}: accuracy over confidence, rows per bin below"
    small = el("small", f"ECE {format_figure('ece', error)}")
    label = "accuracy against confidence"
    return el(
        "figure",
        el("figcaption", caption, small),
        el("svg", parts, viewBox="0 0 240 236", role="img", aria_label=label, class_="narrow"),
    )


def residuals(histogram: dict[str, Any], split: str) -> Markup:
    edges, counts = histogram["edges"], histogram["counts"]
    x, y = Axis(edges[0], edges[-1], 10, 310, ticks=5), Axis(0, max(counts), 130, 8)
    parts = [
        el(
            "rect",
            x=x(low) + 0.5,
            y=y(count),
            width=round(max(0.5, x(high) - x(low) - 1), 2),
            height=round(130 - y(count), 2),
            class_="column solid",
        )
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    parts += [
        el("text", x.text(tick), x=x(tick), y=146, text_anchor="middle", class_="tick") for tick in x.ticks
    ]
    if edges[0] <= 0 <= edges[-1]:
        parts.append(el("line", x1=x(0), x2=x(0), y1=4, y2=130, class_="ideal"))
    caption = f"Residuals on {split}: prediction minus target"
    return el(
        "figure",
        el("figcaption", caption),
        el("svg", parts, viewBox="0 0 320 152", role="img", aria_label=caption, class_="narrow"),
    )
