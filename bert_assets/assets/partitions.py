"""Partitions: one per dataset, one per run; static, from the YAML files at load time."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from bert_assets.config.experiments import Experiments


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """The two partitions definitions and how a dataset maps to its runs."""

    datasets: dg.StaticPartitionsDefinition
    runs: dg.StaticPartitionsDefinition
    dataset_to_runs: dg.StaticPartitionMapping

    @classmethod
    def of(cls, experiments: Experiments) -> Partitions:
        runs_of: dict[str, list[str]] = {name: [] for name in experiments.datasets}
        for run in experiments.runs.values():
            runs_of[run.dataset].append(run.name)
        return cls(
            datasets=dg.StaticPartitionsDefinition(list(experiments.datasets)),
            runs=dg.StaticPartitionsDefinition(list(experiments.runs)),
            dataset_to_runs=dg.StaticPartitionMapping(
                {dataset: runs for dataset, runs in runs_of.items() if runs}
            ),
        )
