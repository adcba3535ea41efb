"""The champion of a dataset: the run to use, by validation alone; test figures are reported, never chosen by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bert_assets.stages.arrow import pc
from bert_assets.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The chosen run, with the weights and the figures that it was chosen for.

    `metrics` and `leaderboard` are content hashes; `value` is the validation figure of the metric `headline`.
    """

    dataset: str
    run: str
    configuration: str
    model_id: str
    weights_sha256: str
    snapshot: str
    metrics: str
    leaderboard: str
    headline: str
    value: float
    reason: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Champion:
        """The champion in a document that may hold more."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__})

    def document(self) -> dict[str, Any]:
        """What the pointer `champions/<dataset>.json` says."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Election:
    """Who was chosen, or None, and each better run that was passed over with its reason."""

    champion: Champion | None
    passed_over: list[tuple[str, str]]


def elect_champion(
    table: pa.Table, dataset: str, *, leaderboard: str, refusal: Callable[[dict[str, Any]], str | None]
) -> Election:
    """The first run of the dataset's current ones in the leaderboard's order for which `refusal(row)` says nothing.

    Runs that were measured on another snapshot, or that have no validation figure, take no part.
    """
    rows = table.filter(pc.and_(pc.equal(table["dataset"], dataset), pc.is_valid(table["rank"])))
    passed_over: list[tuple[str, str]] = []
    for row in sorted(rows.to_pylist(), key=lambda row: row["rank"]):
        reason = refusal(row)
        if reason is not None:
            passed_over.append((row["run"], reason))
            continue
        value = row[f"validation_{row['headline']}"]
        champion = Champion(
            dataset=dataset,
            run=row["run"],
            configuration=row["configuration"],
            model_id=row["model_id"],
            weights_sha256=row["weights_sha256"],
            snapshot=row["snapshot"],
            metrics=row["metrics_hash"],
            leaderboard=leaderboard,
            headline=row["headline"],
            value=value,
            reason=_reason(row, rows.num_rows, passed_over, value),
        )
        return Election(champion=champion, passed_over=passed_over)
    return Election(champion=None, passed_over=passed_over)


def champion_pointer(dataset: str) -> str:
    return f"champions/{dataset}.json"


def evaluation_pointer(dataset: str) -> str:
    """Where the store points at the champion's metrics on the dataset's current snapshot."""
    return f"champions/evaluations/{dataset}.json"


def read_champion(store: Store, dataset: str) -> Champion | None:
    """The dataset's champion by its pointer; None before the first. Raises StoreError if it does not verify."""
    document = store.read_pointer(champion_pointer(dataset))
    return None if document is None else Champion.of(document)


def _reason(row: dict[str, Any], runs: int, passed_over: list[tuple[str, str]], value: float) -> str:
    among = "the only evaluated run" if runs == 1 else f"best of {runs} evaluated runs"
    reason = f"{among} by validation {row['headline']} ({value:.4f}) that passes its checks"
    if passed_over:
        reason += f"; passed over: {', '.join(name for name, _ in passed_over)}"
    return reason
