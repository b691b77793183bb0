"""What became of one run, as the one value from which every published text is made: so all of them agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hunkwise.domain.conversation import Thread
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Posted, Review, Where
from hunkwise.domain.state import Raised
from hunkwise.publish.gates import Verdict
from hunkwise.publish.lifecycle.reconciliation import Kept


@dataclass(frozen=True)
class View:
    """The review, how it concluded, where its findings went, and what earlier runs had raised."""

    review: Review
    """Its findings are all that stands: new ones, and those that an earlier run raised."""
    verdict: Verdict
    posted: Posted = field(default_factory=Posted)
    """The rung of each finding on the whole ladder."""
    kept: tuple[Kept, ...] = ()
    """What an earlier run raised and what still stands; each `finding` is among the review's."""
    fixed: tuple[Thread, ...] = ()
    """Threads of ours whose code was fixed since the last run."""
    dismissed: tuple[Raised, ...] = ()
    """What a person who may do so has dismissed."""
    stale: str = ""
    """One sentence where something moved under the run: the head, say."""
    repository: str = ""
    """`owner/name`; empty where there is none, as for a local range."""
    number: int | None = None
    """Of the pull request."""
    server_url: str = ""
    run: str = ""
    """The run's own name, as its markers carry it."""

    @cached_property
    def kept_by_finding(self) -> Mapping[Finding, Kept]:
        return {kept.finding: kept for kept in self.kept}

    def known(self, finding: Finding) -> bool:
        """Whether an earlier run raised it."""
        return bool(finding.raised_as) or finding in self.kept_by_finding

    def where(self, finding: Finding) -> Where:
        """The rung that the finding stands on, in this run or since an earlier one."""
        kept = self.kept_by_finding.get(finding)
        earlier = kept.raised.where if kept else Where.REPORT
        return self.posted.where.get(finding, earlier)

    @cached_property
    def known_findings(self) -> tuple[Finding, ...]:
        """Those of the review's findings that an earlier run raised, in their order."""
        return tuple(finding for finding in self.review.findings if self.known(finding))
