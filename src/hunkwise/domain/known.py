"""What is known of a commit's files before anybody asks for one of them."""

from __future__ import annotations

from collections.abc import Mapping

Entry = bytes | tuple[str, ...] | None
"""A file's bytes, the names in a folder (folders with a final slash), or None where there is neither."""

Known = Mapping[str, Entry]
"""By path. What is not in it may be anything: only asking for it will tell."""
