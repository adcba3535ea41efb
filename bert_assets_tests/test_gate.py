"""The data gate: verdicts follow the thresholds of the moment, and an error stops training in any later run."""

import subprocess
import sys
from pathlib import Path

import pytest

from bert_assets.config.schema import ChecksConfig, DatasetConfig
from bert_assets.errors import StoreError, UserError
from bert_assets.stages.gate import CHECKS, evaluate, require_passed
from bert_assets.stages.snapshot import Snapshot, build_snapshot, publish_snapshot
from bert_assets.stages.source import read_source
from bert_assets.store.store import Store
from bert_assets_tests.world import small_rows, write_rows

ROWS = small_rows(200)


def dataset(**checks) -> DatasetConfig:
    source = {"type": "file", "path": {"train": "train.csv", "test": "test.csv"}}
    values = {"name": "d", "source": source, "splits": {"validation": 0}, "checks": checks}
    return DatasetConfig.model_validate(values)


def publish(root: Path, config: DatasetConfig, *, leaked: int) -> tuple[Store, Snapshot]:
    """100 training rows and 100 test rows, of which this many are training rows too."""
    write_rows(root / "train.csv", ROWS[:100])
    write_rows(root / "test.csv", ROWS[100 - leaked : 200 - leaked])
    store = Store(root / "store")
    return store, publish_snapshot(store, "d", build_snapshot(config, read_source(config, root)))


def verdicts(store: Store, snapshot: Snapshot, checks: ChecksConfig) -> dict:
    record = store.read_pointer(f"datasets/d/{snapshot.content_hash}.json")
    assert record is not None
    return {verdict.check: verdict for verdict in evaluate(record, checks)}


def test_every_check_gives_a_verdict(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=0)
    found = verdicts(store, snapshot, dataset().checks)
    assert set(found) == set(CHECKS)
    assert all(verdict.passed for verdict in found.values())


def test_leaked_texts_are_counted_and_shown(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=7)
    verdict = verdicts(store, snapshot, dataset().checks)["leakage"]
    assert not verdict.passed
    assert verdict.severity == "warn"
    assert verdict.figures["test_leaked"] == 7
    assert "7 of 100 test rows (7.00%)" in verdict.message
    record = store.read_pointer(f"datasets/d/{snapshot.content_hash}.json")
    assert record is not None
    examples = record["figures"]["leakage"]["test"]["examples"]
    assert {example["text"] for example in examples} <= {text for text, _ in ROWS[93:100]}


def test_a_rare_class_is_named(tmp_path):
    strict = dataset(class_balance={"min_share": 0.5, "severity": "error"})
    store, snapshot = publish(tmp_path, strict, leaked=0)
    verdict = verdicts(store, snapshot, strict.checks)["class_balance"]
    assert not verdict.passed
    assert verdict.message.startswith("the rarest class in train is '")


def test_a_warning_lets_training_pass(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=7)
    require_passed(store, dataset(), snapshot.content_hash)


def test_an_error_stops_training_until_it_is_overridden_by_name(tmp_path):
    strict = dataset(leakage={"severity": "error"})
    store, snapshot = publish(tmp_path, strict, leaked=7)
    with pytest.raises(UserError) as refused:
        require_passed(store, strict, snapshot.content_hash)
    assert "fails its data checks:\n  leakage: texts that also occur in train: 7 of 100 test rows" in str(
        refused.value
    )
    require_passed(store, strict, snapshot.content_hash, overridden=["leakage"])


def test_another_threshold_needs_no_new_snapshot(tmp_path):
    store, snapshot = publish(tmp_path, dataset(leakage={"severity": "error"}), leaked=7)
    lenient = dataset(leakage={"severity": "error", "max_share": 0.1})
    require_passed(store, lenient, snapshot.content_hash)


def test_an_override_of_an_unknown_check_is_refused(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=0)
    with pytest.raises(
        UserError, match="no data check 'leak' to override; the checks are leakage, class_balance"
    ):
        require_passed(store, dataset(), snapshot.content_hash, overridden=["leak"])


def test_a_snapshot_without_a_record_is_refused(tmp_path):
    store, _ = publish(tmp_path, dataset(), leaked=0)
    with pytest.raises(UserError, match="has no record of the snapshot"):
        require_passed(store, dataset(), "0" * 64)


def test_a_rare_class_that_only_warns_lets_training_pass(tmp_path):
    rare = dataset(class_balance={"min_share": 0.9})
    store, snapshot = publish(tmp_path, rare, leaked=0)
    assert not verdicts(store, snapshot, rare.checks)["class_balance"].passed
    require_passed(store, rare, snapshot.content_hash)


def test_an_override_covers_its_own_check_alone(tmp_path):
    severe = {"severity": "error"}
    strict = dataset(leakage=severe, class_balance={"min_share": 0.9, **severe})
    store, snapshot = publish(tmp_path, strict, leaked=7)
    with pytest.raises(UserError) as refused:
        require_passed(store, strict, snapshot.content_hash, overridden=["leakage"])
    assert "\n  class_balance: the rarest class in train is" in str(refused.value)
    assert "\n  leakage:" not in str(refused.value)
    require_passed(store, strict, snapshot.content_hash, overridden=["leakage", "class_balance"])


def test_a_share_that_is_just_allowed_passes(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=7)
    assert verdicts(store, snapshot, dataset(leakage={"max_share": 0.07}).checks)["leakage"].passed
    assert not verdicts(store, snapshot, dataset(leakage={"max_share": 0.0699}).checks)["leakage"].passed


def test_a_regression_has_no_classes_to_balance(tmp_path):
    write_rows(tmp_path / "train.csv", [(text, f"{index / 7:.3f}") for index, (text, _) in enumerate(ROWS)])
    write_rows(tmp_path / "test.csv", [("a new text", "0.5")])
    store = Store(tmp_path / "store")
    snapshot = publish_snapshot(store, "d", build_snapshot(dataset(), read_source(dataset(), tmp_path)))
    verdict = verdicts(store, snapshot, dataset().checks)["class_balance"]
    assert verdict.passed
    assert verdict.message == "a regression has no classes"


def test_a_snapshot_of_train_alone_has_nothing_that_could_leak(tmp_path):
    write_rows(tmp_path / "a.csv", ROWS)
    source = {"type": "file", "path": "a.csv"}
    config = DatasetConfig.model_validate(
        {"name": "d", "source": source, "splits": {"validation": 0, "test": 0}}
    )
    store = Store(tmp_path / "store")
    snapshot = publish_snapshot(store, "d", build_snapshot(config, read_source(config, tmp_path)))
    assert verdicts(store, snapshot, config.checks)["leakage"].passed


def test_a_damaged_record_stops_training(tmp_path):
    store, snapshot = publish(tmp_path, dataset(), leaked=0)
    path = store.path(f"datasets/d/{snapshot.content_hash}.json")
    path.write_text(path.read_text().replace('"leaked": 0', '"leaked": 1'))
    with pytest.raises(StoreError, match="does not match the sha256 that it carries"):
        require_passed(store, dataset(), snapshot.content_hash)


def test_asking_the_gate_loads_nothing_heavy():
    heavy = (
        "{'numpy', 'pyarrow', 'pandas', 'torch', 'transformers', 'datasets', 'dagster', 'scipy', 'sklearn'}"
    )
    code = f"import sys, bert_assets.stages.gate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
