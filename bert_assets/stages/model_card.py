"""The README.md of a published model, in the Hugging Face card format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bert_assets.config.schema import model_kind


def model_card(manifest: dict[str, Any]) -> str:
    """YAML front matter that the hub reads, then what a person needs: use, data, recipe, figures, limits.

    Holds nothing that varies between equal trainings, so equal weights come with equal cards.
    """
    settings, training = manifest["recipe"]["settings"], manifest["training"]
    task = "text-classification"
    base, kind = manifest["base_model"], model_kind(manifest["base_model"])
    head = ["---", "library_name: transformers", f"pipeline_tag: {task}", "tags:", "- bert-assets"]
    if kind == "hub":
        head.append(f"base_model: {base}")
    head.append("---")
    # Where a folder lies is this machine's affair.
    origin = f"The local model `{Path(base).name}`" if kind == "path" else f"`{base}`"
    example = '{"text": "a text", "text_pair": "another"}' if manifest["has_pair"] else '"a text"'
    classes = manifest["class_names"]
    outputs = "one number (regression)" if classes is None else ", ".join(f"`{name}`" for name in classes)
    validation = training["best_validation"] or {}
    figures = [f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in sorted(validation.items())]
    lines = [
        *head,
        "",
        f"# {manifest['configuration']}",
        "",
        f"{origin}, fine-tuned by bert-assets. Output: {outputs}.",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        'classify = pipeline("text-classification", model="path/to/this/folder")',
        f"classify({example}, truncation=True)",
        "```",
        "",
        "## Data",
        "",
        f"Snapshot `{manifest['recipe']['snapshot']}`; rows: "
        + ", ".join(f"{split} {rows}" for split, rows in manifest["rows"].items())
        + ".",
        "",
        "## Recipe",
        "",
        f"Model id `{manifest['model_id']}`, training engine {manifest['recipe']['engine']}.",
        "",
        "| setting | value |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in settings.items()],
        "",
        "## Figures",
        "",
        f"{training['steps']} steps; the published weights are those after step {training['published_step']}.",
        "",
        "| metric | value |",
        "|---|---|",
        f"| train loss | {training['train_loss']:.4f} |",
        *figures,
        "",
        "## Limits",
        "",
        f"Texts beyond {settings['max_length']} tokens are cut. The figures hold for data like that of the snapshot.",
    ]
    return "\n".join(lines) + "\n"
