"""champion_model[dataset]: the run to use, chosen by validation among the runs that pass their checks."""

from collections.abc import Iterator

import dagster as dg

from bert_assets.assets.failures import clear_failures
from bert_assets.assets.io_managers import ChampionIOManager
from bert_assets.assets.metadata import table_preview
from bert_assets.assets.partitions import Partitions
from bert_assets.assets.presentation import OWNERS
from bert_assets.config.experiments import Experiments


def build_champion_model(experiments: Experiments, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=partitions.datasets,
        io_manager_key="champions",
        group_name="champions",
        kinds={"huggingface"},
        owners=OWNERS,
        tags={"stage": "champion"},
        code_version="1",
        # Where no run passes its checks there is nothing to materialize, and the champion stays as it is.
        output_required=False,
    )
    def champion_model(
        context: dg.AssetExecutionContext,
        leaderboard,
        champions: dg.ResourceParam[ChampionIOManager],
    ) -> Iterator[dg.MaterializeResult]:
        """The best run on validation that passes its checks; its history, with reasons, are the materializations."""
        from bert_assets.stages.champion import elect_champion, read_champion
        from bert_assets.stages.model_gate import judge_model, may_be_champion

        dataset = experiments.datasets[context.partition_key]

        def refusal(row: dict) -> str | None:
            manifest = champions.store.manifest(f"models/{row['model_id']}/{row['weights_sha256']}")
            if may_be_champion(manifest, dataset.checks):
                return None
            failed = [verdict for verdict in judge_model(manifest, dataset.checks) if not verdict.passed]
            return "; ".join(f"{verdict.check}: {verdict.message}" for verdict in failed)

        with clear_failures():
            before = read_champion(champions.store, dataset.name)
            election = elect_champion(
                leaderboard.table, dataset.name, leaderboard=leaderboard.content_hash, refusal=refusal
            )
        chosen = election.champion
        for run, reason in election.passed_over:
            context.log.info(f"{run} was passed over: {reason}")
        if chosen is None:
            context.log.warning(
                f"no run of the dataset {dataset.name} in the leaderboard {leaderboard.content_hash[:12]} can be "
                f"champion; the champion stays {before.run if before else 'unchosen'}"
            )
            return
        document = chosen.document()
        passed_over = [{"run": run, "reason": reason} for run, reason in election.passed_over]
        yield dg.MaterializeResult(
            value=chosen,
            data_version=dg.DataVersion(chosen.model_id),
            metadata={
                **{name: document[name] for name in ("run", "reason", "headline", "value")},
                "changed": before is None or before.weights_sha256 != chosen.weights_sha256,
                "previous": before.run if before else "none",
                "passed_over": table_preview(passed_over),
                **document,
            },
        )

    return champion_model
