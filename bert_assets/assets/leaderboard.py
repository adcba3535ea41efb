"""leaderboard: every evaluated run side by side, as a table and a report."""

import dagster as dg

from bert_assets.assets.failures import clear_failures
from bert_assets.assets.io_managers import SnapshotIOManager, materializations
from bert_assets.config.experiments import Experiments


def build_leaderboard(experiments: Experiments) -> dg.AssetsDefinition:
    @dg.asset(
        ins={"eval_metrics": dg.AssetIn(partition_mapping=dg.AllPartitionMapping())},
        io_manager_key="leaderboards",
        group_name="evaluation",
        kinds={"parquet"},
    )
    def leaderboard(
        context: dg.AssetExecutionContext, eval_metrics, snapshots: dg.ResourceParam[SnapshotIOManager]
    ):
        """All evaluated runs of each dataset, sorted by validation, reported on test; stale runs apart."""
        from bert_assets.stages.standings import publish_standings

        datasets = list(experiments.datasets)
        key = dg.AssetKey("dataset_snapshot")
        known = materializations(context.instance, key, datasets, None)
        current = {}
        with clear_failures():
            for dataset in datasets:
                found = known.get(dataset) or snapshots.store.read_pointer(f"datasets/{dataset}/current.json")
                current[dataset] = None if found is None else str(found["content_hash"])
            standings = publish_standings(snapshots.store, experiments, eval_metrics, current)
        return dg.MaterializeResult(
            value=standings,
            data_version=dg.DataVersion(standings.content_hash),
            metadata={
                "content_hash": standings.content_hash,
                "runs": standings.table.num_rows,
                "report": dg.MetadataValue.path(str(standings.folder / "report.html")),
                "table": dg.MetadataValue.md(standings.markdown),
            },
        )

    return leaderboard
