"""The champion: best on validation among the current runs that pass their checks, and nothing else."""

import pytest

from bert_assets.stages import leaderboard
from bert_assets.stages.champion import Champion, champion_pointer, elect_champion, read_champion
from bert_assets.store.store import Store
from bert_assets_tests.test_leaderboard import row


def elect(rows, refused=(), dataset="reviews"):
    table = leaderboard.build(rows)
    return elect_champion(
        table,
        dataset,
        leaderboard="board",
        refusal=lambda row: "it fails" if row["run"] in refused else None,
    )


def test_the_best_on_validation_wins():
    election = elect([row("a", 0.7), row("b", 0.9, metrics_hash="m", configuration="c"), row("d", 0.8)])
    assert election.champion == Champion(
        dataset="reviews",
        run="b",
        configuration="c",
        model_id="m",
        weights_sha256="w",
        snapshot="new",
        metrics="m",
        leaderboard="board",
        headline="accuracy",
        value=0.9,
        reason="best of 3 evaluated runs by validation accuracy (0.9000) that passes its checks",
    )
    assert election.passed_over == []


def test_one_that_fails_its_checks_is_passed_over_with_the_reason():
    election = elect([row("a", 0.7), row("b", 0.9), row("c", 0.8)], refused={"b"})
    assert election.champion is not None
    assert election.champion.run == "c"
    assert election.passed_over == [("b", "it fails")]
    assert election.champion.reason.endswith("; passed over: b")


def test_nobody_wins_where_all_fail_or_none_was_evaluated():
    assert elect([row("a", 0.7)], refused={"a"}).champion is None
    assert elect([row("a", None)]).champion is None
    assert elect([row("a", 0.7, dataset="other")]).champion is None
    assert elect([]).champion is None


def test_runs_of_another_snapshot_take_no_part():
    election = elect([row("stale", 0.99, snapshot="old"), row("current", 0.6)])
    assert election.champion is not None
    assert election.champion.run == "current"


def test_test_figures_choose_nobody():
    better_on_test = row("a", 0.7)
    better_on_test["metrics"]["test"]["metrics"] = {"accuracy": 1.0}
    election = elect([better_on_test, row("b", 0.71)])
    assert election.champion is not None
    assert election.champion.run == "b"


def test_the_pointer_gives_the_champion_back(tmp_path):
    store = Store(tmp_path)
    assert read_champion(store, "reviews") is None
    champion = elect([row("a", 0.7, metrics_hash="m")]).champion
    assert champion is not None
    store.write_pointer(champion_pointer("reviews"), champion.document())
    assert read_champion(store, "reviews") == champion


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324])
def test_a_figure_survives_the_pointer_to_the_bit(tmp_path, value):
    store = Store(tmp_path)
    champion = elect([row("a", value, metrics_hash="m")]).champion
    assert champion is not None
    store.write_pointer(champion_pointer("reviews"), champion.document())
    assert read_champion(store, "reviews") == champion
