"""Renders a finding: as a comment, as an entry of a page, and as a prompt for a coding agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Destination
from hunkwise.domain.text import cut, joined, one_line, plain
from hunkwise.publish import sanitize
from hunkwise.publish.annotations import suggestion_text
from hunkwise.publish.change_summary import folded
from hunkwise.publish.links import place_of
from hunkwise.publish.sanitize import suggestion_fence, without_marker
from hunkwise.publish.sections import BADGES, attribute_line, evidence_fold
from hunkwise.tracking.markers import finding_marker

_TITLE_LIMIT = 300
_TEXT_LIMIT = 12_000
_SHORT_LIMIT = 600
_ID_DIGITS = 7
"""Shown digits of a finding's id, the fewest that a command accepts."""
_AGENT_TEXT_LIMIT = 4_000
"""Characters of the explanation in a prompt for an agent, and of the code; longer code is not in it."""


def comment(
    finding: Finding,
    *,
    server_url: str,
    offered: str | None = None,
    where: Destination | None = None,
    for_agents: bool = False,
    names_prompt: bool = False,
) -> str:
    """Returns a comment on lines or on a file. `offered`: the text that can be committed with a click.

    `where` is needed if a finding with an anchor is posted on its file: the comment then names the lines. `for_agents`:
    with a prompt for a coding agent; `names_prompt` as in `sections.attribute_line`.
    """
    destination = where or (Destination.INLINE if finding.anchor else Destination.FILE)
    blocks = [f"**{BADGES[finding.severity]}** · **{sanitize.line(finding.title, _TITLE_LIMIT)}**"]
    if finding.anchor is not None and destination is Destination.FILE:
        blocks.append(f"At {sanitize.code_span(place_of(finding))}:")
    blocks.append(sanitize.text(finding.body, _TEXT_LIMIT, server_url=server_url))
    if finding.suggestion is not None:
        on_lines = destination is Destination.INLINE
        blocks.append(render_suggestion(finding.suggestion, finding.path, offered if on_lines else None))
    blocks += [
        evidence_fold(finding, server_url),
        agent_fold(finding) if for_agents else "",
        render_attributes(finding, names_prompt=names_prompt),
        finding_marker(finding, destination),
    ]
    return joined(blocks)


def agent_fold(finding: Finding) -> str:
    """Returns the prompt for a coding agent in a folded block, from which it can be copied as plain text."""
    return folded("Prompt for an AI agent", sanitize.fence(agent_prompt(finding), "text"))


def agent_prompt(finding: Finding) -> str:
    """Returns a request to a coding agent to fix the finding: file, lines, what is wrong, and the suggested code.

    It is untrusted text of at most 9,000 characters.
    """
    blocks = [
        f"Fix this finding of a code review.\n\n{_agent_place(finding)}",
        cut(one_line(finding.title), _TITLE_LIMIT),
        cut(plain(finding.body).strip(), _AGENT_TEXT_LIMIT),
    ]
    suggestion = plain(finding.suggestion or "")
    if finding.suggestion is not None and not suggestion.strip():
        blocks.append("Suggested: remove these lines.")
    elif suggestion and len(suggestion) <= _AGENT_TEXT_LIMIT:
        blocks.append(f"Suggested instead of these lines:\n\n{suggestion.rstrip(chr(10))}")
    return joined([*blocks, "Check first that this is right; change as little as possible."])


def _agent_place(finding: Finding) -> str:
    anchor, path = finding.anchor, cut(one_line(finding.path), 300)
    if anchor is None:
        return f"File: {path}"
    noun, lines = "Line", f"{anchor.line}"
    if anchor.start_line is not None:
        noun, lines = "Lines", f"{anchor.start_line}-{anchor.line}"
    before = " of the file before the change" if anchor.side is Side.LEFT else ""
    return f"File: {path}\n{noun}: {lines}{before}"


@dataclass(frozen=True, slots=True)
class FindingWriter:
    """Renders findings for a page."""

    place: Callable[[Finding], str]
    marker: Callable[[Finding], str]
    """Returns the hidden line after a finding; empty on a page that later runs do not read."""
    server_url: str
    in_brief: Callable[[Finding], bool] = lambda _: False
    """Returns whether a finding is rendered as one line in any case."""
    for_agents: bool = False
    names_prompt: bool = False

    @property
    def writers(self) -> tuple[Callable[[Finding], str], ...]:
        """Functions that render a finding, from the longest form to the shortest."""
        return (
            lambda finding: self._render(finding, _TEXT_LIMIT),
            lambda finding: self._render(finding, _SHORT_LIMIT),
            lambda finding: self._render(finding, 0),
        )

    def _render(self, finding: Finding, text_limit: int) -> str:
        """Returns the finding with a text of at most `text_limit` characters; 0: in one line."""
        title = sanitize.line(finding.title, _TITLE_LIMIT)
        line = f"{BADGES[finding.severity]} · {self.place(finding)} · {title}"
        if self.in_brief(finding):
            return f"- {line}"
        if not text_limit:
            return joined([line, self.marker(finding)])
        blocks = [f"#### {line}", sanitize.text(finding.body, text_limit, server_url=self.server_url)]
        if finding.suggestion is not None and len(finding.suggestion) <= text_limit:
            blocks.append(render_suggestion(finding.suggestion, finding.path))
        if text_limit == _TEXT_LIMIT:
            blocks.append(evidence_fold(finding, self.server_url))
            blocks.append(agent_fold(finding) if self.for_agents else "")
        blocks.append(render_attributes(finding, names_prompt=self.names_prompt, with_id=True))
        return joined([*blocks, self.marker(finding)])


def render_suggestion(suggestion: str, path: str, offered: str | None = None) -> str:
    """Returns the block to commit, or the suggestion as plain code if it must not or cannot be committed."""
    if offered is not None and offered == without_marker(plain(offered)):
        return suggestion_fence(f"{offered}\n" if offered else "")
    return suggestion_text(cut(suggestion.replace("\r\n", "\n"), _TEXT_LIMIT), path=path)


def render_attributes(finding: Finding, *, names_prompt: bool = False, with_id: bool = False) -> str:
    """Returns the line of `sections.attribute_line` in small letters; empty if there is nothing to say.

    `with_id`: also its id for commands, which a finding in a thread does not need.
    """
    line = attribute_line(finding, lambda text: sanitize.line(text, 60), names_prompt=names_prompt)
    parts = [line, f"id `{finding.fingerprint[:_ID_DIGITS]}`" if with_id else ""]
    shown = " · ".join(filter(None, parts))
    return f"<sub>{shown}</sub>" if shown else ""
