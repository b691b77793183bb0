"""How faults in settings are worded: quoting what was found, and naming what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN_CHARACTERS = 60


def quoted(found: object) -> str:
    """What was found, on one line, of bounded length and without control characters."""
    if isinstance(found, str):
        cut = found if len(found) <= SHOWN_CHARACTERS else found[:SHOWN_CHARACTERS] + "…"
        return '"' + "".join(char if char.isprintable() else _escape(char) for char in cut) + '"'
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int | float):
        return str(found)
    kind = "mapping" if isinstance(found, dict) else "list"
    return f"a {kind}" if found else f"an empty {kind}"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def listed(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "fail-on"?`, or nothing where no known word is near."""
    # Imported here because a run without faults never needs it, and the sidecar waits for our imports.
    from difflib import get_close_matches

    near = get_close_matches(word[:SHOWN_CHARACTERS].lower().replace("_", "-"), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
