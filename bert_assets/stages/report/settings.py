"""What differs between the recipes of the runs, and what they share."""

from __future__ import annotations

from typing import Any

from bert_assets.stages.report.elements import Markup, el, isolated, short_hash
from bert_assets.stages.report.wording import DASH, format_setting, is_hash


def settings_section(rows: list[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Markup | None:
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
        return (
            DASH
            if value is missing
            else short_hash(value)
            if is_hash(value)
            else isolated(format_setting(value))
        )

    parts: list[Any] = [el("h3", "Settings")]
    if varied:
        head = el("tr", el("th", "Run", scope="col"), [el("th", key, scope="col") for key in varied])
        body = [
            el(
                "tr",
                el("th", isolated(run), scope="row"),
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


def _flattened(recipe: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(recipe, dict):
        return {prefix: recipe}
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        flat |= _flattened(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
