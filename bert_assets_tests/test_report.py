from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bert_assets.stages import leaderboard, metrics, report

HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.example/x.png onerror=x> \"'&`|*_\u202e\u200b\x00\n](x)"
)


def evaluated(task: str, accuracy: float = 0.8, names=("no", "yes"), test_labels: bool = True):
    rng = np.random.default_rng(0)
    tables = []
    for split in ("validation", "test"):
        if task == "classification":
            label = rng.integers(0, len(names), 120)
            prediction = np.where(rng.random(120) < accuracy, label, (label + 1) % len(names))
            p = np.full((120, len(names)), 0.2 / (len(names) - 1))
            p[np.arange(120), prediction] = 0.8
            columns = {"label": label, "prediction": prediction, "probabilities": list(p)}
        else:
            label = rng.normal(0, 1, 120)
            columns = {"label": label, "prediction": label + rng.normal(0, 1, 120)}
        if split == "test" and not test_labels:
            columns["label"] = pa.nulls(120, pa.int64() if task == "classification" else pa.float64())
        tables.append(pa.table({"split": [split] * 120, **columns}))
    class_names = names if task == "classification" else None
    return metrics.evaluate(pa.concat_tables(tables), task=task, class_names=class_names, resamples=200)


def row(run: str, figures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "dataset": "reviews", "run": run, "configuration": "tiny", "seed": 1, "model": "scratch/tiny",
        "model_id": "a1" * 32, "weights_sha256": "b2" * 32, "snapshot": "c3" * 32, "current_snapshot": "c3" * 32,
        "task": "classification", "metrics": figures,
        "training": {"epochs": 3, "steps": 90, "train_seconds": 75.0, "parameters": 4_386_178, "train_rows": 900},
    } | changes  # fmt: skip


def progress() -> list[dict[str, Any]]:
    train = [
        {"event": "train", "step": s, "epoch": 1, "loss": 1 / s, "learning_rate": 0.1} for s in range(1, 50)
    ]
    return [*train, {"event": "evaluation", "step": 49, "epoch": 1, "validation_loss": 0.4}]


@pytest.fixture(scope="module")
def example() -> tuple[pa.Table, dict[str, Any]]:
    good, weak = evaluated("classification", 0.85), evaluated("classification", 0.6)
    scores = evaluated("regression")
    table = leaderboard.build(
        [
            row("tiny-lr3e-4", good),
            row("tiny-lr1e-3", weak),
            row("tiny-before", good, snapshot="d4" * 32),
            row("scores", scores, dataset="similarity", task="regression"),
        ]
    )
    details = {
        "tiny-lr3e-4": {"metrics": good, "progress": progress(), "recipe": {"lr": 3e-4, "max_length": 64}},
        "tiny-lr1e-3": {"metrics": weak, "progress": progress(), "recipe": {"lr": 1e-3, "max_length": 64}},
        "scores": {"metrics": scores},
    }
    return table, details


@pytest.fixture(scope="module")
def page(example) -> str:
    return report.render_html(*example, title="Leaderboard", generated="12 March")


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_is_well_formed_and_needs_neither_network_nor_script(page):
    parsed = Page(page)
    assert not parsed.tags & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page and "prefers-color-scheme: dark" in page and "@media print" in page


def test_the_best_run_comes_first_with_its_test_figure_and_interval(page, example):
    best = example[0].to_pylist()[0]
    text = Page(page).text
    low, high = 100 * best["test_accuracy_low"], 100 * best["test_accuracy_high"]
    assert text.index(f"{100 * best['test_accuracy']:.1f}%") < text.index("Runs ")
    assert f"95% interval [{low:.1f}, {high:.1f}], 120 labelled rows" in text
    assert "Chosen among 2 runs by validation accuracy" in text
    assert "Always answering" in text


def test_stale_runs_stand_apart_with_an_explanation_and_without_a_rank(page):
    text = Page(page).text
    assert text.index("tiny-lr1e-3") < text.index("On an earlier snapshot") < text.index("tiny-before")
    assert "not ranked and do not compare" in text
    assert "1 stale" in text


def test_the_page_shows_curves_settings_classes_residuals_and_commands(page):
    text = Page(page).text
    for part in ("Learning curves", "What differs", "max_length", "Confusion on test", "Residuals on test"):
        assert part in text
    for run in ("tiny-lr3e-4", "tiny-lr1e-3", "tiny-before", "scores"):
        assert f"bert-assets run {run}" in text
    assert text.count("max_length") == 1  # shared by both, so said once


