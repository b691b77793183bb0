"""What each setting may be: one rule for its input and for its key in the configuration file.

Standard library only: inputs are read before the sidecar is spawned, and that must not wait for pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.finding import Severity
from hunkwise.settings.wording import did_you_mean, listed

NONE: Final = "none"
SEVERITIES: Final = tuple(severity.label for severity in Severity)


@dataclass(frozen=True)
class Rule:
    """How a setting is written: `wants` finishes "must be …"; `parse` raises ValueError for other text."""

    wants: str
    parse: Callable[[str], object]
    words: tuple[str, ...] = ()
    """All that may be written, where that is a fixed few."""

    def near(self, text: str) -> str:
        """`; did you mean …?` with the word that was probably meant, or nothing."""
        return did_you_mean(text, self.words) if self.words else ""


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest value of a whole number."""

    low: int
    high: int


def whole(bounds: Bounds) -> Rule:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not bounds.low <= int(text) <= bounds.high:
            raise ValueError(text)
        return int(text)

    return Rule(f"a whole number from {bounds.low} to {bounds.high}", parse)


def whole_or_none(bounds: Bounds) -> Rule:
    """A whole number within bounds, or the word `none` for no limit (None)."""
    number = whole(bounds)
    return Rule(f"{number.wants}, or none", lambda text: None if text == NONE else number.parse(text))


def minutes(high: int) -> Rule:
    """A number of minutes, fractions allowed, above zero."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) or not 0 < float(text) <= high:
            raise ValueError(text)
        return float(text)

    return Rule(f"a number of minutes above 0 and up to {high}", parse)


def number_or_none(high: int) -> Rule:
    """A number above zero, fractions allowed, or the word `none` for no limit (None)."""
    number = minutes(high)
    return Rule(
        f"a number above 0 and up to {high}, or none",
        lambda text: None if text == NONE else number.parse(text),
    )


def word(words: tuple[str, ...], parse: Callable[[str], object] = str) -> Rule:
    """One word of a fixed few; `parse` gets none but these."""

    def parse_known(text: str) -> object:
        if text not in words:
            raise ValueError(text)
        return parse(text)

    return Rule(listed(words), parse_known, words)


def text_like(wants: str, pattern: str) -> Rule:
    """Text that a regular expression matches whole; `wants` says the same to people."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Rule(wants, parse)


MAX_COMMENTS: Final = Bounds(0, 500)
MIN_COVERAGE: Final = Bounds(0, 100)
MAX_MODEL_CALLS: Final = Bounds(1, 10_000)
MAX_TOKENS: Final = Bounds(1, 1_000_000_000)
PROMPTS: Final = Bounds(1, 32)
PARALLEL: Final = Bounds(1, 32)
CHUNK_SIZE: Final = Bounds(4_000, 400_000)
"""In characters."""
CONTEXT_SIZE: Final = Bounds(0, 200_000)
"""In characters."""
MAX_CREDITS: Final = 1_000_000
MAX_MODELS: Final = 8
MAX_DEADLINE: Final = 360
"""In minutes."""
MODEL_PATTERN: Final = r"[!-~]{1,200}"

MODEL: Final = text_like("a model id without spaces, of up to 200 characters", MODEL_PATTERN)
TRUE_OR_FALSE: Final = word(("true", "false"), lambda text: text == "true")
LEVEL: Final = word(SEVERITIES, Severity.parse)
GATE: Final = word((NONE, *SEVERITIES), lambda text: None if text == NONE else Severity.parse(text))

SHARED: Final[dict[str, Rule]] = {
    "model": MODEL,
    "min-severity": LEVEL,
    "fail-on": GATE,
    "request-changes-on": GATE,
    "max-comments": whole(MAX_COMMENTS),
    "min-coverage": whole(MIN_COVERAGE),
    "deadline": minutes(MAX_DEADLINE),
    "max-model-calls": whole(MAX_MODEL_CALLS),
    "max-tokens": whole_or_none(MAX_TOKENS),
    "max-credits": number_or_none(MAX_CREDITS),
    "verify": word(("off", "on", "strict")),
    "summary": word(("off", "short", "full")),
    "dry-run": TRUE_OR_FALSE,
    "upload-sarif": TRUE_OR_FALSE,
}
"""Settings of one value that are both an input and a key of the configuration file."""
