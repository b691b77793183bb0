"""Defines the commands for authors of prompts, `prompts`, `config` and `eval`, and their options."""

from __future__ import annotations

from typing import Final

from hunkwise.argument_parser import Commands, add_options


def add_prompts(commands: Commands) -> None:
    """Adds the subcommands `list`, `show NAME` and `render NAME`."""
    prompts = commands.add_parser(
        "prompts",
        help="list, show and preview prompts, without asking a model",
        description="Shows prompts as they are and as they would be sent. No Copilot CLI is started and no model "
        "asked.",
    )
    parts = prompts.add_subparsers(dest="part", required=True, metavar="list|show|render")
    listing = parts.add_parser(
        "list",
        help="all prompts: what they look for, where they are defined, whether they run",
        description="Lists the built-in prompts and those of the configuration in the working tree, with their "
        "template, files, severities, budget and tools, and whether the configuration runs them.",
    )
    add_options(listing, "--format", "--config", "--repository")
    show = parts.add_parser(
        "show",
        help="the text of a template",
        description="Prints the text of a template. hunkwise/NAME is always the built-in one; partials/NAME is a "
        "partial, and base is the template that the prompts on a diff extend.",
    )
    render = parts.add_parser(
        "render",
        help="the exact text of each chunk that a review would send",
        description="Renders a prompt over the change that `hunkwise review` would review, or a pull request, "
        "by the code that a review uses. Configuration and templates are those of the "
        "working tree, so that they can be tried before they are committed. "
        "`verify` and `summary` are rendered with example findings, made from the diff. Sizes in tokens are an "
        "estimate: characters divided by 4.",
    )
    for parser in (show, render):
        parser.add_argument("name", metavar="NAME", help="a prompt, as `hunkwise prompts list` names it")
    show.add_argument(
        "--extended", action="store_true", help="also print what it extends and includes, in that order"
    )
    add_options(show, "--config", "--repository")
    add_options(render, "--base", help="what came since the merge base with REV")
    add_options(render, "--head", help="commits up to REV, not the working tree")
    add_options(render, "--pr", help="a pull request on GitHub, read with the token in GITHUB_TOKEN")
    render.add_argument("--chunk", metavar="N", help="print only the text of chunk N to standard output")
    render.add_argument("--system", action="store_true", help="also print the system message")
    render.add_argument(
        "--at-base",
        action="store_true",
        help="configuration and templates of the base commit, as a review reads them",
    )
    add_options(render, "--format", "--config", "--repository")


def add_config(commands: Commands) -> None:
    """Adds the subcommands `show` and `check`."""
    config = commands.add_parser(
        "config",
        help="show the configuration with the source of each value, or check it",
        description="Shows or checks the configuration that a review would use. No Copilot CLI is started and no "
        "model asked.",
    )
    parts = config.add_subparsers(dest="part", required=True, metavar="show|check")
    show = parts.add_parser(
        "show",
        help="every value and its source",
        description="Shows every value and its source: default, path:line of the configuration, front matter of a "
        "template, input (INPUT_* in the environment), variable or option. The configuration is that of the "
        "working tree, of a commit (--base), or of the base of a pull request (--pr). Tokens are never shown.",
    )
    add_options(show, "--base", help="the configuration of this commit")
    add_options(show, "--pr", help="that of the pull request's base, read with the token in GITHUB_TOKEN")
    add_options(show, "--model", help="as `hunkwise review --model` would have it")
    add_options(show, "--format", "--config", "--repository")
    check = parts.add_parser(
        "check",
        help="find every error of the configuration and its templates",
        description="Reads the configuration of the working tree and all templates and partials that it names. "
        "Prints ok and what was read, or every error as path:line, and ends with 0 or 2. Needs no network and no "
        "token: good as a pre-commit hook.",
    )
    add_options(check, "--config", "--repository")


_MEASURES: Final = (
    "Found: of the expected findings. Noise: findings that are not expected. Precision is 100 % where nothing was "
    "found, recall where nothing was to be found, and F1 where both hold: a clean case in which nothing was said "
    "counts as perfect. Adjusted (Adj.): what a case accepts is no noise. The total is over all findings "
    "together, not the mean of the cases. Of an answer, the required statements count as expected findings, and the "
    "forbidden ones that it states as noise. The exit code is the worst of the runs: 3 (nothing measured), 1 "
    "(regression), 4 (partial), 0."
)


def add_eval(commands: Commands) -> None:
    parser = commands.add_parser(
        "eval",
        help="measure prompts and models on cases with known faults or answers",
        description="Reviews known changes, or answers questions about them, with the configuration and prompts of the "
        "working tree, and compares the result with the expected one (docs/evaluating.md). " + _MEASURES,
    )
    parser.add_argument("cases", metavar="CASES", help="a folder of case folders, or one case")
    parser.add_argument("--judge", metavar="MODEL", help="a model that decides whether texts mean the same")
    parser.add_argument("--against", metavar="FILE", help="compare with an earlier --output")
    parser.add_argument(
        "--max-regression",
        metavar="F1_DROP",
        type=float,
        help="with --against: exit 1 when the strict F1 drops by more (default: 0; 0.05 is five points)",
    )
    recording = parser.add_mutually_exclusive_group()
    recording.add_argument("--record", metavar="DIR", help="write the models' answers there")
    recording.add_argument(
        "--replay", metavar="DIR", help="read the answers from there: no model, no network"
    )
    parser.add_argument("--output", metavar="FILE", help="write the JSON report there")
    parser.add_argument("--html", metavar="FILE", help="write the report as one HTML page there")
    add_options(
        parser,
        "--format",
        choices=("text", "json", "markdown"),
        help="output format (default: text)",
    )
    add_options(parser, "--quiet")
    starts = parser.add_mutually_exclusive_group()
    starts.add_argument(
        "--resume",
        dest="fresh",
        action="store_false",
        help="continue an interrupted run (the default)",
    )
    starts.add_argument("--fresh", action="store_true", help="measure every case again")
    parser.set_defaults(fresh=False)
    parser.add_argument(
        "--parallel", metavar="N", type=int, default=2, help="cases at the same time (default: 2)"
    )
    parser.add_argument(
        "--prompts",
        metavar="NAMES",
        action="append",
        help="run only these prompts, with commas between them; several times: a run for each, compared in one table",
    )
    add_options(
        parser,
        "--model",
        action="append",
        help='a model id, or "demo": fixed rules that need no account; several times: a run for each',
    )
    add_options(parser, "--config", "--repository")
