"""How to rebuild each row."""

from __future__ import annotations

from typing import Any

from bert_assets.stages.report.elements import Markup, el, short_hash
from bert_assets.stages.report.wording import rebuild_command


def reproduction_section(rows: list[dict[str, Any]]) -> Markup:
    head = el("tr", [el("th", text, scope="col") for text in ("Command", "Snapshot", "Model id", "Weights")])
    body = [
        el(
            "tr",
            el("td", el("code", rebuild_command(row["run"]), class_="command")),
            el("td", short_hash(row["snapshot"]), data_label="Snapshot"),
            el("td", short_hash(row["model_id"]), data_label="Model id"),
            el("td", short_hash(row["weights_sha256"]), data_label="Weights"),
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
