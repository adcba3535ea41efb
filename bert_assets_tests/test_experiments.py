"""Experiments: what is read, and that everything wrong is told at once, with its place and what was expected."""

from pathlib import Path

import pytest

from bert_assets.config.experiments import Experiments, config_hash, experiment_runs, load_experiments
from bert_assets.config.schema import DatasetConfig, RunConfig, Seconds, fields_of_role
from bert_assets.errors import UserError

GOOD = """\
datasets:
  reviews:
    source: {type: file, path: data/reviews.csv}
    text: sentence
runs:
  tiny:
    dataset: reviews
    model: scratch/tiny
"""
COMMIT = "86b5e0934494bd15c9632b12f734a8a67f723594"


def load(root: Path, text: str | bytes = GOOD, **more: str) -> Experiments:
    folder = root / "experiments"
    folder.mkdir(exist_ok=True)
    (folder / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, content in more.items():
        (folder / f"{name}.yaml").write_text(content)
    return load_experiments(folder)


def refused(root: Path, text: str | bytes, **more: str) -> str:
    with pytest.raises(UserError) as error:
        load(root, text, **more)
    return str(error.value)


def run_with(line: str) -> str:
    return GOOD + f"    {line}\n"


def dataset_with(line: str) -> str:
    return GOOD.replace("    text: sentence\n", f"    {line}\n")


def test_defaults_fill_what_is_not_written(tmp_path):
    experiments = load(tmp_path)
    run = experiments.runs["tiny"]
    assert (run.epochs, run.batch_size, run.seed, run.precision, run.device) == (3, 32, 0, "fp32", "auto")
    assert run.checkpoint_every == Seconds(seconds=60)
    assert run.configuration == "tiny"
    dataset = experiments.datasets["reviews"]
    assert (dataset.splits.validation, dataset.splits.test) == (0.1, 0.1)
    assert dataset.checks.leakage.max_share == 0.01
    assert experiments.root == tmp_path


def test_a_dataset_may_stand_in_another_file(tmp_path):
    datasets, runs = GOOD.split("runs:")
    experiments = load(tmp_path, datasets, b="runs:" + runs)
    assert list(experiments.runs) == ["tiny"]
    assert experiment_runs(experiments, tmp_path / "experiments" / "b.yaml") == ["tiny"]


@pytest.mark.parametrize(
    ("written", "read"),
    [("1e-4", 1e-4), ("1.0E-4", 1e-4), (".5", 0.5), ("1", 1.0)],
)
def test_numbers_are_numbers(tmp_path, written, read):
    assert load(tmp_path, run_with(f"learning_rate: {written}")).runs["tiny"].learning_rate == read


@pytest.mark.parametrize(("written", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200)])
def test_checkpoints_may_be_made_by_wall_time(tmp_path, written, seconds):
    assert load(tmp_path, run_with(f"checkpoint_every: {written}")).runs["tiny"].checkpoint_every == Seconds(
        seconds=seconds
    )


def test_words_that_other_yaml_reads_as_booleans_are_words(tmp_path):
    experiments = load(tmp_path, dataset_with("text: on").replace("tiny:", "no:"))
    assert experiments.datasets["reviews"].text == "on"
    assert list(experiments.runs) == ["no"]


def test_anchors_and_merge_keys_work(tmp_path):
    text = GOOD.replace("  tiny:\n", "  tiny: &base\n") + "  other:\n    <<: *base\n    epochs: 9\n"
    runs = load(tmp_path, text).runs
    assert (runs["other"].model, runs["other"].epochs, runs["tiny"].epochs) == ("scratch/tiny", 9, 3)


# The YAML, and parts of the message.
FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "not YAML": ("datasets: [", ["experiments/a.yaml:1: is not YAML"]),
    "tabs": ("datasets:\n\treviews: 1\n", ["experiments/a.yaml:2: is not YAML"]),
    "a list": ("- datasets\n", ["experiments/a.yaml:1: the top level is a list; expected a mapping"]),
    "a word": ("datasets\n", ["the top level is a single value"]),
    "empty": ("", ["experiments/a.yaml:1: is empty; expected"]),
    "comments alone": ("# nothing\n", ["is empty"]),
    "not UTF-8": (b"datasets:\n  caf\xe9: 1\n", ["experiments/a.yaml:2: is not UTF-8 (byte 0xe9)"]),
    "another section": (
        GOOD + "run:\n  x: 1\n",
        ["experiments/a.yaml:9: run: unknown key 'run'; did you mean 'runs'?"],
    ),
    "no runs in runs": (GOOD.split("  tiny")[0], ["expected a mapping of runs by name, got null"]),
    "a key twice": (
        run_with("model: scratch/mini"),
        ["a.yaml:9: runs.tiny.model: the key 'model' stands twice", "line 8"],
    ),
    "a run twice": (GOOD + GOOD.split("runs:\n")[1], ["a.yaml:9: runs.tiny: the key 'tiny' stands twice"]),
    "a tag that makes objects": (
        run_with("seed: !!python/object:os.system 1"),
        ["is not supported; remove it"],
    ),
    "an alias in itself": ("datasets: &a\n  x: *a\n", ["an alias refers to the value that holds it"]),
    "deep nesting": ("datasets: " + "[" * 100 + "]" * 100, ["nested more than 50 levels deep"]),
    "a billion laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{n}: &{n} [{','.join(['*' + p] * 10)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
        ["stands for more than"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, case):
    text, parts = FILES[case]
    message = refused(tmp_path, text)
    for part in parts:
        assert part in message


