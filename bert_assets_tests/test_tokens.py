"""Token ids: those of plain transformers, made once and shared, padded only as far as a batch needs."""

import numpy as np
import pytest

from bert_assets.stages.base_model import resolve_base_model
from bert_assets.stages.tokens import collate, tokenize_snapshot, tokenize_texts
from bert_assets.stages.vocabulary import train_wordpiece
from bert_assets_tests.model_folders import make_tokenizer
from bert_assets_tests.world import make_world, small_rows

TEXTS = [text for text, _ in small_rows(60)]
PAIRS = [*TEXTS[1:], "the lamp"]
TOKENIZER = train_wordpiece(text for text, _ in small_rows(200))


@pytest.mark.parametrize("max_length", [8, 13, 64])
@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_they_are_what_transformers_gives(tmp_path, max_length, pairs):
    theirs = make_tokenizer(tmp_path)(TEXTS, pairs, truncation="longest_first", max_length=max_length)
    ours = tokenize_texts(TOKENIZER, TEXTS, pairs, max_length)
    assert ours.rows == len(TEXTS)
    for row, (start, end) in enumerate(zip(ours.offsets[:-1], ours.offsets[1:], strict=True)):
        assert ours.ids[start:end].tolist() == theirs["input_ids"][row]
        assert ours.type_ids[start:end].tolist() == theirs["token_type_ids"][row]


def test_it_is_told_which_rows_were_cut(tmp_path):
    full = tokenize_texts(TOKENIZER, TEXTS, None, 512)
    cut = tokenize_texts(TOKENIZER, TEXTS, None, 10)
    assert not full.truncated.any()
    assert cut.truncated.tolist() == (full.lengths > 10).tolist()
    assert cut.truncated.any()
    assert not cut.truncated.all()


def test_no_texts_give_no_tokens():
    assert tokenize_texts(TOKENIZER, [], None, 8).rows == 0


def test_a_batch_is_padded_to_its_longest_row():
    tokens = tokenize_texts(TOKENIZER, ["the lamp", "the lamp and the chair"], ["the fan", "the desk"], 64)
    batch = collate(tokens, np.array([1, 0]), pad_id=0, with_type_ids=True)
    assert batch["input_ids"].shape == (2, 10)
    assert batch["attention_mask"].sum(axis=1).tolist() == [10, 7]
    assert (batch["input_ids"][1, 7:] == 0).all()
    assert batch["token_type_ids"][1].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert batch["input_ids"][1, :7].tolist() == tokens.ids[:7].tolist()
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}
    assert collate(tokens, np.array([0]), pad_id=0, with_type_ids=False).keys() == {
        "input_ids",
        "attention_mask",
    }


def test_a_snapshot_is_tokenized_once(tmp_path):
    world = make_world(tmp_path)
    snapshot = world.snapshot()
    tokenizer = resolve_base_model(
        world.experiments.runs["one"], snapshot, tmp_path, world.store
    ).tokenizer_json
    first = tokenize_snapshot(world.store, snapshot, tokenizer, 24)
    written = {path: path.stat().st_mtime_ns for path in world.store.path("cache").rglob("*")}
    second = tokenize_snapshot(world.store, snapshot, tokenizer, 24)
    assert {path: path.stat().st_mtime_ns for path in world.store.path("cache").rglob("*")} == written
    for split in snapshot.rows:
        assert np.array_equal(first[split].ids, second[split].ids)
        assert np.array_equal(first[split].lengths, second[split].lengths)
    tokenize_snapshot(world.store, snapshot, tokenizer, 23)
    assert len(world.store.children("cache/tokens")) == 2


def test_a_corrupt_cache_is_put_aside_and_made_again(tmp_path):
    world = make_world(tmp_path)
    snapshot = world.snapshot()
    tokenizer = resolve_base_model(
        world.experiments.runs["one"], snapshot, tmp_path, world.store
    ).tokenizer_json
    first = tokenize_snapshot(world.store, snapshot, tokenizer, 24)
    (name,) = world.store.children("cache/tokens")
    file = world.store.path(f"cache/tokens/{name}/train.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    again = tokenize_snapshot(world.store, snapshot, tokenizer, 24)
    assert np.array_equal(first["train"].truncated, again["train"].truncated)
    assert len(list(world.store.path("quarantine").iterdir())) == 1
