"""Sources: the same rows from any format, place and cut; delimited files as they come; hub datasets."""

import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_assets.config.schema import DatasetConfig, FormatConfig
from bert_assets.errors import UserError
from bert_assets.stages.delimited import Dialect, read_delimited
from bert_assets.stages.snapshot import BuiltSnapshot, build_snapshot
from bert_assets.stages.source import read_source, read_table
from bert_assets_tests.world import small_rows, write_rows

ROWS = small_rows(120)
TABLE = pa.table({"sentence": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})


def dataset(path, **settings) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "d", "source": {"type": "file", "path": path}, **settings})


def build(root: Path, path, **settings) -> BuiltSnapshot:
    config = dataset(path, **settings)
    return build_snapshot(config, read_source(config, root))


def write(path: Path, table: pa.Table = TABLE) -> None:
    rows = list(zip(*table.to_pydict().values(), strict=True))
    if path.suffix == ".csv":
        write_rows(path, rows)
    elif path.suffix == ".tsv":
        path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    elif path.suffix == ".jsonl":
        import json

        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_snapshot(tmp_path, ending):
    write(tmp_path / "a.csv")
    write(tmp_path / f"b.{ending}")
    assert build(tmp_path, f"b.{ending}").content_hash == build(tmp_path, "a.csv").content_hash


def test_files_of_a_glob_are_read_in_the_order_of_their_names(tmp_path):
    write(tmp_path / "all.csv")
    for index in range(3):
        write(tmp_path / f"part-{index}.csv", TABLE.slice(index * 40, 40))
    parts = build(tmp_path, "part-*.csv")
    assert parts.content_hash == build(tmp_path, "all.csv").content_hash
    assert [file["rows"] for file in parts.record["source"]["files"]] == [40, 40, 40]


def test_a_glob_that_matches_nothing_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no-\*\.csv matches no file"):
        build(tmp_path, "no-*.csv")


def test_a_url_is_read_like_a_file(tmp_path):
    write(tmp_path / "a.parquet")
    with fsspec.open("memory://bucket/reviews/a.parquet", "wb") as file:
        file.write((tmp_path / "a.parquet").read_bytes())  # pyright: ignore[reportAttributeAccessIssue]
    there = build(tmp_path, "memory://bucket/reviews/*.parquet")
    assert there.content_hash == build(tmp_path, "a.parquet").content_hash


def test_a_url_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"memory://bucket/none\.csv does not exist"):
        build(tmp_path, "memory://bucket/none.csv")


def test_files_per_split_keep_their_splits_and_their_order(tmp_path):
    for split, start in (("train", 0), ("validation", 80), ("test", 100)):
        write(tmp_path / f"{split}.csv", TABLE.slice(start, 80 if split == "train" else 20))
    built = build(tmp_path, {split: f"{split}.csv" for split in ("train", "validation", "test")})
    assert built.rows == {"train": 80, "validation": 20, "test": 20}
    assert built.table("validation")["text"].to_pylist() == TABLE["sentence"].to_pylist()[80:100]
    assert built.record["cut"]["splits"] == []