RUNS: dict[str, tuple[str, list[str]]] = {
    "an unknown key": (
        "epoch: 3",
        ["a.yaml:9: runs.tiny.epoch: unknown key 'epoch'; did you mean 'epochs'?"],
    ),
    "no epochs": ("epochs: 0", ["a.yaml:9: runs.tiny.epochs: expected a number of at least 1, got 0"]),
    "a part of an epoch": ("epochs: 1.5", ["runs.tiny.epochs: expected a whole number, got 1.5"]),
    "epochs as text": ('epochs: "3"', ["expected a whole number, got '3'; remove the quotes"]),
    "epochs as truth": ("epochs: true", ["runs.tiny.epochs: expected a whole number, got true"]),
    "epochs as nothing": ("epochs:", ["runs.tiny.epochs: expected a whole number, got null"]),
    "a negative batch": ("batch_size: -1", ["runs.tiny.batch_size: expected a number of at least 1, got -1"]),
    "a learning rate of 0": (
        "learning_rate: 0",
        ["runs.tiny.learning_rate: expected a number greater than 0"],
    ),
    "an infinite learning rate": (
        "learning_rate: .inf",
        ["runs.tiny.learning_rate: expected a finite number"],
    ),
    "no number as learning rate": ("learning_rate: .nan", ["runs.tiny.learning_rate: expected a"]),
    "a warm-up beyond the end": (
        "warmup_ratio: 1.5",
        ["runs.tiny.warmup_ratio: expected a number of at most 1"],
    ),
    "no room for a token": ("max_length: 2", ["runs.tiny.max_length: expected a number of at least 4"]),
    "an unknown precision": ("precision: fp16", ["expected fp32 or bf16, got 'fp16'"]),
    "an unknown device": ("device: gpu", ["expected auto, cpu, cuda or mps, got 'gpu'"]),
    "a time of no unit": ("checkpoint_every: 5x", ["or a time such as 30s, 5m or 1h, got '5x'"]),
    "no time": ("checkpoint_every: 0s", ["or a time such as 30s, 5m or 1h, got '0s'"]),
    "no steps": ("checkpoint_every: 0", ["expected a number of steps from 1"]),
    "a negative seed": ("seed: -1", ["runs.tiny.seed: expected a number of at least 0"]),
    "a seed beyond 32 bits": ("seed: 4294967296", ["runs.tiny.seed: expected a number less than 4294967296"]),
    "a revision for a fresh model": (
        f"revision: {COMMIT}",
        ["runs.tiny.revision: is for hub models; remove it"],
    ),
    "the name as a key": ("name: other", ["runs.tiny.name: unknown key 'name'"]),
    "an empty grid": ("grid: {}", ["runs.tiny.grid"]),
    "a grid of nothing": ("grid: {seed: []}", ["runs.tiny.grid.seed"]),
    "a grid that is a list": ("grid: [1, 2]", ["runs.tiny.grid"]),
    "a grid value that is impossible": (
        "grid: {learning_rate: [1e-4, -1]}",
        ["runs.tiny.grid.learning_rate[1]"],
    ),
    "a grid value twice": ("grid: {learning_rate: [1e-4, 1.0e-4]}", ["runs.tiny.grid.learning_rate"]),
    "a grid of a key that has none": ("grid: {device: [cpu, cuda]}", ["runs.tiny.grid.device"]),
    "a grid of an unknown key": ("grid: {learning_rat: [1e-4]}", ["did you mean 'learning_rate'?"]),
    "a key of the grid that is written too": ("seed: 1\n    grid: {seed: [1, 2]}", ["runs.tiny.grid.seed"]),
}
# Keys of the design that enter with the features that make them work.
LATER = ("timeout", "on_numerics_change", "class_weights", "truncation", "resources", "max_tokens_per_batch")
RUNS |= {
    f"{key}, which is for later": (f"{key}: 1", [f"runs.tiny.{key}: unknown key '{key}'"]) for key in LATER
}


