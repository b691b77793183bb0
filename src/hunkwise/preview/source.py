"""Reads the configuration, the templates and the change of a preview."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hunkwise.commands.change_options import RangeOptions, RequestedPullRequest, requested_pull_request
from hunkwise.commands.local_range import read_range
from hunkwise.domain.model import PARTIALS, STAGE_PROMPTS
from hunkwise.domain.pull_request import CommitFiles
from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.flows.base_config import owner_of, read_config_text, read_template
from hunkwise.flows.review import ReviewInput, ReviewRequest
from hunkwise.prompts.renderer import BASE, BUILT_IN, HOUSE, PARTIAL, built_in_text
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree, WorkingTree, local_tree, readable
from hunkwise.settings.config import Config, read_config
from hunkwise.settings.parsing import did_you_mean, listed, parse_config_path, quoted
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.settings.sources import TemplateFrontMatter, front_of
from hunkwise.settings.strict_yaml import YamlDocument

if TYPE_CHECKING:
    from hunkwise.github.client import GitHub


TEMPLATES: Final = (BASE, *BUILT_IN, *(PARTIAL + name for name in PARTIALS))
"""The names of all built-in templates, without prefix."""


def prompt_names(config: Config) -> tuple[str, ...]:
    """Returns the names of the configuration's prompts, then of the built-in ones that it does not name."""
    return tuple(dict.fromkeys((*(prompt.name for prompt in config.prompts), *BUILT_IN)))


def template_names(config: Config) -> tuple[str, ...]:
    """Returns the names of all templates that can be shown."""
    names = (*prompt_names(config), *config.own_files, *TEMPLATES, *(HOUSE + name for name in TEMPLATES))
    return tuple(dict.fromkeys(names))


def refuse_unknown(name: str, names: Iterable[str], kind: str) -> None:
    """Raises SettingsError, with the most similar name, if `name` is not one of `names`."""
    names = tuple(names)
    if name not in names:
        plain = [other for other in names if not other.startswith(HOUSE)]
        near = did_you_mean(name, names) or f"; there is {listed(plain)}."
        raise SettingsError([f"There is no {kind} {quoted(name)}{near}"])


def select_prompt(name: str) -> Callable[[Config], Config]:
    """Returns a function that makes the prompt the only one of a configuration that reviews the diff.

    The function raises SettingsError if there is no such prompt.
    """

    def select(config: Config) -> Config:
        refuse_unknown(name, prompt_names(config), "prompt")
        if name in STAGE_PROMPTS:
            return config
        return config.with_overrides({"prompts": (name,)})

    return select


_READING_SECONDS: Final = 60.0


@dataclass(frozen=True)
class FileSource:
    """The files of a commit or of the working tree, with a description of it for messages."""

    commit: CommitFiles
    description: str
    """For example "the working tree"."""
    sha: str | None = None
    """None for the working tree."""

    def template(self, owner: str, path: str) -> str:
        """Reads a template that `owner` names; see `read_template`."""
        return read_template(self.commit, owner, path, self.description)


@contextmanager
def open_source(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[FileSource]:
    """Opens the commit that --base or --pr name, else the working tree.

    Raises SettingsError, RepositoryError, GitHubError.
    """
    folder = Path(arguments.repository)
    if arguments.pr and arguments.base:
        raise SettingsError(["--pr and --base both name a base: keep one of them."])
    if arguments.pr:
        with _base_of_pull_request(arguments.pr, folder, environ) as place:
            yield place
    elif arguments.base:
        yield _local_commit(folder, arguments.base)
    else:
        yield FileSource(WorkingTree(folder), "the working tree")


def _local_commit(folder: Path, rev: str) -> FileSource:
    git = Git(folder)
    try:
        sha = git.resolve(rev)
    except RepositoryError as error:
        raise SettingsError([f"--base {rev}: {error.shell_faults[0]}"]) from error
    return FileSource(GitTree(git, sha), f"{rev} ({sha[:12]})", sha)


@contextmanager
def _base_of_pull_request(option: str, folder: Path, environ: Mapping[str, str]) -> Iterator[FileSource]:
    """Opens the base commit: from the checkout if the commit is there, else over the API."""
    # Imported here because PyGithub takes half a second, and nothing else needs it.
    from hunkwise.github.client import ApiTree, GitHub

    wanted = requested_pull_request(option, folder, environ)
    github = GitHub(wanted.token, wanted.api_url, wanted.repository, deadline=lambda: _READING_SECONDS)
    try:
        sha = github.pull_request(wanted.number).base_sha
        commit = local_tree(readable(Git(folder)), sha) or ApiTree(github, sha)
        yield FileSource(commit, f"the base of {option} ({sha[:12]})", sha)
    finally:
        github.close()


@dataclass(frozen=True)
class ConfigSource:
    """The configuration, and its parsed file; None if there is no file and the defaults apply."""

    config: Config
    document: YamlDocument | None
    warnings: tuple[str, ...] = ()


def configuration(place: FileSource, path: str) -> ConfigSource:
    """Reads the configuration.

    Raises SettingsError with all faults, RepositoryError or GitHubError where it cannot be read.
    """
    file = read_config_text(place.commit, path, place.description)
    if file.text is None:
        return ConfigSource(Config(), None, file.warnings)
    return ConfigSource(*read_config(file.text, path=path))


def front_matter_of(prompt: PromptSettings, place: FileSource) -> TemplateFrontMatter:
    """Reads the front matter of the prompt's template. Raises SettingsError."""
    if prompt.template is None:
        return front_of(built_in_text(prompt.name), HOUSE + prompt.name)
    return front_of(place.template(owner_of(prompt.name), prompt.template), prompt.template)


def fronts_of(prompts: Iterable[PromptSettings], place: FileSource) -> dict[str, TemplateFrontMatter]:
    """Reads the front matter of each prompt, by the prompt's name. Raises SettingsError with all faults."""
    fronts: dict[str, TemplateFrontMatter] = {}
    faults: list[str] = []
    for prompt in prompts:
        try:
            fronts[prompt.name] = front_matter_of(prompt, place)
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)))
    return fronts


