"""The command `hunkwise init`: asks what is wanted, writes workflows and configuration, and says what remains."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hunkwise import __version__
from hunkwise.commands.change_options import cloned_repositories, remotes_of
from hunkwise.commands.signals import stoppable
from hunkwise.commands.workflow_files import PLACEHOLDER, ActionReference, setup_files
from hunkwise.copilot.find_cli import CHECKOUT
from hunkwise.domain.review import ExitCode
from hunkwise.domain.setup import (
    DEFAULT_SECRETS,
    DEFAULT_URLS,
    PROVIDERS,
    QUESTIONS,
    SetupOptions,
    SetupQuestion,
)
from hunkwise.errors import Error, RepositoryError, SettingsError
from hunkwise.files import write_whole
from hunkwise.repository.git import Git
from hunkwise.repository.trees import WorkingTree
from hunkwise.settings.inputs import copilot_host
from hunkwise.settings.parsing import (
    TOKEN_SHAPE,
    did_you_mean,
    listed,
    parse_host_port,
    parse_url,
    safely_quoted,
)

_STOPPED: Final = "Stopped: nothing was written."
_ACTION: Final = re.compile(
    r"(?P<repository>[\w-]+/[\w.-]+)@(?P<sha>[0-9a-f]{40})(?: *# *(?P<version>v[\w.-]+))?", re.ASCII
)
_SECRET: Final = re.compile("(?!GITHUB_)[A-Z_][A-Z0-9_]{0,99}")
_MODEL: Final = re.compile(r"[\w.:/@-]{1,200}", re.ASCII)


@dataclass(frozen=True)
class TargetRepository:
    """The repository that is set up."""

    root: Path
    site: str
    """The URL of its GitHub server, without a final slash."""
    repository: str
    """`owner/name`; OWNER/REPO if no remote names it."""

    @property
    def has_copilot(self) -> bool:
        """False for a GitHub Enterprise Server."""
        return _has_copilot(self.site)

    def link(self, path: str) -> str:
        """Returns the URL of a page of the repository."""
        return f"{self.site}/{self.repository}/{path}"


def init(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Writes the files, or prints them, and says what remains to be done. Raises Error; then nothing was written."""
    target = find_target(Path(arguments.repository), environ)
    action = parse_action(arguments.action) if arguments.action else released_action()
    with stoppable(_STOPPED):
        options = _read_options(arguments, target)
        files = setup_files(options, action, enterprise_server=not target.has_copilot)
        changed = files if arguments.print else _changed_files(target.root, files, force=arguments.force)
        if not arguments.print:
            _write_all(target.root, changed)
    if arguments.print:
        sys.stdout.writelines(f"--- # {path}\n{text}" for path, text in files.items())
    else:
        sys.stdout.write(f"Files in {target.root}:\n")
        sys.stdout.writelines(f"  {path}{'' if path in changed else ' (unchanged)'}\n" for path in files)
    messages = sys.stderr if arguments.print else sys.stdout
    messages.write("\nWhat remains to be done:\n")
    for number, step in enumerate(remaining_steps(options, action, target), 1):
        messages.write(f"{number}. " + step.replace("\n", "\n   ") + "\n")
    return ExitCode.REVIEWED


def find_target(folder: Path, environ: Mapping[str, str]) -> TargetRepository:
    """Returns the clone at or above the folder, with the server of GITHUB_SERVER_URL or of its remotes.

    Raises SettingsError if it is no clone.
    """
    try:
        root = WorkingTree(folder).root
    except RepositoryError as error:
        raise SettingsError([str(error)]) from error
    if not (root / ".git").exists():
        raise SettingsError(["There is no git repository here: run it in a clone."])
    remotes = [(f"https://{host.removeprefix('ssh.')}", name) for host, name in remotes_of(root)]
    server = environ.get("GITHUB_SERVER_URL", "").rstrip("/").lower()
    preferred = [
        *(remote for remote in remotes if remote[0] == server),
        *(remote for remote in remotes if _has_copilot(remote[0])),
        *remotes,
        (server or "https://github.com", "OWNER/REPO"),
    ]
    return TargetRepository(root, *preferred[0])


def _has_copilot(site: str) -> bool:
    return copilot_host({"GITHUB_SERVER_URL": site}) is not None


def parse_action(text: str) -> ActionReference:
    """Parses the option --action. Raises SettingsError."""
    found = _ACTION.fullmatch(text)
    if found is None:
        expected = 'OWNER/hunkwise@SHA with the full SHA of a commit, or "OWNER/hunkwise@SHA # v1.2.3"'
        raise SettingsError([f"--action must be {expected}, not {safely_quoted(text)}."])
    return ActionReference(found["repository"], found["sha"], found["version"] or "")