@pytest.mark.parametrize("case", RUNS)
def test_an_impossible_run_is_refused(tmp_path, case):
    line, parts = RUNS[case]
    message = refused(tmp_path, run_with(line))
    for part in parts:
        assert part in message


DATASETS: dict[str, tuple[str, list[str]]] = {
    "an unknown key": (
        "txt: sentence",
        ["a.yaml:4: datasets.reviews.txt: unknown key 'txt'; did you mean 'text'?"],
    ),
    "a nested unknown key": (
        "splits: {validaton: 0.1}",
        ["datasets.reviews.splits.validaton", "did you mean 'validation'?"],
    ),
    "shares that leave nothing": (
        "splits: {validation: 0.5, test: 0.5}",
        ["sum to less than 1", "nothing is left"],
    ),
    "a negative share": (
        "splits: {validation: -0.1}",
        ["datasets.reviews.splits.validation: expected a number of at least 0"],
    ),
    "no rows": ("max_rows: {train: 0}", ["datasets.reviews.max_rows.train: expected a number of at least 1"]),
    "rows of an unknown split": ("max_rows: {dev: 5}", ["datasets.reviews.max_rows"]),
    "a misspelt task": ("task: classify", ["did you mean 'classification'?"]),
    "two columns of one name": ("text: a\n    label: a", ["datasets.reviews.label", "is text already"]),
    "a delimiter of two characters": ('format: {delimiter: "||"}', ["expected a single character"]),
    "a delimiter for jsonl": ('format: {type: jsonl, delimiter: ";"}', ["is for csv and tsv files"]),
    "an unknown severity": ("checks: {leakage: {severity: fatal}}", ["expected warn or error, got 'fatal'"]),
    "texts and pairs mixed": ('examples: ["a", ["b", "c"]]', ["got some of each"]),
    "a blank example": ('examples: [" "]', ["datasets.reviews.examples[0]"]),
}


@pytest.mark.parametrize("case", DATASETS)
def test_an_impossible_dataset_is_refused(tmp_path, case):
    line, parts = DATASETS[case]
    message = refused(tmp_path, dataset_with(line))
    for part in parts:
        assert part in message


SOURCES = {
    "no source": ("", ["datasets.reviews.source: required key is missing"]),
    "no type": ("source: {path: a.csv}", ["required key 'type' is missing"]),
    "an unknown type": ("source: {type: files, path: a.csv}", ["did you mean 'file'?"]),
    "no path": ("source: {type: file}", ["datasets.reviews.source.path: required key is missing"]),
    "an unknown split": ("source: {type: file, path: {train: a, dev: b}}", ["unknown split 'dev'"]),
    "no train": ("source: {type: file, path: {test: a}}", ["the split 'train' is missing"]),
    "a hub name without owner": (
        f"source: {{type: hub, name: sst2, revision: {COMMIT}}}",
        ["expected owner/name"],
    ),
    "no revision": (
        "source: {type: hub, name: a/b}",
        ["datasets.reviews.source.revision: required key is missing"],
    ),
    "a branch": ("source: {type: hub, name: a/b, revision: main}", ["the full commit hash"]),
}


@pytest.mark.parametrize("case", SOURCES)
def test_an_impossible_source_is_refused(tmp_path, case):
    line, parts = SOURCES[case]
    text = GOOD.replace("    source: {type: file, path: data/reviews.csv}\n", f"    {line}\n" if line else "")
    message = refused(tmp_path, text)
    for part in parts:
        assert part in message


MODELS = {
    "an unknown preset": ("scratch/tinny", ["did you mean 'scratch/tiny'?"]),
    "a hub model without revision": (
        "google/bert",
        ["runs.tiny.revision: required for the hub model 'google/bert'"],
    ),
    "a path that is not marked as one": ("models/my/bert", ["a folder that starts with ./ ../ / or ~"]),
}


@pytest.mark.parametrize("case", MODELS)
def test_an_impossible_model_is_refused(tmp_path, case):
    model, parts = MODELS[case]
    message = refused(tmp_path, GOOD.replace("scratch/tiny", model))
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", ["a/b", "a..b", "Tiny", "-a", "ä", "a b", "x" * 101])
def test_names_that_cannot_be_partitions_are_refused(tmp_path, name):
    for text in (GOOD.replace("  tiny:", f'  "{name}":'), GOOD.replace("  reviews:", f'  "{name}":')):
        assert "is not a name: expected 1 to 100 lower-case letters" in refused(tmp_path, text)


