"""The configuration that a Dagster run started with, kept for its retries."""

from __future__ import annotations

from dataclasses import dataclass

from bert_assets.config.schema import DatasetConfig, RunConfig
from bert_assets.store.store import Store


@dataclass(frozen=True, kw_only=True)
class FrozenRun:
    """What every attempt of one Dagster run trains, whatever the YAML says by then."""

    run: RunConfig
    dataset: DatasetConfig
    snapshot: str


def freeze(store: Store, dagster_run: str, frozen: FrozenRun) -> FrozenRun:
    """Keep `frozen` for the Dagster run, or return what its first attempt kept."""
    kept = thaw(store, dagster_run, frozen.run.name)
    if kept is not None:
        return kept
    document = {
        "run": frozen.run.model_dump(mode="json"),
        "dataset": frozen.dataset.model_dump(mode="json"),
        "snapshot": frozen.snapshot,
    }
    store.write_pointer(_place(dagster_run, frozen.run.name), document)
    return frozen


def thaw(store: Store, dagster_run: str, run: str) -> FrozenRun | None:
    """What the Dagster run's first attempt kept; None if this is the first."""
    document = store.read_pointer(_place(dagster_run, run))
    if document is None:
        return None
    return FrozenRun(
        run=RunConfig.model_validate(document["run"]),
        dataset=DatasetConfig.model_validate(document["dataset"]),
        snapshot=document["snapshot"],
    )


def _place(dagster_run: str, run: str) -> str:
    return f"work/frozen/{dagster_run}/{run}.json"