_SECONDS: Final = 180.0
"""Time for all requests to GitHub together."""
Overridden = Callable[[Config], Config]


@dataclass(frozen=True)
class PreviewSource:
    """The input of a review."""

    ready: ReviewInput
    change: str
    """Description of the change, for messages."""
    rules: str
    """Description of where configuration, templates and instructions were read from."""


def read_subject(
    arguments: argparse.Namespace, environ: Mapping[str, str], overridden: Overridden, stack: ExitStack
) -> PreviewSource:
    """Reads the change and the rules of a preview; `stack` closes the connections.

    Raises SettingsError, RepositoryError, GitHubError.
    """
    folder = Path(arguments.repository)
    path = parse_config_path(arguments.config, "--config")
    if arguments.pr and (arguments.base or arguments.head):
        raise SettingsError(["--pr names a whole pull request: leave out --base and --head."])
    tree = None if arguments.at_base else WorkingTree(folder)
    if arguments.pr:
        return _read_pull_request(arguments.pr, folder, environ, path, overridden, tree, stack)
    options = RangeOptions(base=arguments.base, head=arguments.head)
    local = read_range(
        folder, options, config_path=path, demo=False, at_base=arguments.at_base, overridden=overridden
    )
    return PreviewSource(local.ready, local.change, local.rules)


def _read_pull_request(
    option: str,
    folder: Path,
    environ: Mapping[str, str],
    path: str,
    overridden: Overridden,
    tree: WorkingTree | None,
    stack: ExitStack,
) -> PreviewSource:
    """Fetches a pull request in the same way as commands.pull_request.RepositoryReader."""
    # Imported here because PyGithub takes half a second, and a range of commits does not need it.
    from hunkwise.github.client import GitHub

    wanted = requested_pull_request(option, folder, environ)
    ends = time.monotonic() + _SECONDS
    github = GitHub(wanted.token, wanted.api_url, wanted.repository, deadline=lambda: ends - time.monotonic())
    stack.callback(github.close)
    return _fetch(github, wanted, readable(Git(folder)), path, overridden, tree)


def _fetch(
    github: GitHub,
    wanted: RequestedPullRequest,
    git: Git | None,
    path: str,
    overridden: Overridden,
    tree: WorkingTree | None,
) -> PreviewSource:
    from hunkwise.flows.fetch import MissingPatches, PullRequestFetch
    from hunkwise.github.client import ApiTree

    near, far = partial(local_tree, git), partial(ApiTree, github)
    rules = near if tree is None else lambda _sha: tree
    fetch = PullRequestFetch(github, MissingPatches(github, git, Git.diff_blobs), rules, far)
    fetched = fetch.run(wanted.number, path, overridden, "" if tree is None else "the working tree")
    request = ReviewRequest(fetched.snapshot, fetched.texts.config, fetched.texts.templates, full=True)
    pull = fetched.snapshot.pull_request
    change = f"{wanted.repository}#{wanted.number} ({pull.base_sha[:12]}..{pull.head_sha[:12]})"
    base = f"the pull request's base ({pull.base_sha[:12]})"
    head, before = (near(sha) or far(sha) for sha in (pull.head_sha, pull.base_sha))
    ready = ReviewInput(request, head, before)
    return PreviewSource(ready, change, base if tree is None else "the working tree")