def test_a_run_of_an_unknown_dataset_is_told_the_nearest(tmp_path):
    message = refused(tmp_path, GOOD.replace("dataset: reviews", "dataset: review"))
    assert "a.yaml:7: runs.tiny.dataset: unknown dataset 'review'; did you mean 'reviews'?" in message


def test_one_name_in_two_files_is_refused(tmp_path):
    message = refused(tmp_path, GOOD, b="runs:\n  tiny:\n    dataset: reviews\n    model: scratch/mini\n")
    assert (
        "b.yaml:2: runs.tiny: 'tiny' is declared in experiments/a.yaml:6 too; rename one of the two"
        in message
    )


def test_a_grid_point_with_the_name_of_another_run_is_refused(tmp_path):
    text = run_with("grid: {seed: [1, 2]}") + "  tiny-s2:\n    dataset: reviews\n    model: scratch/tiny\n"
    assert "'tiny-s2'" in refused(tmp_path, text)


def test_everything_wrong_is_told_at_once_in_order(tmp_path):
    text = (
        run_with("epoch: 3")
        .replace("scratch/tiny", "scratch/tinny")
        .replace("text: sentence", "task: classify")
    )
    message = refused(
        tmp_path, text, b="runs:\n  other:\n    dataset: nothing\n    model: scratch/tiny\n    seed: -1\n"
    )
    lines = message.splitlines()
    assert lines[0] == "5 problems in the experiments:"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "experiments/a.yaml:4",
        "experiments/a.yaml:8",
        "experiments/a.yaml:9",
        "experiments/b.yaml:3",
        "experiments/b.yaml:5",
    ]


def test_a_folder_that_is_not_there_or_empty_says_how_to_begin(tmp_path):
    with pytest.raises(UserError, match=r"does not exist\. To begin, put a YAML file"):
        load_experiments(tmp_path / "none")
    with pytest.raises(UserError, match="holds no YAML file"):
        load_experiments(tmp_path)


# --- Roles, hashes, round trips ------------------------------------------------------------------------------------


def test_every_field_of_a_run_declares_what_it_is_to_the_weights():
    declared = fields_of_role("weights") + fields_of_role("content") + fields_of_role("setting")
    assert sorted(declared) == sorted(RunConfig.model_fields)
    with pytest.raises(TypeError, match=r"Careless\.momentum: declare it with weights_field"):

        class Careless(RunConfig):
            momentum: float = 0.9


OTHERS = {
    "seed": 9,
    "epochs": 9,
    "batch_size": 9,
    "learning_rate": 0.5,
    "max_length": 9,
    "precision": "bf16",
    "warmup_ratio": 0.5,
    "weight_decay": 0.5,
    "early_stopping": 9,
    "eval_every": 9,
    "gradient_accumulation": 9,
    "max_grad_norm": 9.0,
    "model": "scratch/mini",
    "dataset": "other",
    "revision": COMMIT,
    "device": "cpu",
    "threads": 9,
    "checkpoint_every": 9,
    "keep_checkpoints": 9,
    "name": "other",
    "configuration": "other",
}


@pytest.mark.parametrize("field", sorted(RunConfig.model_fields))
def test_the_config_hash_changes_with_what_can_change_the_weights_and_with_nothing_else(tmp_path, field):
    experiments = load(tmp_path)
    run, dataset = experiments.runs["tiny"], experiments.datasets["reviews"]
    other = run.model_copy(update={field: OTHERS[field]})
    changes = config_hash(run, dataset) != config_hash(other, dataset)
    # The dataset counts by its own name, which both have.
    assert changes == (field in fields_of_role("weights", "content") and field != "dataset")


def test_a_run_and_a_dataset_survive_json(tmp_path):
    text = dataset_with(
        'examples: ["a"]\n    format: {delimiter: ";", columns: [x, y], header: false}\n    max_rows: {train: 5}'
    )
    text += "    checkpoint_every: 5m\n    early_stopping: 2\n    grid: {learning_rate: [1e-5], seed: [3]}\n"
    experiments = load(tmp_path, text)
    for run in experiments.runs.values():
        assert RunConfig.model_validate(run.model_dump(mode="json")) == run
    for dataset in experiments.datasets.values():
        assert DatasetConfig.model_validate(dataset.model_dump(mode="json")) == dataset


def test_configs_are_frozen(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path).runs["tiny"].epochs = 5  # type: ignore[misc]