def released_action(checkout: Path = CHECKOUT) -> ActionReference:
    """Returns the release that a clone of hunkwise is at; PLACEHOLDER if it is at none, or is no clone."""
    if not (checkout / ".git").exists():
        return PLACEHOLDER
    names, tag = cloned_repositories(checkout, "github.com"), f"v{__version__}"
    git = Git(checkout)
    try:
        sha = git.resolve("HEAD")
        return (
            ActionReference(names[0], sha, tag)
            if names and git.resolve(f"refs/tags/{tag}") == sha
            else PLACEHOLDER
        )
    except RepositoryError:  # there is no such tag
        return PLACEHOLDER
    finally:
        git.close()


def _read_options(arguments: argparse.Namespace, target: TargetRepository) -> SetupOptions:
    """Returns the options of the command line; at a terminal it asks for the others.

    Raises SettingsError with all faults of the options.
    """
    answers = {
        question.field: value
        for question in QUESTIONS
        if (value := getattr(arguments, question.field)) is not None
    }
    asks = not arguments.yes and sys.stdin.isatty() and sys.stderr.isatty()
    usual = "organization" if target.has_copilot else "token"
    if not asks:
        answers.setdefault("auth", usual)
    if faults := list(option_faults(answers, target)):
        raise SettingsError(faults)
    if asks:
        sys.stderr.write(
            f"Setting up {target.repository}. Enter accepts the answer in brackets; Ctrl-C ends.\n"
        )
        for question in QUESTIONS:
            auth = answers.get("auth", usual)
            if question.field in answers or (question.defaults is not None and auth not in question.defaults):
                continue
            default = usual if question.field == "auth" else question.default(auth)
            answers |= _ask(question, default, answers, target)
    return SetupOptions(**answers)


