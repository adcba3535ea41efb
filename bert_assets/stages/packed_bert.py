"""BERT's forward pass over the tokens of a batch end to end: no padding, and no work whose result nobody reads.

It computes what `BertForSequenceClassification` of transformers computes, with that model's own parameters, and saves:

- padding: every layer sees the real tokens alone, shape (tokens, hidden); only attention's small products are padded,
  to the longest row of the batch, and rows of a batch are of nearly equal length (schedule.py);
- the last layer of all tokens but the first of each row, since the classifier reads no other;
- drawing dropout's masks one number after the other (dropout.py);
- a gradient for words that the training rows do not hold (word_rows.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from bert_assets.stages.dropout import Dropout
from bert_assets.stages.products import by_onednn, linear
from bert_assets.stages.tokens import TokenizedSplit

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": partial(functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
    "relu": functional.relu,
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def is_packable(model: PreTrainedModel) -> bool:
    """Whether the model is a BERT classifier of the kind that this module computes."""
    config = model.config
    return (
        type(model).__name__ == "BertForSequenceClassification"
        and config.hidden_act in ACTIVATIONS
        and getattr(config, "position_embedding_type", None) in (None, "absolute")
        and not getattr(config, "is_decoder", False)
        and not getattr(config, "add_cross_attention", False)
    )


def filled_up(tokens: int) -> int:
    """The next number of tokens of which there are eight between a power of two and the next, and multiples of 16.

    oneDNN prepares itself for each shape anew, which takes as long as a product and half a megabyte, and keeps what it
    has prepared: a few more tokens in a batch cost less.
    """
    step = max(16, 2 ** (tokens.bit_length() - 1) // 8)
    return -(-tokens // step) * step


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows of a batch, their tokens end to end.

    `ids`, `positions` and `type_ids` (None if the model has one type only): int64, shape (tokens,), of which the first
    `real` are tokens of rows and the others stand there for nothing. `first`: the index of each row's first token,
    int64, shape (rows,). `places`: where each real token stands among rows padded to `longest`, int64, shape (real,);
    None if every token is real and no row is shorter than that.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    type_ids: torch.Tensor | None
    real: int
    first: torch.Tensor
    rows: int
    longest: int
    places: torch.Tensor | None

    @classmethod
    def of(
        cls,
        tokens: TokenizedSplit,
        rows: np.ndarray,
        *,
        type_ids: bool,
        place: np.ndarray | None = None,
        fill: bool = False,
    ) -> Packed:
        """The rows of `tokens`, numbered by `place` (vocabulary,) if it is given (word_rows.py), to numbers of tokens that
        come again if `fill`.
        """
        lengths = tokens.lengths[rows]
        longest = int(lengths.max())
        inside = np.arange(longest) < lengths[:, None]
        row, position = np.nonzero(inside)
        source = tokens.offsets[rows][row] + position
        # What stands for nothing repeats the first token: any id will do.
        filled = np.resize(source, filled_up(len(source)) if fill else len(source))
        filled[len(source) :] = source[0]
        ids = tokens.ids[filled]
        positions = np.zeros(len(filled), np.int64)
        positions[: len(source)] = position
        is_full = inside.all() and len(filled) == len(source)
        return cls(
            ids=torch.from_numpy(ids.astype(np.int64) if place is None else place[ids]),
            positions=torch.from_numpy(positions),
            type_ids=torch.from_numpy(tokens.type_ids[filled].astype(np.int64)) if type_ids else None,
            real=len(source),
            first=torch.from_numpy(np.cumsum(lengths) - lengths),
            rows=len(rows),
            longest=longest,
            places=None if is_full else torch.from_numpy(row * longest + position),
        )

    def padded(self, values: torch.Tensor) -> torch.Tensor:
        """`values` of shape (tokens, n) as (rows · longest, n), zero where there is no token."""
        return values if self.places is None else _Move.apply(values, self, True)

    def unpadded(self, values: torch.Tensor) -> torch.Tensor:
        """The way back; zero for what stands for nothing."""
        return values if self.places is None else _Move.apply(values, self, False)

    def move(self, values: torch.Tensor, *, to_padded: bool) -> torch.Tensor:
        assert self.places is not None
        if to_padded:
            moved = values.new_zeros(self.rows * self.longest, values.shape[1])
            return moved.index_copy_(0, self.places, values[: self.real])
        moved = values.new_empty(len(self.ids), values.shape[1])
        torch.index_select(values, 0, self.places, out=moved[: self.real])
        moved[self.real :] = 0
        return moved

    @cached_property
    def beyond(self) -> torch.Tensor | None:
        """True where there is no token: bool, shape (rows, longest); None if there is one everywhere."""
        if self.places is None:
            return None
        return (
            torch.ones(self.rows * self.longest, dtype=torch.bool)
            .index_fill_(0, self.places, False)
            .view(self.rows, self.longest)
        )


class PackedBert:
    """The forward pass of one model, whose parameters stay where they are.

    Matrix products are in `dtype`; sums and normalizations in float32. With another dtype than float32 the products'
    weights are copies: made when the object is, renewed by `convert_weights`. With `trains` the copies collect the
    gradients, which `collect_gradients` adds to those of the model's parameters.
    """

    def __init__(
        self, model: PreTrainedModel, *, dtype: torch.dtype = torch.float32, trains: bool = False
    ) -> None:
        if not is_packable(model):
            raise ValueError(f"a {type(model).__name__} is not computed by this module")
        self.model: Any = model
        self.dtype = dtype
        self.fills = dtype == torch.bfloat16 or by_onednn()
        layers = [*self.model.bert.encoder.modules(), self.model.bert.pooler.dense]
        layers = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        self._own = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
        self._used = self._own
        if dtype != torch.float32:
            self._used = [parameter.detach().to(dtype).requires_grad_(trains) for parameter in self._own]
        self._sums = [torch.empty_like(parameter) for parameter in self._own] if trains else []
        self._weights = dict(zip(layers, zip(self._used[::2], self._used[1::2], strict=True), strict=True))
        config = model.config
        self.heads: int = config.num_attention_heads
        self.has_types: bool = config.type_vocab_size > 1
        self.activation = ACTIVATIONS[config.hidden_act]
        self.hidden_dropout: float = config.hidden_dropout_prob
        self.attention_dropout: float = config.attention_probs_dropout_prob
        classifier = config.classifier_dropout
        self.classifier_dropout: float = self.hidden_dropout if classifier is None else classifier

    def convert_weights(self) -> None:
        """Bring the copies to what the optimizer has made of the parameters."""
        if self._used is not self._own:
            for used, own in zip(self._used, self._own, strict=True):
                used.data.copy_(own.data)

    def collect_gradients(self) -> None:
        """Add the copies' gradients, of one backward pass, to those of the parameters, in float32."""
        if self._used is self._own:
            return
        for own, used, total in zip(self._own, self._used, self._sums, strict=True):
            assert used.grad is not None
            if own.grad is None:
                own.grad = total.copy_(used.grad)
            else:
                own.grad += used.grad
            used.grad = None

    def logits(
        self,
        batch: Packed,
        *,
        dropout: Dropout | None = None,
        words: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Logits, float32, shape (rows, outputs).

        `words` gives the embeddings of the batch's ids, (tokens, hidden), in place of the model's own.
        """
        bert = self.model.bert
        hidden = self._embed(batch, dropout, words)
        *layers, last = bert.encoder.layer
        for layer in layers:
            hidden = self._layer(layer, batch, hidden, hidden, batch.longest, dropout)
        # The classifier reads the first token of each row, so the last layer need not compute the others.
        first = hidden.index_select(0, batch.first)
        first = self._layer(last, batch, hidden, first, 1, dropout)
        pooled = torch.tanh(self._linear(first, bert.pooler.dense).float())
        pooled = _drop(pooled, self.classifier_dropout, dropout)
        return functional.linear(pooled, self.model.classifier.weight, self.model.classifier.bias)

    def _embed(
        self, batch: Packed, dropout: Dropout | None, words: Callable[[torch.Tensor], torch.Tensor] | None
    ) -> torch.Tensor:
        parts = self.model.bert.embeddings
        hidden = (words or parts.word_embeddings)(batch.ids)
        hidden = hidden + functional.embedding(batch.positions, parts.position_embeddings.weight)
        types = parts.token_type_embeddings.weight
        of_type = types[0] if batch.type_ids is None else functional.embedding(batch.type_ids, types)
        hidden = hidden + of_type
        return _drop(_normalize(hidden, parts.LayerNorm), self.hidden_dropout, dropout)

    def _layer(
        self,
        layer: Any,
        batch: Packed,
        hidden: torch.Tensor,
        asking: torch.Tensor,
        asking_per_row: int,
        dropout: Dropout | None,
    ) -> torch.Tensor:
        """One layer for the tokens `asking`, (rows · asking_per_row or packed, hidden), which attend to `hidden`."""
        own, output = layer.attention.self, layer.attention.output
        # Three products: one of their weights side by side takes longer, for the copies that it needs.
        source = hidden.to(self.dtype)
        of_all = asking is hidden
        query = self._linear(source if of_all else asking, own.query)
        key, value = (
            batch.padded(self._linear(source, own.key)),
            batch.padded(self._linear(source, own.value)),
        )
        if of_all:
            query = batch.padded(query)
        mask = self._attention_mask(batch, asking_per_row, dropout)
        found = _Attention.apply(query, key, value, mask, batch.beyond, batch.rows, self.heads)
        if of_all:
            found = batch.unpadded(found)
        found = self._add(self._linear(found, output.dense), asking, dropout)
        asking = _normalize(found, output.LayerNorm)
        wide = self.activation(self._linear(asking, layer.intermediate.dense))
        narrow = self._linear(wide, layer.output.dense)
        return _normalize(self._add(narrow, asking, dropout), layer.output.LayerNorm)

    def _linear(self, values: torch.Tensor, layer: torch.nn.Linear) -> torch.Tensor:
        return linear(values.to(self.dtype), *self._weights[layer])

    def _attention_mask(self, batch: Packed, asking: int, dropout: Dropout | None) -> torch.Tensor | None:
        if dropout is None:
            return None
        return dropout.mask(self.attention_dropout, batch.rows * self.heads, asking, batch.longest)

    def _add(self, values: torch.Tensor, residual: torch.Tensor, dropout: Dropout | None) -> torch.Tensor:
        mask = None if dropout is None else dropout.mask(self.hidden_dropout, *values.shape)
        values = values.float()
        return residual + values if mask is None else _MaskedSum.apply(values, residual, mask)


def _normalize(values: torch.Tensor, layer: Any) -> torch.Tensor:
    return functional.layer_norm(values, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def _drop(values: torch.Tensor, probability: float, dropout: Dropout | None) -> torch.Tensor:
    mask = None if dropout is None else dropout.mask(probability, *values.shape)
    return values if mask is None else values * mask


class _Move(torch.autograd.Function):
    """Between packed and padded: each direction is the other's gradient."""

    @staticmethod
    def forward(ctx: Any, values, batch: Packed, to_padded: bool):
        ctx.batch, ctx.to_padded = batch, to_padded
        return batch.move(values, to_padded=to_padded)

    @staticmethod
    def backward(ctx: Any, *gradients):
        return ctx.batch.move(gradients[0], to_padded=not ctx.to_padded), None, None


class _MaskedSum(torch.autograd.Function):
    """residual + values · mask, in one pass."""

    @staticmethod
    def forward(ctx: Any, values, residual, mask):
        ctx.save_for_backward(mask)
        return torch.addcmul(residual, values, mask)

    @staticmethod
    def backward(ctx: Any, *gradients):
        (gradient,) = gradients
        (mask,) = ctx.saved_tensors
        return gradient * mask, gradient, None


class _Attention(torch.autograd.Function):
    """softmax(query · keyᵀ / √size), masked by dropout, times value; over rows of equal length (padded).

    `query`, `key`, `value`: (rows · n, hidden); `mask`: (rows · heads, queries, keys) or None; `beyond`: True where
    there is no key, (rows, keys), or None.
    """

    @staticmethod
    def forward(ctx: Any, query, key, value, mask, beyond, rows, heads):
        size = query.shape[1] // heads
        query, key, value = (_by_head(part, rows, heads) for part in (query, key, value))
        scores = torch.bmm(query, key.transpose(1, 2)).float().mul_(size**-0.5)
        if beyond is not None:
            scores.view(rows, heads, *scores.shape[1:]).masked_fill_(beyond[:, None, None, :], -torch.inf)
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(query, key, value, weights, mask)
        ctx.rows, ctx.heads = rows, heads
        if mask is not None:
            weights = weights * mask
        return _merged(torch.bmm(weights.to(value.dtype), value), rows, heads)

    @staticmethod
    def backward(ctx: Any, *gradients):
        query, key, value, weights, mask = ctx.saved_tensors
        rows, heads = ctx.rows, ctx.heads
        gradient = _by_head(gradients[0], rows, heads)
        masked = weights if mask is None else weights * mask
        of_value = torch.bmm(masked.to(gradient.dtype).transpose(1, 2), gradient)
        of_weights = torch.bmm(gradient, value.transpose(1, 2)).float()
        if mask is not None:
            of_weights.mul_(mask)
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, torch.float32)
        of_scores = of_scores.mul_(query.shape[2] ** -0.5).to(query.dtype)
        of_query, of_key = torch.bmm(of_scores, key), torch.bmm(of_scores.transpose(1, 2), query)
        return (*(_merged(part, rows, heads) for part in (of_query, of_key, of_value)), *[None] * 4)


def _by_head(values: torch.Tensor, rows: int, heads: int) -> torch.Tensor:
    """(rows · n, heads · size) as (rows · heads, n, size)."""
    split = values.view(rows, -1, heads, values.shape[1] // heads)
    return split.transpose(1, 2).reshape(rows * heads, split.shape[1], split.shape[3])


def _merged(values: torch.Tensor, rows: int, heads: int) -> torch.Tensor:
    """(rows · heads, n, size) as (rows · n, heads · size)."""
    split = values.view(rows, heads, *values.shape[1:])
    return split.transpose(1, 2).reshape(rows * values.shape[1], heads * values.shape[2])