def test_equal_inputs_give_equal_documents(example, page):
    assert page == report.render_html(*example, title="Leaderboard", generated="12 March")


def test_without_a_date_nothing_stands_in_its_place(example):
    assert "None" not in report.render_html(*example, title="t", generated=None)
    assert "None" not in report.render_markdown(*example, title="t", generated=None)


def hostile() -> tuple[pa.Table, dict[str, Any]]:
    figures = evaluated("classification", names=(HOSTILE, "b", "c"))
    table = leaderboard.build(
        [row(HOSTILE, figures, dataset=HOSTILE, model=HOSTILE), row("x", figures, dataset=HOSTILE)]
    )
    recipe = {HOSTILE: HOSTILE, "nested": {"key": [HOSTILE]}}
    details = {"metrics": figures, "progress": progress(), "recipe": recipe}
    return table, {HOSTILE: details, "x": details | {"recipe": {"other": 1}}}


def test_hostile_text_is_shown_as_text_in_html():
    document = report.render_html(*hostile(), title=HOSTILE, generated=HOSTILE)
    parsed = Page(document)  # well-formed, so nothing broke out of its place
    assert not parsed.tags & {"script", "img"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "<script" not in document and "\x00" not in document
    assert html.escape("<script>alert(1)</script>") in document
    document.encode()


def test_hostile_text_is_shown_as_text_in_markdown():
    document = report.render_markdown(*hostile(), title=HOSTILE, generated=HOSTILE)
    outside = re.sub(r"```sh\n.*?```", "", document, flags=re.DOTALL)
    assert "<" not in outside and "http:" not in outside and "\u202e" not in outside
    assert not re.search(r"(?<!\\)\]\(", outside)
    table_lines = [line for line in outside.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table_lines} == {9}
    assert len(re.findall("```", document)) == 2


def test_a_lone_surrogate_in_a_class_name_does_not_break_the_file():
    figures = evaluated("classification", names=("\ud800", "b"))
    table = leaderboard.build([row("a", figures)])
    report.render_html(table, {"a": {"metrics": figures}}, title="t", generated=None).encode()
    report.render_markdown(table, {"a": {"metrics": figures}}, title="t", generated=None).encode()


def test_unlabelled_test_rows_are_said_and_validation_is_shown_instead():
    figures = evaluated("classification", test_labels=False)
    table, details = leaderboard.build([row("a", figures)]), {"a": {"metrics": figures}}
    for document in (
        report.render_html(table, details, title="t", generated=None),
        report.render_markdown(table, details, title="t", generated=None),
    ):
        assert "The test split has no labels" in document
        assert f"{100 * figures['validation']['metrics']['accuracy']:.1f}%" in document


def test_an_empty_leaderboard_says_what_to_do():
    for render in (report.render_html, report.render_markdown):
        assert "bert-assets run NAME" in render(leaderboard.build([]), {}, title="t", generated=None)


def test_rows_without_figures_or_details_are_rendered():
    bare = [
        row("a", {}, training={}),
        row("b", {}, snapshot=None, current_snapshot="e5", training={}, model_id=None, weights_sha256=None),
        row("s", {}, dataset="only-stale", snapshot="old"),
    ]
    table = leaderboard.build(bare)
    text = Page(report.render_html(table, {}, title="t", generated=None)).text
    assert "No run has been evaluated on the current snapshot" in text
    assert "bert-assets run s" in report.render_markdown(table, {}, title="t", generated=None)


@pytest.mark.parametrize("classes", [1, 13, 45])
def test_many_classes_are_summed_up_instead_of_a_huge_matrix(classes):
    names = tuple(f"class-{k}" for k in range(classes)) if classes > 1 else ("only", "absent")
    figures = evaluated("classification", names=names)
    table = leaderboard.build([row("a", figures)])
    text = Page(report.render_html(table, {"a": {"metrics": figures}}, title="t", generated=None)).text
    assert ("Most frequent confusions" in text) == (classes > 12)
    assert ("with the lowest F1" in text) == (classes > 30)


def test_markdown_has_the_table_and_the_commands(example):
    document = report.render_markdown(*example, title="Leaderboard", generated="12 March")
    assert "| 1 | tiny-lr3e-4 | accuracy |" in document
    assert document.index("tiny-lr1e-3 |") < document.index("### On an earlier snapshot")
    assert "```sh\nbert-assets run tiny-lr3e-4\n" in document
