#!/usr/bin/env bash
# Continuous integration of experiments, in a clean checkout: validate the definitions, take one dataset's snapshot,
# train and evaluate one small run, build the leaderboard. It ends with an error as soon as one of them fails; a
# blocking data check that fails is such an error.
#
#   deploy/ci.sh [DATASET [RUN]]       by default those of experiments/smoke.yaml
set -euo pipefail
cd "$(dirname "$0")/.."

dataset="${1:-smoke}"
run="${2:-smoke}"

make setup
export DAGSTER_HOME="${DAGSTER_HOME:-$PWD/data/dagster}"

step() {
  echo "== $*"
  "$@"
}

materialize() {
  step .venv/bin/dagster asset materialize -m bert_assets.definitions "$@"
}

step .venv/bin/dagster definitions validate -m bert_assets.definitions
materialize --select dataset_snapshot --partition "$dataset"
materialize --select fine_tuned_model,predictions,eval_metrics --partition "$run"
materialize --select leaderboard
step .venv/bin/bert-assets runs
