"""`bert-assets compare`: whether two configurations or runs differ, from their evaluations."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from bert_assets.config.experiments import load_experiments
from bert_assets.config.paths import store_root
from bert_assets.store.store import Store


@click.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--split", type=click.Choice(["test", "validation"]), help="Default: test, if it has labels.")
@click.option("--metric", help="Default: accuracy, or pearson. Also macro_f1, mcc, log_loss; mse, mae.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict and its figures as JSON.")
def command(a: str, b: str, split: str | None, metric: str | None, as_json: bool) -> None:
    """Say whether A is better than B, worse, or not distinguishable from it.

    A and B are configurations (all runs of a YAML entry at one grid point, whatever the seed) or single runs. Of
    configurations the difference is tested over seeds and rows at once; of single runs over rows alone, and other
    seeds may say otherwise. Nothing is trained or predicted.
    """
    from bert_assets.stages.named import compare_named, find_named

    experiments, store = load_experiments(), Store(store_root())
    found = compare_named(
        store,
        find_named(experiments, store, a),
        find_named(experiments, store, b),
        split=split,
        metric=metric,
    )
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_comparison(Console(), found)


def print_comparison(console: Console, found: dict[str, Any]) -> None:
    """The verdict first, then what it is from."""
    lines = [found["sentence"], ""]
    for side in ("a", "b"):
        runs = found[f"{side}_runs"]
        count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        lines.append(
            f"{found[side]}: {found['split']} {found['metric']} {found[f'{side}_mean']:.4f}, mean of {count}"
        )
    lines.append(f"test: {found['test']}; {found['rows']:,} rows; p {found['p']:.4g}")
    for name, text in (("sign_flip_p", "sign flips over seeds"), ("mcnemar_p", "McNemar")):
        if found[name] is not None:
            lines.append(f"{text}: p {found[name]:.4g}")
    if found["effect_size"] is not None:
        low, high = found["effect_low"], found["effect_high"]
        lines.append(f"effect size: {found['effect_size']:+.3f} [{low:+.3f}, {high:+.3f}]")
    lines += [f"note: {note}" for note in found["notes"]]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
