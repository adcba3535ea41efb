"""The leaderboard as a document: one self-contained HTML file, and Markdown for a pull request comment.

The HTML needs no network and no script, follows the reader's light or dark setting, folds its tables into cards on
a phone and prints. Every text from outside goes through one function that escapes it: names of runs and classes
come from files that others wrote. Both documents are pure functions of their arguments.
"""

from __future__ import annotations

import html
import math
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from bert_assets.stages import metrics
from bert_assets.stages.plots import curve, smoothed

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
MAX_CURVES = 24
MAX_CONFUSION_CLASSES = 12
MAX_LISTED_CLASSES = 30

_CHOSEN = (
    "Runs are ranked by their validation figure and reported on test, so that choosing does not flatter."
)
_INTERVALS = (
    "Intervals are 95% bootstrap intervals (BCa) over the rows of the split. They say how far a figure could move on "
    "other rows like these, not how far it would move with another seed: two runs whose intervals overlap are not "
    "shown to differ, and two that do not overlap may still differ by the luck of a seed."
)
_STALE = (
    "These runs were trained and measured on an earlier snapshot of the dataset. Their figures are over other rows, "
    "so they are not ranked and do not compare with those above. Running one again trains it on the current snapshot."
)
_NO_TEST = (
    "The test split has no labels, so the only figure is the validation figure that the run was chosen by, "
    "which flatters it."
)


def render_html(
    table: pa.Table, details: dict[str, dict[str, Any]], *, title: str, generated: str | None
) -> str:
    """The report as one HTML document.

    `table` is a leaderboard (`leaderboard.build`). `details` holds, by run name and as far as known, `metrics` (the
    output of `metrics.evaluate`), `progress` (the entries of `progress.jsonl`) and `recipe` (a JSON-able dict); a
    section without its input is left out. `generated` is shown as it is, for example a date; null leaves it out.
    """
    groups = _by_dataset(table)
    runs = table.num_rows
    stale = sum(row["stale"] for rows in groups.values() for row in rows)
    counted = [_plural(len(groups), "dataset"), _plural(runs, "run")] + ([f"{stale} stale"] if stale else [])
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
    body.append(el("footer", el("h2", "How to read this"), el("p", _CHOSEN), el("p", _INTERVALS)))
    head = [
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        # Nothing can be loaded or run from this page, whatever a name in it contains.
        Markup(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        ),
        el("title", title),
        Markup(f"<style>{_CSS}</style>"),
    ]
    return f'<!doctype html>\n<html lang="en">\n{el("head", head)}\n{el("body", el("main", body))}\n</html>\n'


def render_markdown(
    table: pa.Table, details: dict[str, dict[str, Any]], *, title: str, generated: str | None
) -> str:
    """The same in GitHub's Markdown: best run, table, stale runs and commands, for a pull request comment."""
    lines = [f"# {_md(title)}", ""]
    if generated:
        lines += [f"*{_md(generated)}*", ""]
    groups = _by_dataset(table)
    for name, rows in groups.items():
        current, stale = _parted(rows)
        lines += [f"## {_md(name)}", ""]
        if best := _best(current):
            split, metric, value, interval = _reported(best)
            figure = f"{split} {_label(metric)} **{_figure(metric, value)}**"
            if interval:
                figure += f" (95% interval {_interval(metric, *interval)})"
            lines += [f"**Best run: {_md(best['run'])}**, {figure}, {_chosen_among(best, current)}.", ""]
            notes = _caveats(best, current, details)
            lines += [line for note in notes for line in (_md(note), "")]
        for heading, part in (("", current), ("On an earlier snapshot", stale)):
            if not part:
                continue
            if heading:
                lines += [f"### {heading}", "", _STALE, ""]
            lines += [*_markdown_table(part), ""]
        lines += ["Reproduce:", "", "```sh", *(_command(row["run"]) for row in rows), "```", ""]
    if not groups:
        lines += ["No run has been evaluated yet: `bert-assets run NAME` trains and evaluates one.", ""]
    return "\n".join([*lines, f"{_CHOSEN} {_INTERVALS}", ""])


