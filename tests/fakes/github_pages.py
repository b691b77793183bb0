"""How the fake GitHub packs what it sends: pages of lists, and Base64."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from tests.fakes.github_messages import Json, Reply

_Stored = TypeVar("_Stored")


def encoded(raw: bytes) -> str:
    """Base64 in lines of 60 characters, each ended by a line feed, as GitHub has it."""
    text = base64.b64encode(raw).decode()
    return "".join(f"{text[start : start + 60]}\n" for start in range(0, len(text), 60))


def page_of(
    everything: Sequence[_Stored], shape: Callable[[_Stored], Json], query: Mapping[str, str], url: str
) -> Reply:
    """One page of a list, 30 long unless asked, 100 at most, with GitHub's Link header."""
    size = min(max(int(query.get("per_page", "30")), 1), 100)
    number = max(int(query.get("page", "1")), 1)
    last = max(-(-len(everything) // size), 1)
    rest = "".join(
        f"&{key}={quote(value)}" for key, value in query.items() if key not in ("page", "per_page")
    )

    def link(page: int, rel: str) -> str:
        return f'<{url}?per_page={size}&page={page}{rest}>; rel="{rel}"'

    links = [link(number - 1, "prev"), link(1, "first")] if number > 1 else []
    if number < last:
        links += [link(number + 1, "next"), link(last, "last")]
    headers = {"link": ", ".join(links)} if links else {}
    return Reply(200, [shape(one) for one in everything[(number - 1) * size : number * size]], headers)
