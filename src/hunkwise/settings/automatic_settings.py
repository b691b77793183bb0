"""Which pull requests are reviewed without a request: the key `automatic` of the configuration file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import ConfigDict, Field

from hunkwise.domain.pull_request import PullRequest
from hunkwise.settings.parsing import quoted
from hunkwise.settings.prompt_settings import SettingsModel, extra, setting

_Pattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f]$")]
_Patterns = Annotated[
    tuple[_Pattern, ...],
    Field(
        max_length=100,
        json_schema_extra=extra(
            wants='a list of up to 100 patterns of up to 200 characters, such as ["no-*"]'
        ),
    ),
]
"""In a pattern, `*` is any text; every other character is itself, in upper or lower case."""


class LabelSettings(SettingsModel):
    """Labels that decide whether a pull request is reviewed."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "skip: [no-review]"'))

    only: _Patterns = setting(
        (), "Labels of which a pull request must have one; without any, none is needed."
    )
    skip: _Patterns = setting((), "Labels with which a pull request is not reviewed.")


class AutomaticSettings(SettingsModel):
    """The pull requests that an event reviews; a person can request the review of every other one."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "drafts: true"'))

    drafts: bool = setting(False, "Reviews drafts too, and not only when they are ready for review.")
    skip_authors: _Patterns = setting(
        (),
        "Logins of authors whose pull requests are not reviewed, with `[bot]` for an app; `*` is any text.",
    )
    skip_titles: _Patterns = setting(
        (), "Words in the title with which a pull request is not reviewed; `*` is any text."
    )
    labels: LabelSettings = setting(
        LabelSettings(), "Labels that a review needs, or that prevent it, by keys."
    )

    def reason_to_skip(self, pull_request: PullRequest) -> str:
        """Returns a sentence that names the pull request and the key that skips it; empty if none does."""
        labels, subject = pull_request.labels, f"Pull request #{pull_request.number} is not reviewed:"
        if pull_request.draft and not self.drafts:
            return f"{subject} it is a draft, and `automatic.drafts` is false."
        if author := _find(self.skip_authors, (pull_request.author,)):
            return f"{subject} {quoted(author)} in `automatic.skip-authors` names its author."
        if title := next((one for one in self.skip_titles if _is_in_title(one, pull_request.title)), ""):
            return f"{subject} {quoted(title)} in `automatic.skip-titles` is in its title."
        if label := _find(self.labels.skip, labels):
            return f"{subject} {quoted(label)} in `automatic.labels.skip` names one of its labels."
        if self.labels.only and not _find(self.labels.only, labels):
            return f"{subject} it has none of the labels in `automatic.labels.only`."
        return ""


def _find(patterns: Iterable[str], texts: Iterable[str]) -> str:
    """Returns the first pattern that matches one of the texts whole; empty if none does."""
    folded = [text.casefold() for text in texts]
    # The expressions of fnmatch do not backtrack into a star that has matched: the texts are untrusted.
    globs = {pattern: re.sub(r"[\[?]", r"[\g<0>]", pattern.casefold()) for pattern in patterns}
    return next(
        (pattern for pattern, glob in globs.items() if any(fnmatchcase(text, glob) for text in folded)), ""
    )


def _is_in_title(pattern: str, title: str) -> bool:
    """Returns whether the title contains the pattern, which begins and ends at the borders of words."""
    end, parts = 0, pattern.casefold().split("*")
    for number, part in enumerate(parts):
        before = r"(?<!\w)" if number == 0 and part[:1].isalnum() else ""
        after = r"(?!\w)" if number == len(parts) - 1 and part[-1:].isalnum() else ""
        # The first match is the best: it leaves the most text to the following parts.
        found = re.compile(before + re.escape(part) + after).search(title.casefold(), end)
        if found is None:
            return False
        end = found.end()
    return True
