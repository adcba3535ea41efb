"""Snapshots: what changes the content hash and what does not, where rows go, what is published and verified."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bert_assets.config.schema import DatasetConfig
from bert_assets.errors import StoreError, UserError
from bert_assets.stages.snapshot import BuiltSnapshot, build_snapshot, load_snapshot, publish_snapshot
from bert_assets.stages.source import read_source
from bert_assets.stages.splits import assign_splits, sample_rows
from bert_assets.stages.summary import snapshot_summary
from bert_assets.store.store import Store
from bert_assets_tests.world import small_rows, write_rows

ROWS = small_rows(300)
# Of three rows, written below; another hash for them would be another format.
GOLDEN = "65bd88eaae7b4abeaf0899b4b2f7d389d7f23f4834b964c224ddddc4aeae6747"
SPLITS = {"validation": 0.2, "test": 0.2, "seed": 3}


def config(path: str | dict = "a.csv", **settings) -> DatasetConfig:
    source = {"type": "file", "path": path}
    return DatasetConfig.model_validate({"name": "d", "source": source, "splits": SPLITS, **settings})


def build(root: Path, rows=None, path: str | dict = "a.csv", **settings) -> BuiltSnapshot:
    if rows is not None:
        write_rows(root / "a.csv", rows)
    dataset = config(path, **settings)
    return build_snapshot(dataset, read_source(dataset, root))


def three_files(root: Path, table: pa.Table, **options) -> BuiltSnapshot:
    for split, start in (("train", 0), ("validation", 200)):
        pq.write_table(
            table.slice(start, 200 if split == "train" else 100), root / f"{split}.parquet", **options
        )
    return build(
        root, path={"train": "train.parquet", "validation": "validation.parquet"}, splits={"test": 0}
    )


def table_of(rows) -> pa.Table:
    return pa.table({"sentence": [text for text, _ in rows], "label": [label for _, label in rows]})


def test_a_pinned_hash_holds_the_format_in_place(tmp_path):
    built = build(
        tmp_path, [("one", "no"), ("two", "yes"), ("three", "no")], splits={"validation": 0, "test": 0}
    )
    assert built.content_hash == GOLDEN


@pytest.mark.parametrize(
    "options",
    [{"row_group_size": 7}, {"compression": "gzip"}, {"use_dictionary": False}, {"version": "1.0"}],
)
def test_how_parquet_encodes_the_rows_does_not_change_the_hash(tmp_path, options):
    plain = three_files(tmp_path, table_of(ROWS))
    assert three_files(tmp_path, table_of(ROWS), **options).content_hash == plain.content_hash


def test_chunks_and_wide_strings_do_not_change_the_hash(tmp_path):
    plain = three_files(tmp_path, table_of(ROWS))
    wide = table_of(ROWS).cast(pa.schema([("sentence", pa.large_string()), ("label", pa.large_string())]))
    assert three_files(tmp_path, wide).content_hash == plain.content_hash
    chunked = pa.concat_tables([table_of(ROWS[:11]), table_of(ROWS[11:])])
    assert three_files(tmp_path, chunked).content_hash == plain.content_hash


def test_touching_the_file_or_its_line_ends_does_not_change_the_hash(tmp_path):
    plain = build(tmp_path, ROWS)
    content = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\r\n", b"\n"))
    assert build(tmp_path).content_hash == plain.content_hash


CHANGES = {
    "a letter": lambda rows: [*rows[:5], (rows[5][0] + ".", rows[5][1]), *rows[6:]],
    "a label": lambda rows: (
        [*rows[:5], (rows[5][0], "positive" if rows[5][1] == "negative" else "negative"), *rows[6:]]
    ),
    "the order of two rows": lambda rows: [rows[1], rows[0], *rows[2:]],
    "a row less": lambda rows: rows[1:],
    "a row twice": lambda rows: [rows[0], *rows],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_content_changes_the_hash(tmp_path, change):
    plain = three_files(tmp_path, table_of(ROWS))
    changed = CHANGES[change](ROWS)
    assert three_files(tmp_path, table_of(changed)).content_hash != plain.content_hash


def test_a_null_label_in_test_is_not_the_first_class(tmp_path):
    pq.write_table(table_of(ROWS), tmp_path / "train.parquet")
    hashes = set()
    for label in (None, "negative"):
        pq.write_table(
            pa.table({"sentence": ["x"], "label": pa.array([label], pa.string())}), tmp_path / "test.parquet"
        )
        path = {"train": "train.parquet", "test": "test.parquet"}
        hashes.add(build(tmp_path, path=path, splits={"validation": 0}).content_hash)
    assert len(hashes) == 2


def test_an_appended_row_changes_the_hash_and_moves_no_other_row(tmp_path):
    before = build(tmp_path, ROWS)
    after = build(tmp_path, [*ROWS, ("an entirely new sentence", "positive")])
    assert before.content_hash != after.content_hash
    added = 0
    for split in before.rows:
        old, new = before.table(split)["row_id"].to_pylist(), after.table(split)["row_id"].to_pylist()
        assert new[: len(old)] == old
        added += len(new) - len(old)
    assert added == 1


def test_equal_texts_are_never_cut_apart(tmp_path):
    rows = [(text, label) for text, _ in ROWS for label in ("positive", "negative")]
    built = build(tmp_path, rows)
    texts = [set(built.table(split)["text"].to_pylist()) for split in built.rows]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert built.record["figures"]["leakage"]["test"]["leaked"] == 0


def test_row_ids_are_distinct_and_the_same_in_another_snapshot(tmp_path):
    built = build(tmp_path, [*ROWS, *ROWS[:10]])
    ids = [row for split in built.rows for row in built.table(split)["row_id"].to_pylist()]
    assert len(set(ids)) == len(ids) == 310
    other = build(tmp_path, ROWS)
    assert {row for split in other.rows for row in other.table(split)["row_id"].to_pylist()} <= set(ids)


def digests(rows: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (rows, 32), dtype=np.uint8)


def test_shares_are_about_what_was_asked_for_and_another_seed_cuts_other_rows():
    content = digests(20_000)
    cut = assign_splits(content, {"validation": 0.1, "test": 0.2}, 0)
    assert {split: round(len(rows) / 20_000, 2) for split, rows in cut.items()} == {
        "train": 0.7,
        "validation": 0.1,
        "test": 0.2,
    }
    assert len(np.unique(np.concatenate(list(cut.values())))) == 20_000
    other = assign_splits(content, {"validation": 0.1, "test": 0.2}, 1)
    assert len(np.intersect1d(cut["test"], other["test"])) / len(cut["test"]) < 0.25


def test_raising_one_share_moves_rows_out_of_train_alone():
    content = digests(5_000)
    small = assign_splits(content, {"validation": 0.1, "test": 0.1}, 0)
    large = assign_splits(content, {"validation": 0.3, "test": 0.1}, 0)
    assert set(small["validation"]) <= set(large["validation"])
    assert set(small["test"]) == set(large["test"])


def test_a_sample_is_the_same_rows_whatever_is_added():
    content = digests(1_000)
    first = sample_rows(content[:900], 300, 0)
    second = sample_rows(content, 300, 0)
    assert len(first) == len(second) == 300
    assert len(set(second) - set(first)) == len([row for row in second if row >= 900])


def test_two_datasets_of_the_same_rows_share_one_snapshot(tmp_path):
    store = Store(tmp_path / "store")
    first = publish_snapshot(store, "one", build(tmp_path, ROWS))
    pq.write_table(table_of(ROWS), tmp_path / "a.parquet")
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    second = publish_snapshot(store, "two", build(tmp_path, path="a.parquet"))
    assert second == first
    assert store.children("snapshots") == [first.content_hash]
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before
    for name in ("one", "two"):
        pointer = store.read_pointer(f"datasets/{name}/current.json")
        assert pointer is not None
        assert pointer["content_hash"] == first.content_hash
        record = store.read_pointer(f"datasets/{name}/{first.content_hash}.json")
        assert record is not None
        assert record["counts"]["read"] == 300


def test_a_loaded_snapshot_is_what_was_built(tmp_path):
    built = build(tmp_path, ROWS)
    snapshot = publish_snapshot(Store(tmp_path / "store"), "d", built)
    assert snapshot.rows == built.rows
    assert snapshot.class_names == built.class_names == ("negative", "positive")
    for split in built.rows:
        assert snapshot.table(split).equals(built.table(split).combine_chunks())


@pytest.mark.parametrize("file", ["train.parquet", "manifest.json"])
def test_a_flipped_bit_is_refused(tmp_path, file):
    store = Store(tmp_path / "store")
    snapshot = publish_snapshot(store, "d", build(tmp_path, ROWS))
    path = snapshot.folder / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=file):
        load_snapshot(store, snapshot.content_hash)


def test_a_snapshot_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not in the store"):
        load_snapshot(Store(tmp_path), "0" * 64)


def test_a_split_that_is_not_there_is_told(tmp_path):
    snapshot = publish_snapshot(
        Store(tmp_path / "s"), "d", build(tmp_path, ROWS, splits={"validation": 0.2, "test": 0})
    )
    with pytest.raises(UserError, match="has no test split, only train, validation"):
        snapshot.table("test")


def test_the_summary_counts_labels_and_lengths(tmp_path):
    summary = snapshot_summary(build(tmp_path, ROWS))
    assert sum(sum(counts.values()) for counts in summary["labels"].values()) == 300
    assert sum(sum(counts.values()) for counts in summary["lengths"].values()) == 300
    assert summary["schema"] == {"text": "string", "label": "int64", "row_id": "string"}
    assert len(summary["preview"]) == 5
    assert summary["preview"][0]["label"] in ("negative", "positive")
