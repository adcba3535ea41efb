"""Which files the test processes take first."""

from __future__ import annotations

import pytest

# A file runs in one process from its first test to its last, and these take minutes: taken last, one process would
# still be at work when the others are done.
LONG = (
    "test_graph.py",
    "test_cli.py",
    "test_signals.py",
    "test_torture.py",
    "test_publish_event.py",
    "test_champion_assets.py",
    "test_reproduce.py",
    "test_concurrency.py",
    "test_train.py",
    "test_ci_recipe.py",
    "test_sweep_assets.py",
    "test_watch.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