def test_a_test_file_may_lack_labels(tmp_path):
    write(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("sentence\none text\nanother text\n")
    built = build(tmp_path, {"train": "train.csv", "test": "test.csv"})
    assert built.table("test")["label"].null_count == 2


def test_what_was_read_kept_and_dropped_is_recorded(tmp_path):
    write_rows(tmp_path / "a.csv", [*ROWS, ("", "positive"), ("no label here", "")])
    built = build(tmp_path, "a.csv", on_invalid="drop", max_rows={"train": 50})
    counts = built.record["counts"]
    assert counts["read"] == 122
    assert counts["kept"] == sum(built.rows.values())
    assert counts["read"] == counts["kept"] + sum(counts["dropped"].values())
    assert counts["dropped"]["blank text"] == 1
    assert counts["dropped"]["missing label"] == 1
    assert built.rows["train"] == 50


@pytest.mark.parametrize(
    ("names", "text", "pair", "label"),
    [
        (["sentence", "label"], "sentence", None, "label"),
        (["idx", "Text", "category"], "Text", None, "category"),
        (["sentence1", "sentence2", "score"], "sentence1", "sentence2", "score"),
        (["premise", "hypothesis", "label", "score"], "premise", "hypothesis", "label"),
        (["question1", "question2", "label"], "question1", "question2", "label"),
    ],
)
def test_columns_are_inferred_by_the_names_that_the_field_uses(tmp_path, names, text, pair, label):
    columns = {name: [f"{name} {row}" for row in range(4)] for name in names}
    columns[label] = ["0.5", "1.5", "2.5", "3"] if label == "score" else ["a", "b", "a", "b"]
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    chosen = read_source(dataset("a.parquet"), tmp_path).columns
    assert (chosen.text, chosen.text_pair, chosen.label) == (text, pair, label)


def test_texts_that_could_be_two_columns_are_not_guessed(tmp_path):
    pq.write_table(
        pa.table({"title": ["a"], "text": ["b"], "review": ["c"], "label": ["x"]}), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match=r"the text could be text or review\. Say which"):
        build(tmp_path, "a.parquet")


@pytest.mark.parametrize(
    ("labels", "task", "names"),
    [
        (["no", "yes"], "classification", ("no", "yes")),
        ([1, 0], "classification", ("0", "1")),
        (["3", "10"], "classification", ("3", "10")),
        ([True, False], "classification", ("False", "True")),
        ([0.5, 1.25], "regression", None),
    ],
)
def test_the_task_and_the_class_names_follow_the_labels(tmp_path, labels, task, names):
    table = pa.table({"text": [f"t {row}" for row in range(40)], "label": labels * 20})
    pq.write_table(table, tmp_path / "a.parquet")
    built = build(tmp_path, "a.parquet")
    assert built.task == task
    found = None if built.class_names is None else {name.lower() for name in built.class_names}
    assert found == (None if names is None else {name.lower() for name in names})


STSB_FORMAT = {
    "type": "tsv",
    "header": False,
    "columns": ["genre", "filename", "year", "index", "score", "sentence1", "sentence2"],
    "quoting": "none",
    "extra_columns": "ignore",
}
# Nine fields in the third line, and quotes that belong to the text.
RAGGED = "".join(
    f'g\tf\t2012\t{row:04}\t{row % 6}.{row % 4}00\tA "quoted text {row}.\tAnother text {row}.{extra}\n'
    for row, extra in enumerate(["", "", "\tsource\tanother", *[""] * 57])
)


def test_a_ragged_file_without_header_is_read_with_format_options(tmp_path):
    (tmp_path / "sts.csv").write_text(RAGGED)
    built = build(tmp_path, "sts.csv", format=STSB_FORMAT)
    assert built.task == "regression"
    assert built.has_pair
    assert built.record["counts"] == {**built.record["counts"], "read": 60, "kept": 60, "dropped": {}}
    texts = [text for split in built.rows for text in built.table(split)["text"].to_pylist()]
    assert 'A "quoted text 2.' in texts


def test_a_ragged_file_without_its_options_is_refused_with_its_first_wrong_line(tmp_path):
    (tmp_path / "sts.csv").write_text(RAGGED)
    strict = {**STSB_FORMAT, "extra_columns": "error"}
    with pytest.raises(UserError, match=r"sts\.csv, line 3: found 9 columns, expected 7"):
        build(tmp_path, "sts.csv", format=strict)
    (tmp_path / "sts.csv").write_text(RAGGED.replace("Another text 5.", "Another text, with a comma."))
    with pytest.raises(UserError, match=r"sts\.csv, line 6: found 2 columns, expected 1"):
        build(tmp_path, "sts.csv")


@pytest.mark.skipif(
    "BERT_ASSETS_BENCH_DATA" not in os.environ, reason="BERT_ASSETS_BENCH_DATA names no folder"
)
class TestRealData:
    def folder(self) -> Path:
        return Path(os.environ["BERT_ASSETS_BENCH_DATA"])

    def stsb(self, **settings) -> BuiltSnapshot:
        paths = {"train": "stsb/train.csv", "validation": "stsb/dev.csv", "test": "stsb/test.csv"}
        return build(self.folder(), paths, **settings)

    def test_sts_b_is_a_regression_on_pairs_with_its_options(self):
        built = self.stsb(format=STSB_FORMAT)
        assert built.task == "regression"
        assert built.has_pair
        assert built.rows == {"train": 5749, "validation": 1500, "test": 1379}

    def test_sts_b_without_its_options_is_refused_with_a_line_number(self):
        with pytest.raises(UserError, match=r"stsb/train\.csv, line \d+"):
            self.stsb()
        with pytest.raises(UserError, match=r"stsb/train\.csv, line 5553: found 9 columns, expected 7"):
            self.stsb(format={**STSB_FORMAT, "extra_columns": "error"})

    def test_sst_2_keeps_every_row_and_counts_its_duplicates(self):
        built = build(
            self.folder(),
            {"train": "sst2/train.tsv", "validation": "sst2/validation.tsv"},
            splits={"test": 0},
        )
        assert built.rows == {"train": 67349, "validation": 872}
        assert built.class_names == ("0", "1")
        assert built.record["figures"]["duplicates"]["train"]["texts"] == 371


FIELD = st.text(st.sampled_from('ab ",\n\r\té'), max_size=6)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=5), st.booleans())
def test_the_fast_and_the_exact_reader_agree(rows, quoting):
    """On what csv writes, and on the same bytes with quotes as plain characters, up to both refusing."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerows([("one", "two"), *rows])
    data = text.getvalue().encode()
    dialect = Dialect(delimiter=",", quoting=quoting)

    def read(exact: bool):
        try:
            return read_delimited(data, dialect, "file", exact=exact).to_pydict()
        except UserError as error:
            return str(error)

    assert read(False) == read(True)


def test_a_table_of_a_file_on_the_command_line_counts_from_the_current_directory(tmp_path, monkeypatch):
    write(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    assert read_table(Path("a.csv"), FormatConfig()).num_rows == 120


# --- The hub, through a stand-in that returns what `datasets.load_dataset` returns ---------------------------------


def hub(name: str = "owner/name", **settings) -> DatasetConfig:
    source = {"type": "hub", "name": name, "revision": "a" * 40}
    return DatasetConfig.model_validate({"name": "d", "source": source, **settings})


@pytest.fixture
def on_the_hub(monkeypatch):
    """Puts a DatasetDict on the hub; returns the calls that load it."""
    import datasets

    calls = []

    def put(splits: dict) -> list:
        features = datasets.Features(
            {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
        )
        loaded = datasets.DatasetDict(
            {
                split: datasets.Dataset.from_dict({"sentence": texts, "label": labels}, features=features)
                for split, (texts, labels) in splits.items()
            }
        )
        monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: (calls.append((a, k)), loaded)[1])
        return calls

    return put


def rows_of(count: int) -> tuple[list[str], list[int]]:
    return [f"text {row}" for row in range(count)], [row % 2 for row in range(count)]


def test_a_hub_dataset_keeps_its_splits_and_class_names(on_the_hub):
    calls = on_the_hub({"train": rows_of(10), "dev": (["a", "b"], [1, 0]), "test": (["c"], [-1])})
    config = hub()
    built = build_snapshot(config, read_source(config, Path("/")))
    assert calls == [(("owner/name", None), {"revision": "a" * 40})]
    assert built.rows == {"train": 10, "validation": 2, "test": 1}
    assert built.class_names == ("neg", "pos")
    assert built.table("validation")["label"].to_pylist() == [1, 0]
    # -1 is the hub's mark for no label.
    assert built.table("test")["label"].to_pylist() == [None]
    assert built.record["source"]["revision"] == "a" * 40


def test_a_hub_dataset_without_a_train_split_is_told(on_the_hub):
    on_the_hub({"all": rows_of(10)})
    with pytest.raises(UserError, match="has no split named train; its splits are all"):
        read_source(hub(), Path("/"))