def _ask(
    question: SetupQuestion, default: str, answers: Mapping[str, Any], target: TargetRepository
) -> dict[str, Any]:
    """Asks until the answer is valid; returns it by its field, or nothing if a default of `SetupOptions` applies."""
    words = question.answers
    choices = f" ({', '.join(words)})" if words else ""
    while True:
        sys.stderr.write(f"{question.text}{choices} [{default}]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise Error(_STOPPED)
        text = line.strip() or default
        if question.is_yes_or_no and text.lower() in ("y", "n"):
            text = "yes" if text.lower() == "y" else "no"
        if words and text not in words:
            sys.stderr.write(f"  The answer must be {listed(words)}{did_you_mean(text, words) or '.'}\n")
            continue
        if not words and text == default:
            return {}
        answer = {question.field: text == "yes" if question.is_yes_or_no else text}
        fault = next(option_faults({**answers, **answer}, target), None)
        if fault is None:
            return answer
        sys.stderr.write(f"  {fault}\n")


def option_faults(answers: Mapping[str, Any], target: TargetRepository) -> Iterator[str]:
    """Yields a sentence for each option that is wrong or contradicts another one. `auth` may be missing."""
    auth = answers.get("auth")
    if auth == "organization" and not target.has_copilot:
        yield (
            f"{target.site} has no Copilot: choose --auth token with a token of github.com, a provider, or"
            " running-cli."
        )
    for name, defaults in (("url", DEFAULT_URLS), ("secret", DEFAULT_SECRETS)):
        if name in answers and auth is not None and auth not in defaults:
            yield f"--{name} is for --auth {listed(tuple(defaults))}: leave it out with --auth {auth}."
    if (secret := answers.get("secret")) is not None and not _SECRET.fullmatch(secret):
        expected = "the name of a secret, in capital letters, digits and _, not beginning with GITHUB_"
        yield f"--secret must be {expected}, not {safely_quoted(secret)}."
    if (model := answers.get("model")) is not None and (
        not _MODEL.fullmatch(model) or TOKEN_SHAPE.search(model)
    ):
        yield f"--model must be a model id without spaces, not {safely_quoted(model)}."
    if (url := answers.get("url")) is not None and auth is not None:
        try:
            if auth == "running-cli":
                [parse_host_port(address.strip()) for address in url.split(",")]
            else:
                parse_url(url)
        except ValueError as fault:
            yield f"--url {fault}."
    if auth == "running-cli" and (forks := answers.get("forks")) in ("read-only", "two-workflows"):
        yield (
            f"--forks {forks} runs the workflow in the version of the fork, which must never run on a self-hosted"
            " runner: choose pull-request-target, or another --auth."
        )


def _changed_files(root: Path, files: Mapping[str, str], *, force: bool) -> dict[str, str]:
    """Returns the files that are not there yet as they are to be. Raises SettingsError if others would be replaced."""
    changed = {path: text for path, text in files.items() if not _is_written(root / path, text)}
    outside = [path for path in changed if not (root / path).parent.resolve().is_relative_to(root)]
    if outside:
        raise SettingsError(
            [f"{path} is outside of the repository, through a link: remove it." for path in outside]
        )
    replaced = [path for path in changed if (root / path).is_symlink() or (root / path).exists()]
    if replaced and not force:
        hint = "Nothing was written: --force replaces them, and --print prints what would be written."
        raise SettingsError([*(f"{path} exists, and differs." for path in replaced), hint])
    return changed


def _is_written(path: Path, text: str) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == text.encode()
    except OSError:
        return False


def _write_all(root: Path, files: Mapping[str, str]) -> None:
    """Writes all files, or none: what was there is restored if one cannot be written. Raises Error."""
    folders = [root / ".github", root / ".github" / "workflows"]
    created = [folder for folder in folders if not folder.exists()]
    before: dict[Path, bytes | None] = {}
    try:
        for path, text in files.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            before[place] = place.read_bytes() if place.exists() else None
            write_whole(place, text)
    except BaseException as fault:
        for place, content in before.items():
            with suppress(OSError):
                place.unlink(missing_ok=True) if content is None else place.write_bytes(content)
        for folder in reversed(created):
            with suppress(OSError):
                folder.rmdir()
        if isinstance(fault, OSError):
            message = (
                f"{fault.filename or root} could not be written ({fault.strerror}): nothing was changed."
            )
            raise Error(message, "Make the folder .github writable, or use --print.") from fault
        raise


def remaining_steps(
    options: SetupOptions, action: ActionReference, target: TargetRepository
) -> Iterator[str]:
    """Yields what people still have to do, each with the address of its page on GitHub in a line of its own."""
    owner, link = target.repository.partition("/")[0], target.link
    copilot_site = target.site if target.has_copilot else "https://github.com"
    secret = options.secret or DEFAULT_SECRETS.get(options.auth)
    if not action.is_release:
        yield (
            f"In the workflows, replace {PLACEHOLDER.repository}@{PLACEHOLDER.sha} by a release of hunkwise: this is a"
            " development version, whose release is not known.\n"
            'The same command with --force --action "OWNER/hunkwise@SHA # v1.2.3" does it.'
        )
    if options.auth == "organization":
        yield (
            f'An owner of the organization {owner} allows "Copilot CLI billed to the organization":\n'
            f"{copilot_site}/organizations/{owner}/settings/copilot/policies"
        )
    if options.auth == "token":
        yield (
            'Create a fine-grained personal access token with the account permission "Copilot Requests" and no other:\n'
            f"{copilot_site}/settings/personal-access-tokens/new"
        )
    if options.auth == "running-cli":
        yield f"Register a self-hosted runner on Linux:\n{link('settings/actions/runners/new')}"
        yield "Start the Copilot CLI there, as the first lines of hunkwise.yml describe."
    if secret:
        kind = {"token": "that token", "running-cli": "the connection token of the CLI"}
        yield (
            f"Add {kind.get(options.auth, 'the key of the provider')} as the secret {secret}:\n"
            f"{link('settings/secrets/actions/new')}"
        )
        yield (
            f"To review pull requests of Dependabot, which get no other secrets, add {secret} there too:\n"
            f"{link('settings/secrets/dependabot/new')}"
        )
    variables = ["AZURE_URL"] if options.auth == "azure" and not options.url else []
    variables += ["MODEL"] if options.auth in PROVIDERS and not options.model else []
    for variable in variables:
        what = {
            "AZURE_URL": "the address of the resource",
            "MODEL": "the id of the model, or of its deployment",
        }
        yield f"Add {what[variable]} as the variable {variable}:\n{link('settings/variables/actions/new')}"
    if options.forks in ("read-only", "two-workflows"):
        needed = "the permission for Copilot" if options.auth == "organization" else f"the secret {secret}"
        yield (
            f"Runs of forks need {needed}; a private repository can send write tokens and secrets to them:\n"
            f"{link('settings/actions')}"
        )
    if options.code_scanning:
        yield f"In a private repository, turn on Code Security for code scanning:\n{link('settings/security_analysis')}"
    yield (
        f"If only selected actions may run, allow {action.repository} and those of GitHub:\n{link('settings/actions')}"
    )
    later = options.dispatch or options.commands or options.audit != "no" or options.forks != "no"
    yield (
        "Commit the files, and open a pull request with them: it is the first one that is reviewed."
        + ("\nThe other workflows start once they are on the default branch." if later else "")
    )