# --- what the rows say, for both documents ----------------------------------------------------------------------


def _by_dataset(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault(row["dataset"], []).append(row)
    return groups


def _parted(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [row for row in rows if not row["stale"]], [row for row in rows if row["stale"]]


def _best(current: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((row for row in current if row["rank"] == 1), None)


def _headline(row: dict[str, Any], split: str) -> tuple[float | None, tuple[float, float] | None]:
    name = f"{split}_{row['headline']}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return row[name], None if low is None or high is None else (low, high)


def _reported(row: dict[str, Any]) -> tuple[str, str, float | None, tuple[float, float] | None]:
    """Split, metric, value and interval of the figure that speaks for a run: test, or validation without it."""
    split = "test" if row["test_labelled"] else "validation"
    return split, row["headline"], *_headline(row, split)


def _chosen_among(best: dict[str, Any], current: list[dict[str, Any]]) -> str:
    value = (
        f"validation {_label(best['headline'])} {_figure(best['headline'], _headline(best, 'validation')[0])}"
    )
    return f"chosen among {len(current)} runs by {value}" if len(current) > 1 else f"the only run, {value}"


def _caveats(
    best: dict[str, Any], current: list[dict[str, Any]], details: dict[str, dict[str, Any]]
) -> list[str]:
    notes = []
    if not best["test_labelled"]:
        notes.append(_NO_TEST)
    _, own = _headline(best, "validation")
    others = [_headline(row, "validation")[1] for row in current if row is not best]
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
    figures = _figures_of(best, details)
    classes = figures.get("per_class") or []
    if classes and figures["labelled"]:
        largest = max(classes, key=lambda c: c["support"])
        share = largest["support"] / figures["labelled"]
        notes.append(
            f"Always answering “{_undirected(largest['class'])}” would score {_figure('accuracy', share)}."
        )
    return notes


def _figures_of(row: dict[str, Any], details: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The full metrics of the split that speaks for this run, or {}."""
    return ((details.get(row["run"]) or {}).get("metrics") or {}).get(_reported(row)[0]) or {}


def _undirected(value: Any) -> str:
    """Plain text without direction controls, for running text, where nothing isolates what they would reorder."""
    return re.sub("[\\u202a-\\u202e\\u2066-\\u2069]", "\N{REPLACEMENT CHARACTER}", _plain(value))


def _command(run: str) -> str:
    return f"bert-assets run {shlex.quote(_plain(run))}"


def _label(metric: str) -> str:
    names = {
        "macro_f1": "macro\N{NO-BREAK SPACE}F1", "weighted_f1": "weighted F1", "mcc": "MCC", "log_loss": "log loss",
        "auroc": "AUROC", "ece": "ECE", "mse": "MSE", "mae": "MAE", "pearson": "Pearson's\N{NO-BREAK SPACE}r",
        "spearman": "Spearman's\N{NO-BREAK SPACE}rho",
    }  # fmt: skip
    return names.get(metric, metric.replace("_", " "))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return DASH
    return f"{_number(100 * value, 1)}%" if metric == "accuracy" else _number(value, 3)


def _interval(metric: str, low: float, high: float) -> str:
    scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
    return f"[{_number(scale * low, digits)}, {_number(scale * high, digits)}]"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _setting(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 40 and all(c in "0123456789abcdef" for c in value)


def _flattened(recipe: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(recipe, dict):
        return {prefix: recipe}
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        flat |= _flattened(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


# --- HTML -------------------------------------------------------------------------------------------------------


class Markup(str):
    """Text that is HTML already; only `el` and this module's constants make it."""


def el(tag: str, *children: Any, **attributes: Any) -> Markup:
    """An HTML or SVG element. Children and attribute values are escaped unless they are Markup; null ones left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(_plain(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{written}>{''.join(_children(children))}</{tag}>")


def _children(children: Iterable[Any]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, (list, tuple)):
            yield from _children(child)
        elif child is not None:
            yield html.escape(_plain(child))


def _plain(value: Any) -> str:
    """Text without what HTML cannot hold: control characters and lone surrogates become U+FFFD, line breaks spaces."""
    text = " ".join(str(value).splitlines())
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if (c < " " and c != "\t") or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"
        else c
        for c in text
    )


def _name(value: Any) -> Markup:
    # bdi keeps a name's writing direction, and any override in it, from reordering the text around it.
    return el("bdi", value)


def _hash(value: Any) -> Markup | str:
    return el("code", str(value)[:12], title=value) if value else DASH


def _dataset_section(name: str, rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup:
    current, stale = _parted(rows)
    parts: list[Any] = [el("h2", _name(name))]
    axis = _common_axis([*current, *stale])
    best = _best(current)
    if best:
        parts.append(_lead(best, current, details))
    if current:
        parts += [el("h3", "Runs"), _runs_table(current, axis)]
    elif stale:
        parts.append(el("p", "No run has been evaluated on the current snapshot.", class_="note"))
    if stale:
        heading = el("h3", "On an earlier snapshot")
        parts.append(
            el("section", heading, el("p", _STALE, class_="note"), _runs_table(stale, axis), class_="stale")
        )
    parts.append(_curves([*current, *stale], details))
    if best and (figures := _figures_of(best, details)):
        parts.append(_best_run_figures(best, figures))
    parts += [_settings([*current, *stale], details), _reproduce([*current, *stale])]
    return el("section", parts, class_="dataset")


def _lead(best: dict[str, Any], current: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup:
    split, metric, value, interval = _reported(best)
    chosen = _chosen_among(best, current)
    rows = _count(best[f"{split}_labelled"])
    spread = f"95% interval {_interval(metric, *interval)}, " if interval else ""
    figure = el(
        "div",
        el("span", _figure(metric, value), class_="numeral"),
        el(
            "div",
            el("div", f"{split} {_label(metric)}"),
            el("div", f"{spread}{rows} labelled rows"),
            class_="legend",
        ),
        class_="figure",
    )
    others = [
        (m, best[f"{split}_{m}"]) for m in metrics.METRICS[best["task"]] if m not in (metric, "weighted_f1")
    ]
    facts = [
        *((_label(m), _figure(m, v)) for m, v in others if v is not None),
        ("model", _name(best["model"])),
        ("parameters", _count(best["parameters"])),
        ("trained on", f"{_count(best['train_rows'])} rows, {_count(best['epochs'])} epochs"),
        ("training time", _duration(best["train_seconds"])),
        ("snapshot", _hash(best["snapshot"])),
    ]
    return el(
        "div",
        el("p", "Best run", class_="eyebrow"),
        el("p", _name(best["run"]), class_="best-name"),
        figure,
        el("p", f"{chosen[0].upper()}{chosen[1:]}. ", " ".join(_caveats(best, current, details))),
        el("dl", [el("div", el("dt", term), el("dd", value)) for term, value in facts]),
        class_="lead",
    )


def _common_axis(rows: list[dict[str, Any]]) -> _Axis | None:
    """One scale for the intervals of all runs of a dataset, whose headline is that of its first row."""
    metric = rows[0]["headline"]
    values = [
        value
        for row in rows
        if row["headline"] == metric
        for split in metrics.SPLITS
        for value in _flat(_headline(row, split))
    ]
    if not values:
        return None
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.02
    return _Axis(low - pad, high + pad, 6, 254, ticks=6)


def _runs_table(rows: list[dict[str, Any]], axis: _Axis | None) -> Markup:
    metric = rows[0]["headline"]
    second = "macro_f1" if metric == "accuracy" else "spearman"
    head = el(
        "tr",
        el("th", "Run", scope="col"),
        el("th", f"Validation {_label(metric)}", scope="col", class_="num"),
        el("th", f"Test {_label(metric)}", el("small", "95% interval"), scope="col", class_="num"),
        el("th", _axis_labels(axis, metric), scope="col", class_="chart"),
        el("th", f"Test {_label(second)}", scope="col", class_="num"),
        el("th", "Epochs", scope="col", class_="num"),
        el("th", "Time", scope="col", class_="num"),
    )
    body = []
    for row in rows:
        own = row["headline"]
        (validation, validation_interval), (test, test_interval) = (_headline(row, s) for s in metrics.SPLITS)
        extra = "macro_f1" if own == "accuracy" else "spearman"
        interval = el("small", _interval(own, *test_interval)) if test_interval else None
        comparable = own == metric and axis
        body.append(
            el(
                "tr",
                el(
                    "th",
                    el("span", row["rank"], class_="rank") if row["rank"] else None,
                    _name(row["run"]),
                    el("small", _name(row["model"])),
                    scope="row",
                ),
                el("td", _figure(own, validation), class_="num", data_label=f"Validation {_label(own)}"),
                el("td", _figure(own, test), interval, class_="num strong", data_label=f"Test {_label(own)}"),
                el(
                    "td",
                    _interval_marks(axis, validation, validation_interval, test, test_interval)
                    if comparable
                    else None,
                    class_="chart",
                ),
                el(
                    "td",
                    _figure(extra, row[f"test_{extra}"]),
                    class_="num",
                    data_label=f"Test {_label(extra)}",
                ),
                el("td", _count(row["epochs"]), class_="num", data_label="Epochs"),
                el("td", _duration(row["train_seconds"]), class_="num", data_label="Training time"),
                class_="best" if row["rank"] == 1 else None,
            )
        )
    caption = el(
        "caption",
        el("span", class_="key test"),
        f"test {_label(metric)} ",
        el("span", class_="key validation"),
        f"validation {_label(metric)}, each with its 95% interval",
    )
    return el("table", caption, el("thead", head), el("tbody", body), class_="runs")


def _reproduce(rows: list[dict[str, Any]]) -> Markup:
    head = el("tr", [el("th", text, scope="col") for text in ("Command", "Snapshot", "Model id", "Weights")])
    body = [
        el(
            "tr",
            el("td", el("code", _command(row["run"]), class_="command")),
            el("td", _hash(row["snapshot"]), data_label="Snapshot"),
            el("td", _hash(row["model_id"]), data_label="Model id"),
            el("td", _hash(row["weights_sha256"]), data_label="Weights"),
        )
        for row in rows
    ]
    text = (
        "With the experiments and the data as they were, each command rebuilds its row: on the same snapshot the "
        "recipe gives the same model id, and on equal numerics (versions, device, threads) the same weights, bit "
        "for bit."
    )
    table = el("table", el("thead", head), el("tbody", body), class_="plain")
    return el("section", el("h3", "How to reproduce"), el("p", text), table)


def _settings(rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup | None:
    """What differs between the recipes as a table, what they share as one list."""
    recipes = {
        row["run"]: _flattened((details.get(row["run"]) or {}).get("recipe") or {})
        for row in rows
        if (details.get(row["run"]) or {}).get("recipe")
    }
    if not recipes:
        return None
    missing = object()
    keys = list(dict.fromkeys(key for recipe in recipes.values() for key in recipe))
    shared, varied = {}, []
    for key in keys:
        values = [recipe.get(key, missing) for recipe in recipes.values()]
        if all(value == values[0] for value in values):
            shared[key] = values[0]
        else:
            varied.append(key)

    def shown(value: Any) -> Any:
        return DASH if value is missing else _hash(value) if _is_hash(value) else _name(_setting(value))

    parts: list[Any] = [el("h3", "Settings")]
    if varied:
        head = el("tr", el("th", "Run", scope="col"), [el("th", key, scope="col") for key in varied])
        body = [
            el(
                "tr",
                el("th", _name(run), scope="row"),
                [el("td", shown(recipe.get(key, missing)), data_label=key) for key in varied],
            )
            for run, recipe in recipes.items()
        ]
        parts += [
            el("p", "What differs between the runs:"),
            el("div", el("table", el("thead", head), el("tbody", body), class_="plain"), class_="scroll"),
        ]
    if shared:
        parts += [
            el("p", "What they share:" if len(recipes) > 1 else "The recipe:"),
            el("dl", [el("div", el("dt", key), el("dd", shown(value))) for key, value in shared.items()]),
        ]
    return el("section", parts)


def _best_run_figures(best: dict[str, Any], figures: dict[str, Any]) -> Markup | None:
    split = _reported(best)[0]
    panels: list[Markup | None] = []
    if classes := figures.get("per_class"):
        panels.append(_class_table(classes, split, figures["labelled"]))
        panels.append(_confusion([c["class"] for c in classes], figures["confusion"], split))
    if figures.get("calibration"):
        panels.append(_reliability(figures["calibration"], figures["metrics"].get("ece"), split))
    if figures.get("residuals"):
        panels.append(_residuals(figures["residuals"], split))
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
                el("th", _name(row["class"]), scope="row"),
                el("td", bar, _figure("accuracy", share), class_="num share"),
                [el("td", _figure("f1", row[key]), class_="num") for key in ("precision", "recall", "f1")],
                el("td", _count(row["support"]), class_="num"),
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
            el("li", _name(names[i]), " taken for ", _name(names[j]), f": {_plural(n, 'row')}")
            for n, i, j in pairs
        ]
        caption = el("figcaption", f"Most frequent confusions on {split}")
        return el("figure", caption, el("ol", items) if items else el("p", "None."))
    head = el(
        "tr", el("th", "true \\ predicted", scope="col"), [el("th", _name(n), scope="col") for n in names]
    )
    body = []
    for name, counts in zip(names, confusion, strict=True):
        total = sum(counts)
        cells = []
        for count in counts:
            share = count / total if total else 0.0
            style = f"--share:{100 * share:.0f}%"
            cells.append(el("td", _count(count), class_="cell deep" if share > 0.55 else "cell", style=style))
        body.append(el("tr", el("th", _name(name), scope="row"), cells))
    table = el("table", el("thead", head), el("tbody", body), class_="matrix confusion")
    caption = el("figcaption", f"Confusion on {split}: rows are true classes, shaded by their share")
    wide = "wide" if len(names) > 4 else None
    return el("figure", caption, el("div", table, class_="scroll"), class_=wide)


# --- drawings ---------------------------------------------------------------------------------------------------


class _Axis:
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
        return _number(value * scale + 0.0, digits)


def _flat(figure: tuple[float | None, tuple[float, float] | None]) -> list[float]:
    value, interval = figure
    return [v for v in (value, *(interval or ())) if v is not None]


def _axis_labels(axis: _Axis | None, metric: str) -> Markup | None:
    if not axis:
        return None
    scale = 100 if metric == "accuracy" else 1
    marks = [
        el("text", axis.text(tick, scale), x=axis(tick), y=13, text_anchor="middle", class_="tick")
        for tick in axis.ticks
    ]
    lines = [el("line", x1=axis(tick), x2=axis(tick), y1=17, y2=20, class_="rule") for tick in axis.ticks]
    return el("svg", marks, lines, viewBox="0 0 260 20", aria_hidden="true")


def _interval_marks(
    axis: _Axis | None,
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


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


def _curves(rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup | None:
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
    x = _Axis(0, max(last_step, 1), 34, 232, ticks=4)
    y = _Axis(min(0.0, *values), max(*values, 1e-9) * 1.04, 118, 8, ticks=5)
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
    x: _Axis,
    y: _Axis,
) -> Markup:
    parts: list[Markup] = []
    for tick in y.ticks:
        parts.append(el("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(
            el("text", y.text(tick), x=x.start - 5, y=y(tick) + 3.5, text_anchor="end", class_="tick")
        )
    for tick in x.ticks:
        parts.append(el("text", _count(tick), x=x(tick), y=133, text_anchor="middle", class_="tick"))
    if train:
        parts.append(el("path", d=_path((x(s), y(v)) for s, v in train), class_="line train"))
    if validation:
        parts.append(el("path", d=_path((x(s), y(v)) for s, v in validation), class_="line test"))
        parts += [el("circle", cx=x(s), cy=y(v), r=2.4, class_="dot test") for s, v in validation]
        step, value = min(validation, key=lambda point: (point[1], point[0]))
        parts.append(el("circle", cx=x(step), cy=y(value), r=5.5, class_="ring"))
    label = f"loss over steps of {_plain(row['run'])}"
    figure = f"{_figure(row['headline'], _headline(row, 'validation')[0])} validation"
    return el(
        "figure",
        el("figcaption", _name(row["run"]), el("small", figure)),
        el("svg", parts, viewBox="0 0 240 140", role="img", aria_label=label),
    )


def _reliability(bins: list[dict[str, Any]], error: float | None, split: str) -> Markup:
    filled = [b for b in bins if b["rows"]]
    most = max(b["rows"] for b in filled)
    x, y = _Axis(0, 1, 34, 232), _Axis(0, 1, 170, 8)
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
        el("path", d=_path((x(b["confidence"]), y(b["accuracy"])) for b in filled), class_="line test")
    )
    parts += [
        el("circle", cx=x(b["confidence"]), cy=y(b["accuracy"]), r=2.8, class_="dot test") for b in filled
    ]
    caption = f"Calibration on {split}: accuracy over confidence, rows per bin below"
    small = el("small", f"ECE {_figure('ece', error)}")
    label = "accuracy against confidence"
    return el(
        "figure",
        el("figcaption", caption, small),
        el("svg", parts, viewBox="0 0 240 236", role="img", aria_label=label, class_="narrow"),
    )


def _residuals(histogram: dict[str, Any], split: str) -> Markup:
    edges, counts = histogram["edges"], histogram["counts"]
    x, y = _Axis(edges[0], edges[-1], 10, 310, ticks=5), _Axis(0, max(counts), 130, 8)
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


_CSS = """
:root {
  --paper: #fdfcfa; --ink: #1d1c1a; --muted: #66625b; --rule: #d9d5cd; --soft: #f3f0ea; --grid: #e9e5de;
  --accent: #00609b; --fill: #0072b2; --second: #8a857c; --warn: #a84300;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", "Noto Serif", Georgia, "DejaVu Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #e6e3dd; --muted: #a09b92; --rule: #3a3d42; --soft: #1e2125; --grid: #2b2e33;
    --accent: #6cbcf0; --fill: #3f9fdc; --second: #8d8a84; --warn: #f0975c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 var(--serif); }
main { max-width: 66rem; margin: 0 auto; padding: 3.5rem 1.5rem 4rem; }
h1, h2, h3 { font-weight: 600; line-height: 1.2; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 2.4rem; margin: 0; letter-spacing: -0.015em; }
h2 { font-size: 1.65rem; margin: 0 0 1.25rem; padding-top: 0.9rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.15rem; margin: 2.75rem 0 0.5rem; }
p { margin: 0 0 0.8rem; max-width: 44rem; }
small { display: block; font-size: 0.8em; font-weight: 400; color: var(--muted); }
code { font-family: var(--mono); font-size: 0.86em; }
.dateline { font: 0.9rem/1.4 var(--sans); color: var(--muted); margin: 0.6rem 0 0; }
.dataset { margin-top: 3.25rem; }
.lead { background: var(--soft); border-radius: 6px; padding: 1.4rem 1.6rem 1.1rem; }
.eyebrow { font: 600 0.75rem/1 var(--sans); letter-spacing: 0.09em; text-transform: uppercase; color: var(--muted); margin: 0 0 0.5rem; }
.best-name { font: 600 1.15rem/1.3 var(--mono); margin: 0 0 0.4rem; overflow-wrap: anywhere; }
.figure { display: flex; flex-wrap: wrap; align-items: center; gap: 0.2rem 1.1rem; margin: 0 0 0.8rem; }
.numeral { font-size: 3.6rem; line-height: 1.1; letter-spacing: -0.02em; color: var(--accent); font-variant-numeric: lining-nums; }
.legend { font: 0.92rem/1.45 var(--sans); color: var(--muted); font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: 0.6rem 1.4rem; margin: 1rem 0 0.4rem; font-family: var(--sans); }
dl div { border-top: 1px solid var(--rule); padding-top: 0.3rem; min-width: 0; }
dt { font-size: 0.75rem; color: var(--muted); overflow-wrap: anywhere; }
dd { margin: 0; font-size: 0.92rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font: 0.9rem/1.35 var(--sans); font-variant-numeric: tabular-nums lining-nums; }
caption { text-align: left; font-size: 0.82rem; color: var(--muted); padding: 0 0 0.6rem; }
.caption { font: 0.82rem/1.4 var(--sans); color: var(--muted); }
th, td { padding: 0.45rem 0.7rem; text-align: left; vertical-align: middle; border-bottom: 1px solid var(--rule); overflow-wrap: anywhere; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-weight: 500; font-size: 0.8rem; color: var(--muted); vertical-align: bottom; border-bottom: 1px solid var(--ink); overflow-wrap: normal; }
tbody th { font-weight: 500; }
.num { text-align: right; white-space: nowrap; }
thead .num { white-space: normal; }
.strong { font-weight: 600; }
.best th, .best td { background: color-mix(in srgb, var(--fill) 7%, transparent); }
.runs tbody th { position: relative; padding-left: 2rem; min-width: 9rem; }
.runs thead th:first-child { padding-left: 2rem; }
.runs th:last-child, .runs td:last-child { padding-right: 0.6rem; }
.rank { position: absolute; left: 0.6rem; color: var(--muted); font-weight: 400; }
.chart { width: 17rem; padding-top: 0; padding-bottom: 0; }
td.chart { height: 2.4rem; }
svg { display: block; width: 100%; height: auto; }
.tick { font: 10px var(--sans); fill: var(--muted); }
.rule { stroke: var(--rule); }
.grid { stroke: var(--grid); stroke-width: 1; }
.ideal { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 3; }
.range { stroke-linecap: round; }
.range.test { stroke: var(--fill); stroke-width: 3; opacity: 0.55; }
.range.validation { stroke: var(--second); stroke-width: 1.5; opacity: 0.8; }
.dot.test { fill: var(--fill); }
.dot.validation { fill: var(--paper); stroke: var(--second); stroke-width: 1.5; }
.line { fill: none; stroke-linejoin: round; stroke-width: 1.6; }
.line.train { stroke: var(--second); }
.line.test { stroke: var(--fill); }
.ring { fill: none; stroke: var(--fill); stroke-width: 1.2; }
.column { fill: var(--fill); opacity: 0.45; }
.column.solid { opacity: 0.8; }
.key { display: inline-block; width: 1.1rem; height: 0; margin: 0 0.4rem 0.25rem 0; border-top: 3px solid var(--fill); border-radius: 2px; }
* + .key { margin-left: 0.7rem; }
.key.validation, .key.train { border-top: 2px solid var(--second); }
.stale { margin-top: 2.75rem; padding-left: 1.2rem; border-left: 3px solid var(--warn); }
.stale h3 { margin-top: 0; color: var(--warn); }
.note { color: var(--muted); }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(14.5rem, 1fr)); gap: 1.4rem 1.6rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 2rem 2.5rem; align-items: start; margin-top: 1rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font: 500 0.85rem/1.35 var(--sans); margin-bottom: 0.5rem; overflow-wrap: anywhere; }
.wide { grid-column: 1 / -1; }
.multiples svg { max-width: 21rem; }
svg.narrow { max-width: 24rem; }
.scroll { overflow-x: auto; }
.scroll + p { margin-top: 1.5rem; }
.matrix { font-size: 0.85rem; }
.matrix th { overflow-wrap: normal; }
.share { position: relative; min-width: 6rem; z-index: 0; }
.bar { position: absolute; z-index: -1; right: 0; top: 20%; bottom: 20%; background: color-mix(in srgb, var(--fill) 28%, transparent); border-radius: 2px; }
.confusion td { text-align: center; border: 2px solid var(--paper); padding: 0.55rem; }
.confusion th { border: 0; }
.confusion thead th { text-align: center; }
.cell { background: color-mix(in srgb, var(--fill) var(--share), var(--soft)); }
.cell.deep { color: #fff; font-weight: 600; }
.command { white-space: nowrap; }
ol { font: 0.9rem/1.5 var(--sans); padding-left: 1.6rem; }
footer { margin-top: 4rem; font-size: 0.95rem; color: var(--muted); }
footer h2 { font-size: 1.1rem; color: var(--ink); border-top-width: 1px; margin-bottom: 0.6rem; }
@media (max-width: 46rem) {
  body { font-size: 1rem; }
  main { padding: 1.75rem 1rem 3rem; }
  h1 { font-size: 1.8rem; }
  .lead { padding: 1.1rem 1rem 0.8rem; }
  dl { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
  .panels { grid-template-columns: minmax(0, 1fr); }
  .multiples { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem; }
  .runs, .plain, .runs caption, .runs tbody, .plain tbody, .runs tr, .plain tr, .runs tbody th, .plain tbody th, .runs td, .plain td { display: block; width: auto; }
  .runs thead, .plain thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .runs tr, .plain tr { border-bottom: 1px solid var(--rule); padding: 0.7rem 0; }
  .runs tbody th, .plain tbody th, .runs td, .plain td { border: 0; padding: 0.12rem 0.5rem; text-align: left; height: auto; }
  .runs tbody th { padding-left: 2rem; font-weight: 600; }
  .runs td[data-label], .plain td[data-label] { display: flex; justify-content: space-between; gap: 1rem; }
  td[data-label]::before { content: attr(data-label); color: var(--muted); font-weight: 400; }
  td[data-label] small { display: inline; order: -1; margin-left: auto; font-size: 0.85em; }
  td[data-label]::before { order: -2; }
  .best { background: color-mix(in srgb, var(--fill) 7%, transparent); }
  .best th, .best td { background: none; }
  .command { white-space: normal; }
  .stale { padding-left: 0.8rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --muted: #555; --rule: #bbb; --soft: #f4f4f4; --grid: #e4e4e4; --accent: #00609b; --fill: #0072b2; --second: #777; --warn: #a84300; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { margin: 16mm; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2, h3, figcaption, .caption { break-after: avoid; }
  tr, .lead, figure { break-inside: avoid; }
}
"""


# --- Markdown ---------------------------------------------------------------------------------------------------


def _md(value: Any) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no links, no mentions, no table cells."""
    text = _undirected(value)
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
        test, interval = _headline(row, "test")
        cells = [
            *([str(row["rank"] or DASH)] if ranked else []),
            _md(row["run"]),
            _label(metric),
            _figure(metric, _headline(row, "validation")[0]),
            _figure(metric, test),
            _interval(metric, *interval).replace("[", "\\[").replace("]", "\\]") if interval else DASH,
            _count(row["epochs"]),
            _duration(row["train_seconds"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
