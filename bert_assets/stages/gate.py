"""The data gate: verdicts on a snapshot's recorded figures, by the thresholds that hold when they are asked for.

The figures are computed once, when the snapshot is built, and stored with the dataset's record; thresholds are not,
so that a changed threshold needs no new snapshot. Training asks `require_passed` first: a failed check of severity
`error` stops it, unless the check is overridden by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bert_assets.config.schema import ChecksConfig, ClassBalanceCheck, DatasetConfig, LeakageCheck
from bert_assets.errors import UserError
from bert_assets.store.store import Store

CHECKS = {
    "leakage": "How many rows of validation and test have texts that also occur in train.",
    "class_balance": "The share of the rarest class in train.",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One check's outcome; `figures` are plain numbers."""

    check: str
    passed: bool
    severity: Literal["warn", "error"]
    message: str
    figures: dict[str, int | float]


def record_path(dataset: str, content_hash: str) -> str:
    """Where the store keeps the record of a dataset's snapshot."""
    return f"datasets/{dataset}/{content_hash}.json"


def evaluate(record: Mapping[str, Any], checks: ChecksConfig) -> list[Verdict]:
    """The verdict of every check on the figures in a snapshot's record."""
    figures = record["figures"]
    return [
        _judge_leakage(figures["leakage"], checks.leakage),
        _judge_class_balance(figures["class_balance"], checks.class_balance),
    ]


def require_passed(
    store: Store, dataset: DatasetConfig, content_hash: str, overridden: Collection[str] = ()
) -> None:
    """Raise UserError if a check of severity `error` fails on the dataset's snapshot and is not overridden."""
    for name in overridden:
        if name not in CHECKS:
            raise UserError(
                f"there is no data check {name!r} to override; the checks are {', '.join(CHECKS)}"
            )
    record = store.read_pointer(record_path(dataset.name, content_hash))
    if record is None:
        raise UserError(
            f"the store has no record of the snapshot {content_hash[:12]} for the dataset {dataset.name}: materialize "
            f"dataset_snapshot for the partition {dataset.name} first"
        )
    failed = [
        verdict
        for verdict in evaluate(record, dataset.checks)
        if not verdict.passed and verdict.severity == "error" and verdict.check not in overridden
    ]
    if failed:
        listed = "".join(f"\n  {verdict.check}: {verdict.message}" for verdict in failed)
        raise UserError(
            f"the snapshot {content_hash[:12]} of the dataset {dataset.name} fails its data checks:{listed}\nCorrect "
            "the source, change the threshold or the severity under checks in the dataset, or train in spite of it by "
            f"overriding the check by name ({', '.join(verdict.check for verdict in failed)})"
        )


def _judge_leakage(figures: Mapping[str, Any], check: LeakageCheck) -> Verdict:
    worst = max(figures, key=lambda split: figures[split]["share"], default=None)
    flat = {f"{split}_{key}": figures[split][key] for split in figures for key in ("rows", "leaked", "share")}
    passed = worst is None or figures[worst]["share"] <= check.max_share
    found = "; ".join(
        f"{entry['leaked']} of {entry['rows']} {split} rows ({entry['share']:.2%})"
        for split, entry in figures.items()
    )
    message = (
        f"texts that also occur in train: {found or 'no rows to evaluate'}; allowed: {check.max_share:.2%}"
    )
    if not passed:
        message += (
            ". Metrics on such rows flatter the model: take them out of train or out of the other split"
        )
    return Verdict(
        check="leakage",
        passed=passed,
        severity=check.severity,
        message=message,
        figures=flat | {"max_share": check.max_share},
    )


def _judge_class_balance(figures: Mapping[str, Any] | None, check: ClassBalanceCheck) -> Verdict:
    if figures is None:
        passed, message, flat = True, "a regression has no classes", {}
    else:
        share = figures["min_share"]
        passed = share >= check.min_share
        message = (
            f"the rarest class in train is {figures['rarest']!r} with {figures['rows']} rows ({share:.2%}); expected: at "
            f"least {check.min_share:.2%}"
        )
        if not passed:
            message += ". A model hardly learns it: add rows of this class, or merge it with another"
        flat = {"min_share": share, "rarest_rows": figures["rows"], "required_share": check.min_share}
    return Verdict(
        check="class_balance", passed=passed, severity=check.severity, message=message, figures=flat
    )
