"""What is trained on when: the order of batches and the learning rate, as pure functions of the step.

Nothing here has state, so a resumed run finds its place by arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Rows are sorted by length within pools of this many batches: larger pools pad less, smaller ones mix more.
POOL_BATCHES = 64


def batch_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Row indices of every batch of one epoch; rows of similar length share a batch.

    A pure function of its arguments. `lengths` are token counts, shape (rows,). One batch may be smaller.
    """
    # Raw Philox output is promised to stay the same across numpy versions; Generator.permutation is not.
    random = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
    order = np.argsort(random.random_raw(len(lengths)), kind="stable")
    # Sorted within pools, not globally: global sorting would make every epoch see the same batches.
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[cut : cut + batch_size] for cut in range(0, len(rows), batch_size)]
    # Shuffled again, or each pool would run from its shortest batch to its longest.
    return [batches[index] for index in np.argsort(random.random_raw(len(batches)), kind="stable")]


def step_seed(seed: int, step: int) -> int:
    """The seed of all randomness inside one step (dropout): 63 bits of Philox, keyed by run seed and step."""
    random = np.random.Philox(key=np.array([seed, step], dtype=np.uint64), counter=1)
    return int(random.random_raw()) >> 1


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The steps of a whole training run.

    An optimizer step takes `gradient_accumulation` batches of `batch_size` rows; the last of an epoch may take less.
    """

    rows: int
    batch_size: int
    gradient_accumulation: int
    epochs: int
    learning_rate: float
    warmup_ratio: float
    eval_every: int | None

    @property
    def batches_per_epoch(self) -> int:
        return math.ceil(self.rows / self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.batches_per_epoch / self.gradient_accumulation)

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        return math.ceil(self.total_steps * self.warmup_ratio)

    @property
    def log_every(self) -> int:
        """Steps between logged ones: at most about 500 in a run, so that progress stays small at any length."""
        return max(1, self.total_steps // 500)

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up from 0, then linear decay to 0 (Devlin et al. 2019, A.2), for the step counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        return self.learning_rate * (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)

    def is_evaluated(self, done: int) -> bool:
        """Whether the model is evaluated once `done` steps are done: every epoch or `eval_every`, and at the end."""
        return done == self.total_steps or done % (self.eval_every or self.steps_per_epoch) == 0

    def is_logged(self, done: int) -> bool:
        return done == self.total_steps or done % self.log_every == 0
