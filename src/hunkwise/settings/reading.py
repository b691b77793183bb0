"""Reading inputs as text: which are set, which nobody knows, and the faults found on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hunkwise.settings.rules import Rule
from hunkwise.settings.wording import did_you_mean, quoted

SECRET_INPUTS: Final = ("github-token", "copilot-token", "copilot-connection-token", "provider-api-key")
"""Inputs whose values never stand in a message."""
MAX_INPUT: Final = 10_000
"""Characters of one input."""
MAX_UNKNOWN: Final = 10
"""Unknown inputs that are named; the rest is counted."""
TOKEN_SHAPE: Final = re.compile(r"gh[a-z]_\w|github_pat_|sk-\w|eyJ\w")
"""How the tokens that people paste into the wrong input begin."""


@dataclass(slots=True)
class Reading:
    """The inputs that are set, as text, and the faults found so far."""

    texts: Mapping[str, str]
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def shown(self, text: str) -> str:
        """The value as a message may quote it: never one that holds a secret."""
        secrets = [self.texts[name] for name in SECRET_INPUTS if name in self.texts]
        if TOKEN_SHAPE.search(text) or any(secret in text for secret in secrets):
            return "a value that looks like a token (not shown)"
        return quoted(text)

    def parsed(self, name: str, rule: Rule) -> object:
        """The input's value, or None where it is not set or a fault was noted."""
        if (text := self.texts.get(name)) is None:
            return None
        try:
            return rule.parse(text)
        except ValueError:
            found = self.shown(text)
            near = rule.near(text) or "."
            self.faults.append(f'Input "{name}" must be {rule.wants}, not {found}{near}')
            return None

    def secret(self, name: str) -> str | None:
        """A token: printable ASCII without blanks."""
        text = self.texts.get(name)
        if text is not None and not re.fullmatch("[!-~]+", text):
            self.faults.append(
                f'Input "{name}" holds a blank, a line break or a character outside ASCII (value not shown);'
                " set it to the bare token."
            )
        return text


def oversize(texts: Mapping[str, str]) -> list[str]:
    """A sentence for every input that is longer than any that is of use. Its value is not shown."""
    return [
        f'Input "{name}" has {len(text):,} characters, and at most {MAX_INPUT:,} are taken; shorten it.'
        for name, text in texts.items()
        if len(text) > MAX_INPUT
    ]


def set_inputs(environ: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """The known inputs that are set. GitHub sets those that are not to an empty text."""
    texts = {}
    for name in known:
        variable = f"INPUT_{name.upper()}"
        text = environ.get(variable, "").strip() or environ.get(variable.replace("-", "_"), "").strip()
        if text:
            texts[name] = text
    return texts


def unknown_inputs(environ: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """A sentence for every INPUT_* that is not ours: a misspelt input, or one that leaked from elsewhere."""
    warnings = []
    for variable in sorted(environ):
        name = variable.removeprefix("INPUT_").lower().replace("_", "-")
        if variable.startswith("INPUT_") and name not in known:
            near = did_you_mean(name, known) or "; it is not used."
            warnings.append(f"Input {quoted(name)} is unknown{near}")
    more = len(warnings) - MAX_UNKNOWN
    return [*warnings[:MAX_UNKNOWN], f"{more:,} more inputs are unknown."] if more > 0 else warnings
