"""The code location: `dagster dev`, `dagster asset materialize -m bert_assets.definitions`, `dg launch`."""

from bert_assets.assets.build import build_definitions
from bert_assets.config.experiments import load_experiments
from bert_assets.config.paths import store_root

defs = build_definitions(load_experiments(), store_root())
