"""Reads a pull request once: what changed, what was said, and what its base says about reviews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.conversation import Conversation
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.known import Known
from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.domain.state import State
from hunkwise.errors import ForgeError
from hunkwise.flows.base_texts import BaseTexts, Commit, PartlyKnown, base_texts, certain_paths
from hunkwise.flows.instruction_files import Found, nested_instructions
from hunkwise.flows.withheld import Withheld
from hunkwise.publish.lifecycle.reconciliation import shown_threads
from hunkwise.publish.state import latest_state
from hunkwise.settings.config import Config


class Forge(Protocol):
    """GitHub, as far as it is read from."""

    def pull_request(self, number: int) -> PullRequest: ...

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]: ...

    def conversation_and_base(
        self, pull_request: PullRequest, paths: Sequence[str]
    ) -> tuple[Conversation, Known]: ...


@dataclass(frozen=True)
class Fetched:
    """A snapshot, and what its base says about reviews."""

    snapshot: Snapshot
    texts: BaseTexts
    state: State | None = None
    """What earlier runs left in our summary comment."""


class Fetch:
    """Fetches one pull request, in parallel wherever one request does not need another's answer."""

    def __init__(
        self,
        forge: Forge,
        withheld: Withheld,
        near: Callable[[str], Commit | None],
        far: Callable[[str], Commit],
    ) -> None:
        """Both give a commit's files by its SHA: `near` from the checkout, if it has them, `far` over the API."""
        self._forge = forge
        self._withheld = withheld
        self._near = near
        self._far = far
        self._notes: list[str] = []

    def run(self, number: int, config_path: str, overridden: Callable[[Config], Config]) -> Fetched:
        """Raises ForgeError where the pull request cannot be read, SettingsError where its base is wrong."""
        pull_request = self._forge.pull_request(number)
        base = self._near(pull_request.base_sha)
        with ThreadPoolExecutor(2, thread_name_prefix="fetch") as pool:
            listing = pool.submit(self._forge.files, pull_request)
            # With the conversation comes what a base that is far holds, or most of its texts: no time is lost.
            talking = pool.submit(self._talk, pull_request, () if base else certain_paths(config_path))
            if base is None:
                base = PartlyKnown(self._far(pull_request.base_sha), talking.result()[1])
            texts = base_texts(base, config_path, overridden)
            listed = listing.result()
            nested = pool.submit(self._nested, base, texts.config, listed)
            files = self._withheld.completed(pull_request, listed, texts.config)
            conversation = talking.result()[0]
            below, missing = nested.result()
            snapshot = Snapshot(
                pull_request=pull_request,
                files=files,
                threads=shown_threads(conversation, files) if conversation else (),
                conversation=conversation,
                instructions=(*texts.instructions, *below) if texts.config.context.instructions else (),
                unlisted_files=max(0, pull_request.changed_files - len(files)),
                notes=(*self._notes, *self._withheld.notes, *texts.notes, *missing),
            )
        comments = conversation.comments if conversation else ()
        state = latest_state(comments, repository=pull_request.repository, number=number)
        return Fetched(snapshot, texts, state)

    def _nested(self, base: Commit, config: Config, files: Sequence[FileDiff]) -> Found:
        return nested_instructions(base, files) if config.context.instructions else ((), ())

    def _talk(self, pull_request: PullRequest, paths: Sequence[str]) -> tuple[Conversation | None, Known]:
        """What was said, if it can be read, and what is known of the base's files."""
        try:
            return self._forge.conversation_and_base(pull_request, paths)
        except ForgeError as error:
            self._notes.append(f"What was said before could not be read: {error.message}")
            return None, {}
