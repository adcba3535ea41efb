"""Signals become a flag that the training loop reads between steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bert_assets.errors import BertAssetsError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(BertAssetsError):
    """Training was asked to stop and did, with a checkpoint behind it."""


class Interrupt:
    """Whether a stop was asked for; `reason` names the signal."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is not None


@contextmanager
def deferred_interrupts() -> Iterator[Interrupt]:
    """SIGTERM and SIGINT set a flag instead of raising; a second one changes nothing; handlers are put back.

    Outside the main thread Python delivers no signals, so there the flag simply stays down.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def set_flag(number: int, _frame: FrameType | None) -> None:
        interrupt.reason = signal.Signals(number).name

    previous = {number: signal.signal(number, set_flag) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
