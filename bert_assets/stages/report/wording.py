"""How the report writes things: figures, times, names of metrics, and text that others wrote."""

from __future__ import annotations

import re
import shlex
from typing import Any

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


HOW_CHOSEN = (
    "Runs are ranked by their validation figure and reported on test, so that choosing does not flatter."
)


WHAT_INTERVALS_SAY = (
    "Intervals are 95% bootstrap intervals (BCa) over the rows of the split. They say how far a figure could move on "
    "other rows like these, not how far it would move with another seed: two runs whose intervals overlap are not "
    "shown to differ, and two that do not overlap may still differ by the luck of a seed."
)


STALE_NOTE = (
    "These runs were trained and measured on an earlier snapshot of the dataset. Their figures are over other rows, "
    "so they are not ranked and do not compare with those above. Running one again trains it on the current snapshot."
)


NO_TEST_NOTE = (
    "The test split has no labels, so the only figure is the validation figure that the run was chosen by, "
    "which flatters it."
)


def metric_label(metric: str) -> str:
    names = {
        "f1": "F1", "macro_f1": "macro\N{NO-BREAK SPACE}F1", "weighted_f1": "weighted F1", "mcc": "MCC", "log_loss": "log loss",
        "auroc": "AUROC", "ece": "ECE", "mse": "MSE", "mae": "MAE", "pearson": "Pearson's\N{NO-BREAK SPACE}r",
        "spearman": "Spearman's\N{NO-BREAK SPACE}rho",
    }  # fmt: skip
    return names.get(metric, metric.replace("_", " "))


def format_number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def format_figure(metric: str, value: float | None) -> str:
    if value is None:
        return DASH
    return f"{format_number(100 * value, 1)}%" if metric == "accuracy" else format_number(value, 3)


def format_interval(metric: str, low: float, high: float) -> str:
    scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
    return f"[{format_number(scale * low, digits)}, {format_number(scale * high, digits)}]"


def format_duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def format_count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_setting(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 40 and all(c in "0123456789abcdef" for c in value)


def plain_text(value: Any) -> str:
    """Text without what HTML cannot hold: control characters and lone surrogates become U+FFFD, line breaks spaces."""
    text = " ".join(str(value).splitlines())
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if (c < " " and c != "\t") or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"
        else c
        for c in text
    )


def undirected_text(value: Any) -> str:
    """Plain text without direction controls, for running text, where nothing isolates what they would reorder."""
    return re.sub("[\\u202a-\\u202e\\u2066-\\u2069]", "\N{REPLACEMENT CHARACTER}", plain_text(value))


def rebuild_command(run: str) -> str:
    return f"bert-assets run {shlex.quote(plain_text(run))}"
