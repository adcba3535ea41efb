"""dataset_snapshot[dataset]: a source becomes a content-hashed Parquet snapshot, judged by the data gate."""

import dagster as dg

from bert_assets.assets.failures import clear_failures
from bert_assets.assets.metadata import snapshot_metadata
from bert_assets.assets.partitions import Partitions
from bert_assets.config.experiments import Experiments
from bert_assets.stages.gate import CHECKS, evaluate

SNAPSHOT_RETRIES = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def build_dataset_snapshot(
    experiments: Experiments, partitions: Partitions, retry_policy: dg.RetryPolicy | None
) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=partitions.datasets,
        io_manager_key="snapshots",
        group_name="data",
        kinds={"parquet"},
        retry_policy=retry_policy,
        check_specs=[
            dg.AssetCheckSpec(name, asset="dataset_snapshot", description=description, blocking=True)
            for name, description in CHECKS.items()
        ],
    )
    def dataset_snapshot(context: dg.AssetExecutionContext):
        """Parquet per split with a content hash over schema, values, nulls and row order.

        The same content is the same snapshot, whatever file it came from; one changed cell is another.
        """
        from bert_assets.stages.snapshot import build_snapshot
        from bert_assets.stages.source import read_source

        dataset = experiments.datasets[context.partition_key]
        with clear_failures():
            built = build_snapshot(dataset, read_source(dataset, experiments.root))
        return dg.MaterializeResult(
            value=built,
            data_version=dg.DataVersion(built.content_hash),
            metadata=snapshot_metadata(built),
            check_results=[
                dg.AssetCheckResult(
                    check_name=verdict.check,
                    passed=verdict.passed,
                    severity=dg.AssetCheckSeverity.ERROR
                    if verdict.severity == "error"
                    else dg.AssetCheckSeverity.WARN,
                    description=verdict.message,
                    metadata={name: value for name, value in verdict.figures.items()},
                )
                for verdict in evaluate(built.record, dataset.checks)
            ],
        )

    return dataset_snapshot
