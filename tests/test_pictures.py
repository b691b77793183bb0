"""The pictures of the documentation show what a run posts."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.pictures import FOLDER, digest, digest_in, page, with_digest

LIMIT = 150_000
"""Bytes of a picture."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_picture_is_of_what_a_run_posts_now(theme: str, shown: str) -> None:
    image = Path(FOLDER, f"review-{theme}.png").read_bytes()
    assert len(image) <= LIMIT
    assert digest_in(image) == digest(shown), "run `make pictures`"


def test_digest_is_part_of_a_picture() -> None:
    image = with_digest(b"\x89PNG" + b"\0" * 12, "ab" * 32)
    assert (digest_in(image), digest_in(b"\x89PNG")) == ("ab" * 32, None)
