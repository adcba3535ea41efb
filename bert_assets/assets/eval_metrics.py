"""eval_metrics[run]: metrics with confidence intervals and plots, from the run's predictions."""

import dagster as dg

from bert_assets.assets.failures import clear_failures
from bert_assets.assets.io_managers import SnapshotIOManager
from bert_assets.assets.metadata import metrics_metadata
from bert_assets.assets.partitions import Partitions


def build_eval_metrics(partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=partitions.runs,
        io_manager_key="metrics",
        group_name="evaluation",
        kinds={"scikitlearn"},
    )
    def eval_metrics(predictions, snapshots: dg.ResourceParam[SnapshotIOManager]):
        """Accuracy, F1, MCC, log loss, AUROC, calibration, or Pearson, Spearman, MSE, MAE; no forward pass."""
        from bert_assets.stages.evaluation import evaluate_predictions

        with clear_failures():
            metrics = evaluate_predictions(snapshots.store, predictions)
        return dg.MaterializeResult(
            value=metrics,
            data_version=dg.DataVersion(metrics.content_hash),
            metadata=metrics_metadata(metrics),
        )

    return eval_metrics
