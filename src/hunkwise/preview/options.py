"""The options of `hunkwise prompts` and `hunkwise config`. Standard library only: every command's start pays."""

from __future__ import annotations

import argparse
from typing import Final

_PULL_REQUEST: Final = "OWNER/REPO#N"


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """`list`, `show NAME` and `render NAME`."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="list|show|render")
    listing = parts.add_parser(
        "list",
        help="all prompts: what they look for, where they come from, whether they run",
        description="Lists the built-in prompts and those of the configuration in the working tree, with their "
        "template, files, severities, budget and tools, and whether the configuration runs them.",
    )
    _add_format(listing)
    _add_place(listing)
    show = parts.add_parser(
        "show",
        help="the text of a template",
        description="Prints a template as it stands. hunkwise/NAME is always the built-in one; partials/NAME is a "
        "partial, base the skeleton of the prompts over a diff.",
    )
    show.add_argument("name", metavar="NAME", help="a prompt, as `hunkwise prompts list` names it")
    show.add_argument(
        "--extended", action="store_true", help="also what it extends and includes, in that order"
    )
    _add_place(show)
    render = parts.add_parser(
        "render",
        help="the exact text of each chunk that a review would send",
        description="Renders a prompt over a range of commits (default: the merge base with the default branch up "
        "to HEAD, as `hunkwise review`) or a pull request, by the code that a review uses. Configuration and "
        "templates are those of the working tree, so that they can be tried before they are committed. "
        "`verify` and `summary` are rendered with example findings, made from the diff. Sizes in tokens are an "
        "estimate: characters divided by 4.",
    )
    render.add_argument("name", metavar="NAME", help="a prompt, as `hunkwise prompts list` names it")
    _add_render(render)
    _add_place(render)


def _add_render(render: argparse.ArgumentParser) -> None:
    render.add_argument("--base", metavar="REV", help="what came since the merge base with REV")
    render.add_argument("--head", metavar="REV", help="the last commit (default: HEAD)")
    render.add_argument(
        "--pr", metavar=_PULL_REQUEST, help="a pull request on GitHub, read with the token in GITHUB_TOKEN"
    )
    render.add_argument(
        "--chunk", metavar="N", help="only chunk N; standard output has nothing but its text then"
    )
    render.add_argument("--system", action="store_true", help="the system message, too")
    render.add_argument(
        "--at-base",
        action="store_true",
        help="configuration and templates of the base commit, as a review reads them",
    )
    _add_format(render)


def add_config(parser: argparse.ArgumentParser) -> None:
    """`show` and `check`."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="show|check")
    show = parts.add_parser(
        "show",
        help="every value with where it came from",
        description="Shows every value and its source: default, path:line of the configuration, front matter of a "
        "template, input (INPUT_* in the environment), variable or option. The configuration is that of the "
        "working tree, of a commit (--base), or of the base of a pull request (--pr). Tokens are never shown.",
    )
    show.add_argument("--base", metavar="REV", help="the configuration of this commit")
    show.add_argument(
        "--pr",
        metavar=_PULL_REQUEST,
        help="that of the pull request's base, read with the token in GITHUB_TOKEN",
    )
    show.add_argument("--model", metavar="ID", help="as `hunkwise review --model` would have it")
    _add_format(show)
    _add_place(show)
    check = parts.add_parser(
        "check",
        help="find every fault of the configuration and its templates",
        description="Reads the configuration of the working tree and all templates and partials that it names. "
        "Prints ok and what was read, or every fault as path:line, and ends with 0 or 2. Needs no network and no "
        "token: good as a pre-commit hook.",
    )
    _add_place(check)


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text for people")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="PATH", help="the configuration (default: .github/hunkwise.yml)")
    parser.add_argument("--repository", metavar="DIR", default=".", help="the checkout (default: here)")
