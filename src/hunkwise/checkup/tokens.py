"""Which tokens are there and of which kind, by their prefix alone; and who holds which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hunkwise.checkup.check import Check, ok, unchecked, warning, wrong
from hunkwise.settings.inputs import KNOWN_INPUTS
from hunkwise.settings.reading import set_inputs

TWO_JOBS = "examples/workflows/two-jobs.yml"
_KINDS = (
    ("github_pat_", "a fine-grained personal access token"),
    ("ghs_", "a token of an app's installation, such as a job's GITHUB_TOKEN"),
    ("ghp_", "a classic personal access token"),
    ("gho_", "an OAuth token"),
    ("ghu_", "an app's token for a person"),
)
_CLASSIC = "ghp_"
_NEED = (
    'Give the job "permissions: copilot-requests: write", or use a fine-grained token with the account permission'
    ' "Copilot Requests".'
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that are set, before any of them was tried."""

    job: bool
    github: str | None = field(default=None, repr=False)
    copilot: str | None = field(default=None, repr=False)
    """Copilot's own; in a job github-token stands in for it."""
    copilot_answers: bool = True
    """A CLI is started here, and Copilot answers: no provider, no CLI that runs already, no report to publish."""
    posts: bool = True
    """The step writes to the pull request: it has no `dry-run: true`."""


def tokens_in(environ: Mapping[str, str], *, job: bool) -> Tokens:
    """What the inputs of a step, or the variables of a shell, hold."""
    if not job:
        github = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
        copilot = environ.get("COPILOT_GITHUB_TOKEN")
        return Tokens(job, github or None, copilot or None, copilot_answers=bool(copilot))
    texts = set_inputs(environ, KNOWN_INPUTS)
    return Tokens(
        job,
        texts.get("github-token"),
        texts.get("copilot-token"),
        copilot_answers=not {"provider-base-url", "copilot-url", "publish"} & texts.keys(),
        posts=texts.get("dry-run") != "true",
    )


def kind_of(token: str) -> str:
    """What its prefix says; nothing of the rest."""
    return next(
        (kind for prefix, kind in _KINDS if token.startswith(prefix)), "a token of a kind that is not known"
    )


def token_checks(tokens: Tokens, environ: Mapping[str, str]) -> Iterator[Check]:
    """Both tokens, whether they are one, and tokens that lie about."""
    yield _github(tokens)
    yield _copilot(tokens)
    if tokens.copilot_answers:
        yield from _one_for_both(tokens)
    yield from _stray(tokens, environ)


def _github(tokens: Tokens) -> Check:
    if tokens.github is None and tokens.job:
        return wrong("github-token", "is not set.", "Leave it at its default, ${{ github.token }}.")
    if tokens.github is None:
        return unchecked("GITHUB_TOKEN", "it is not set, and only `--pr` needs it")
    name = "github-token" if tokens.job else "GITHUB_TOKEN"
    if tokens.github.startswith(_CLASSIC):
        said = "is a classic personal access token, which reaches all that its account can reach."
        return warning(name, said, "Use the job's own ${{ github.token }}, or a fine-grained token.")
    return ok(name, kind_of(tokens.github))


def _copilot(tokens: Tokens) -> Check:
    name = "copilot-token" if tokens.job else "COPILOT_GITHUB_TOKEN"
    if not tokens.copilot_answers:
        why = "Copilot is not asked from here" if tokens.job else "it is not set, so Copilot is not asked"
        return unchecked(name, why)
    token = tokens.copilot or tokens.github
    if token is None:
        return wrong(name, "is not set, and neither is github-token.", _NEED)
    if token.startswith(_CLASSIC):
        return wrong(name, "is a classic personal access token (ghp_), which Copilot does not accept.", _NEED)
    return ok(
        name, kind_of(token) if tokens.copilot else f"is not set: github-token is used, {kind_of(token)}"
    )


def _one_for_both(tokens: Tokens) -> Iterator[Check]:
    """Whoever takes over the CLI has what it holds."""
    name = "One token for both"
    if (tokens.copilot or tokens.github) != tokens.github or tokens.github is None:
        yield ok(name, "no: the Copilot CLI does not get the token that reads and posts")
    elif not tokens.posts:
        yield ok(name, "yes, in a step that posts nothing: its job needs no permission to write")
    else:
        yield warning(
            name,
            "yes: the Copilot CLI holds a token that can write to the pull request.",
            f"Let one job review and another one publish, as {TWO_JOBS} does; or give Copilot a token of its own.",
        )


def _stray(tokens: Tokens, environ: Mapping[str, str]) -> Iterator[Check]:
    """Tokens that a reader of the workflow could take for ours."""
    if not tokens.job:
        both = (environ.get("GITHUB_TOKEN"), environ.get("GH_TOKEN"))
        if all(both) and both[0] != both[1]:
            said = "is set, and is not GITHUB_TOKEN, which is the one that is used."
            yield warning("GH_TOKEN", said, "Remove one of the two.")
        return
    if environ.get("COPILOT_GITHUB_TOKEN"):
        said = "is set in this step, and is not used."
        yield warning("COPILOT_GITHUB_TOKEN", said, "Set the input copilot-token instead.")
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        if environ.get(name):
            said = "is set in this step: hunkwise does not use it, and the Copilot CLI does not get it."
            yield warning(name, said, f"Remove {name} from the `env` of this step.")
