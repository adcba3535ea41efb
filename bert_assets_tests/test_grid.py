"""Grids: stable names, one per point, that no other value shares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_assets.config.grid import ABBREVIATIONS, expand_entry, format_number
from bert_assets.config.schema import RunConfig, fields_of_role

ENTRY = {"dataset": "d", "model": "scratch/tiny"}


def names(grid: dict) -> list[tuple[str, str]]:
    runs, complaints = expand_entry("tiny", {**ENTRY, "grid": grid})
    assert complaints == []
    return [(run.name, run.configuration) for run in runs]


def test_a_run_without_a_grid_has_its_own_name():
    runs, _ = expand_entry("tiny", ENTRY)
    assert [(run.name, run.configuration) for run in runs] == [("tiny", "tiny")]


def test_points_are_named_by_key_and_value_with_the_seed_last():
    assert names({"seed": [1, 2], "learning_rate": [1e-4, 3e-4]}) == [
        ("tiny-lr1e-4-s1", "tiny-lr1e-4"),
        ("tiny-lr1e-4-s2", "tiny-lr1e-4"),
        ("tiny-lr3e-4-s1", "tiny-lr3e-4"),
        ("tiny-lr3e-4-s2", "tiny-lr3e-4"),
    ]


def test_the_order_of_keys_does_not_change_a_name():
    one = {name for name, _ in names({"seed": [1], "epochs": [2], "learning_rate": [0.1]})}
    other = {name for name, _ in names({"learning_rate": [0.1], "seed": [1], "epochs": [2]})}
    assert one == other == {"tiny-ep2-lr0.1-s1"}


def test_a_grid_of_seeds_alone_keeps_the_configuration():
    assert names({"seed": [1, 2]}) == [("tiny-s1", "tiny"), ("tiny-s2", "tiny")]


def test_models_are_named_by_their_last_part():
    entry = {"dataset": "d", "grid": {"model": ["scratch/tiny", "./models/My BERT"]}}
    runs, complaints = expand_entry("tiny", entry)
    assert complaints == []
    assert [run.name for run in runs] == ["tiny-mtiny", "tiny-mmy_bert"]


def test_null_is_a_value():
    assert [name for name, _ in names({"early_stopping": [None, 2]})] == ["tiny-esnone", "tiny-es2"]


def test_each_point_has_its_settings():
    runs, _ = expand_entry("tiny", {**ENTRY, "epochs": 7, "grid": {"batch_size": [8, 16]}})
    assert [(run.batch_size, run.epochs) for run in runs] == [(8, 7), (16, 7)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (3.0, "3"), (0, "0"), (1e-4, "1e-4"), (0.0001, "1e-4"), (2.5e-5, "2.5e-5"), (0.01, "0.01"),
        (0.06, "0.06"), (2.5, "2.5"), (1e6, "1e6"), (0.009, "9e-3"), (123456.0, "123456"),
    ],
)  # fmt: skip
def test_a_number_has_one_way_to_be_written(value, text):
    assert format_number(value) == text


@settings(max_examples=300, derandomize=True)
@given(st.floats(min_value=1e-12, max_value=1e12), st.floats(min_value=1e-12, max_value=1e12))
def test_numbers_share_a_name_only_if_they_are_equal(first, second):
    assert (format_number(first) == format_number(second)) == (first == second)


def test_the_abbreviations_are_pinned():
    """Another one would rename everybody's runs."""
    assert dict(ABBREVIATIONS) == {
        "model": "m",
        "max_length": "ml",
        "precision": "p",
        "epochs": "ep",
        "batch_size": "bs",
        "gradient_accumulation": "ga",
        "learning_rate": "lr",
        "warmup_ratio": "wu",
        "weight_decay": "wd",
        "max_grad_norm": "gn",
        "early_stopping": "es",
        "eval_every": "ee",
        "seed": "s",
    }


def test_everything_that_can_change_the_weights_can_be_in_a_grid():
    assert set(fields_of_role("weights")) <= set(ABBREVIATIONS) <= set(RunConfig.model_fields)


def test_a_name_that_grows_too_long_is_refused():
    runs, complaints = expand_entry("x" * 98, {**ENTRY, "grid": {"seed": [1]}})
    assert runs == []
    assert "expected at most 100" in complaints[0].message


def test_too_many_points_are_refused():
    runs, complaints = expand_entry(
        "tiny", {**ENTRY, "grid": {"seed": list(range(200)), "epochs": list(range(1, 101))}}
    )
    assert runs == []
    assert complaints
