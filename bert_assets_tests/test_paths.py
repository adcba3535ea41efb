"""Paths count from one root, wherever the process stands."""

from pathlib import Path

import pytest

import bert_assets
from bert_assets.config.paths import experiments_folder, project_root, resolve_path, store_root
from bert_assets.errors import UserError

REPOSITORY = Path(bert_assets.__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_variables(monkeypatch, tmp_path):
    for name in ("BERT_ASSETS_ROOT", "BERT_ASSETS_EXPERIMENTS", "BERT_ASSETS_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_anything_it_is_the_repositorys_own():
    assert project_root() == REPOSITORY
    assert experiments_folder() == REPOSITORY / "experiments"
    assert store_root() == REPOSITORY / "data" / "store"


def test_the_nearest_experiments_folder_upward_wins(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    assert project_root() == tmp_path
    assert store_root() == tmp_path / "data" / "store"


def test_the_root_variable_wins_over_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("BERT_ASSETS_ROOT", str(tmp_path / "other"))
    assert experiments_folder() == tmp_path / "other" / "experiments"


def test_the_experiments_variable_decides_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_ASSETS_EXPERIMENTS", str(tmp_path / "mine" / "yaml"))
    assert project_root() == tmp_path / "mine"
    monkeypatch.setenv("BERT_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("BERT_ASSETS_EXPERIMENTS", "yaml")
    assert experiments_folder() == tmp_path / "yaml"


def test_a_relative_root_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_ASSETS_ROOT", "here")
    with pytest.raises(UserError, match=f"expected an absolute path, such as {tmp_path}/here"):
        project_root()


def test_a_root_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_ASSETS_ROOT", str(tmp_path / "none"))
    with pytest.raises(UserError, match="there is no such folder"):
        project_root()


def test_the_store_counts_from_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("BERT_ASSETS_STORE", "results")
    assert store_root() == tmp_path / "results"
    monkeypatch.setenv("BERT_ASSETS_STORE", "/elsewhere")
    assert store_root() == Path("/elsewhere")


def test_a_store_behind_a_url_is_refused(monkeypatch):
    monkeypatch.setenv("BERT_ASSETS_STORE", "s3://bucket/store")
    with pytest.raises(UserError, match="keeps its store in a local folder only"):
        store_root()


def test_paths_in_yaml_count_from_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve_path(tmp_path, "a/b.csv") == tmp_path / "a" / "b.csv"
    assert resolve_path(tmp_path, "/a/b.csv") == Path("/a/b.csv")
    assert resolve_path(tmp_path, "~/b.csv") == Path("/home/me/b.csv")
