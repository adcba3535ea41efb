"""HTML and SVG elements, in which every text from outside is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from bert_assets.stages.report.wording import DASH, plain_text


class Markup(str):
    """Text that is HTML already; only `el` and this module's constants make it."""


def el(tag: str, *children: Any, **attributes: Any) -> Markup:
    """An HTML or SVG element. Children and attribute values are escaped unless they are Markup; null ones left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(plain_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{written}>{''.join(_children(children))}</{tag}>")


def _children(children: Iterable[Any]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, (list, tuple)):
            yield from _children(child)
        elif child is not None:
            yield html.escape(plain_text(child))


def isolated(value: Any) -> Markup:
    # bdi keeps a name's writing direction, and any override in it, from reordering the text around it.
    return el("bdi", value)


def short_hash(value: Any) -> Markup | str:
    return el("code", str(value)[:12], title=value) if value else DASH
