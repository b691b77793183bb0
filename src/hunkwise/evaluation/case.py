"""A case: the two trees of a known change, and what a review of it should find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from hunkwise.evaluation.golden import Golden
from hunkwise.settings.strict_yaml import Document


class Content(NamedTuple):
    """A file of a tree."""

    raw: bytes
    executable: bool = False


Tree = Mapping[str, Content]
"""Files by their paths, with slashes; nothing but plain files."""


@dataclass(frozen=True)
class Case:
    """One known change."""

    name: str
    """Its folder's name."""
    golden: Golden
    base: Tree = field(repr=False)
    head: Tree | None = field(repr=False, default=None)
    """None where `diff` says it."""
    diff: bytes = field(repr=False, default=b"")
    """What makes the head of the base."""
    where: str = ""
    """Path of its golden.json, as the reader named it."""
    document: Document = field(repr=False, default_factory=lambda: Document(None, {}, ()))
    """Lines of its golden.json, for faults."""

    @property
    def digest(self) -> str:
        """Sixteen hex digits over all that makes the case what it is."""
        whole = sha256(json.dumps(self.golden.model_dump(), sort_keys=True).encode("ascii"))
        for tree in (self.base, self.head or {}):
            for path, content in sorted(tree.items()):
                name = path.encode("utf-8", "surrogateescape")
                whole.update(b"%d %s %d %d\0" % (len(name), name, content.executable, len(content.raw)))
                whole.update(content.raw)
            whole.update(b"\0\0")
        whole.update(self.diff)
        return whole.hexdigest()[:16]
