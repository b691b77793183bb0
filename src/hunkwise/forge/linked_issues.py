"""The issues that a pull request closes, as a part of the query that reads its conversation."""

from __future__ import annotations

from hunkwise.domain.conversation import LinkedIssue
from hunkwise.forge.shapes import Shape

FIELD = "closingIssuesReferences"
ASKED = f"""{FIELD}(first: 10) @include(if: $once) {{
        nodes {{ number title body repository {{ nameWithOwner }} }}
      }}"""
"""The field of a pull request in GitHub's schema. `$once` must be declared."""


def linked_issues(pull: Shape) -> tuple[LinkedIssue, ...]:
    """What may be read of them; an issue that the token may not read is null."""
    if not isinstance(pull.at(f"{FIELD}.nodes").value, list):
        return ()
    return tuple(
        LinkedIssue(
            number,
            issue.text_or("title", ""),
            issue.text_or("body", ""),
            issue.text_or("repository.nameWithOwner", ""),
        )
        for issue in pull.entries(f"{FIELD}.nodes")
        if (number := issue.number_or_none("number")) is not None
    )
