"""Defines the commands of hunkwise and their options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from hunkwise import __version__
from hunkwise.argument_parser import SHELLS, CommandParser, add_examples
from hunkwise.domain.limits import MATRIX_JOBS

_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "--model": {"metavar": "ID", "help": 'a model id, or "demo": fixed rules that need no account'},
    "--config": {"metavar": "PATH", "help": "the configuration (default: .github/hunkwise.yml)"},
    "--repository": {"metavar": "DIR", "default": ".", "help": "the checkout (default: here)"},
    "--format": {"choices": ("text", "json"), "default": "text", "help": "output format (default: text)"},
    "--pr": {"metavar": "PR"},
    "--base": {"metavar": "REV"},
    "--head": {"metavar": "REV"},
    "--quiet": {"action": "store_true", "help": "no progress and no notices on standard error"},
}
"""Options that several commands have."""
_REVIEW_SETTINGS: Final = {
    "prompts": ("NAMES", "the prompts to run, such as review,security"),
    "fail-on": ("SEVERITY", "exit with 1 when a finding reaches it"),
    "min-severity": ("SEVERITY", "omit findings below it"),
    "verify": ("MODE", "whether a second session checks each finding: off, on or strict"),
    "max-credits": ("N", "AI credits of Copilot that the review may use"),
}
"""Options of `review` that are keys of the configuration: metavar and help."""
_SHORT: Final = {"--quiet": ("-q",)}
_Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"


def _add(parser: argparse._ActionsContainer, *names: str, **more: Any) -> None:
    """Adds options of `_OPTIONS`; `more` overrides their keywords for this command."""
    for name in names:
        parser.add_argument(*_SHORT.get(name, ()), name, **{**_OPTIONS[name], **more})


def build_parser() -> CommandParser:
    """Returns the parser of all commands."""
    parser = CommandParser(
        prog="hunkwise",
        description="Reviews changes and audits repositories with GitHub Copilot, or with a model of your own.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"hunkwise {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add in (
        _add_review,
        _add_publish,
        _add_audit,
        _add_prompts,
        _add_config,
        _add_eval,
        _add_doctor,
        _add_setup,
        _add_completion,
        _add_action,
    ):
        add(commands)
    add_examples(parser)
    return parser


def _add_action(commands: _Commands) -> None:
    commands.add_parser(
        "action",
        help="run as a step of a workflow (what entrypoint.py does)",
        description="For steps of workflows: reads the inputs from the variables INPUT_* and the event from "
        "GITHUB_EVENT_PATH, both set by GitHub's runner, and writes its log, outputs and job summary. It reviews, "
        "audits, publishes, or answers a command in a comment, as the event and the inputs say. Outside of a workflow "
        "use `hunkwise review`.",
    )


def _add_completion(commands: _Commands) -> None:
    completion = commands.add_parser(
        "completion",
        help="print the script for completion in a shell",
        description="Prints a script with which the shell completes commands, options, their values and paths. Save "
        "it where the shell looks for such scripts, and start a new shell.",
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def _add_review(commands: _Commands) -> None:
    review = commands.add_parser(
        "review",
        help="review local changes, or a pull request",
        description="Without options: all changes since the merge base with the default branch, committed or not. "
        "Configuration, prompts and instructions are those of the working tree. Posts nothing unless --pr and --post "
        "are given.",
    )
    change = review.add_argument_group("what is reviewed")
    _add(change, "--base", help="review what came since the merge base with REV")
    _add(change, "--head", help="review commits up to REV, not the working tree")
    change.add_argument("--committed", action="store_true", help="review commits only, up to HEAD")
    change.add_argument("--staged", action="store_true", help="review staged changes only")
    change.add_argument("--untracked", action="store_true", help="also review files that git does not track")
    _add(
        change,
        "--pr",
        help="review a pull request on GitHub, read with the token in GITHUB_TOKEN: its URL, OWNER/REPO#N, or its "
        "number in a clone",
    )
    rules = review.add_argument_group("how it is reviewed")
    for name, (metavar, text) in _REVIEW_SETTINGS.items():
        rules.add_argument(
            f"--{name}", action=_StoreSetting, dest="settings", default={}, metavar=metavar, help=text
        )
    _add(rules, "--model", "--config")
    rules.add_argument(
        "--at-base",
        action="store_true",
        help="use configuration, prompts and instructions of the base commit, as on GitHub",
    )
    review.add_argument("--post", action="store_true", help="with --pr: post the review")
    _add(review, "--format", choices=("text", "json", "jsonl", "sarif", "markdown", "quickfix"))
    _add(review, "--quiet", "--repository")


class _StoreSetting(argparse.Action):
    """Stores the text of an option that is a key of the configuration in the dictionary `settings`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # argparse passes it
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        key = (option_string or "").removeprefix("--")
        namespace.settings = {**namespace.settings, key: values}


def _add_publish(commands: _Commands) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish the report of a run that could not write",
        description="In a workflow on workflow_run, from the environment of the step, as the input `publish` "
        "does; elsewhere with --pr and GITHUB_TOKEN. Nothing of the pull request's head is run or trusted.",
    )
    publish.add_argument("report", metavar="REPORT", help="the JSON report of that run")
    _add(publish, "--pr", help="the pull request that it must be about")


def _add_audit(commands: _Commands) -> None:
    """Adds `audit` with its subcommands `plan`, `run`, `merge` and `show`; without one it does all three."""
    audit = commands.add_parser(
        "audit",
        help="review a whole repository, the riskiest files first, within a budget",
        description="Reads files of HEAD that were not read before, and lists all open findings of this audit and of "
        "earlier ones. The next call continues. The state is kept in a file in the user's cache, or with --issue in "
        "an issue on GitHub. Nothing is written into the repository.",
    )
    audit.add_argument("--read-again", action="store_true", help="begin a new lap: read everything again")
    _add_audit_options(audit, "--paths", "--model", "--format", "--post", "--baseline", "--issue")
    audit.set_defaults(part=None)
    parts = audit.add_subparsers(metavar="plan|run|merge|show")
    # Options are allowed before a subcommand, whose defaults would replace them.
    add_part = partial(parts.add_parser, argument_default=argparse.SUPPRESS)
    plan = add_part("plan", help="select what is read, and divide it into shards; asks no model")
    plan.add_argument(
        "--shards",
        metavar="N",
        type=_shard,
        default=None,
        help="number of shards (default: one for every 20 model calls, at most 32)",
    )
    plan.add_argument("--read-again", action="store_true", help="begin a new lap: read everything again")
    run = add_part("run", help="read one shard of a plan; writes nothing to GitHub")
    run.add_argument("--shard", metavar="N", type=_shard, required=True, help="number of the shard, from 1")
    merge = add_part("merge", help="merge the reports of all shards; asks no model")
    merge.add_argument(
        "parts", metavar="PART", nargs="*", default=[], help="the shards' reports, or a folder of them"
    )
    show = add_part("show", help="show open findings and coverage; asks no model and writes nothing")
    show.add_argument(
        "issue", metavar="OWNER/REPO", nargs="?", help="read the state from the issue of this repository"
    )
    for parser in (run, merge):
        parser.add_argument("--plan", metavar="FILE", required=True, help="the file that `audit plan` wrote")
    for parser, what in ((plan, "plan"), (run, "report of the shard")):
        parser.add_argument("--out", metavar="FILE", required=True, help=f"write the {what} there")
    _add_audit_options(plan, "--paths", "--model", "--issue")
    _add_audit_options(run, "--model", "--issue")
    _add_audit_options(merge, "--paths", "--format", "--post", "--baseline", "--issue")
    _add_audit_options(show, "--paths", "--format")
    for name, parser in (("plan", plan), ("run", run), ("merge", merge), ("show", show)):
        parser.set_defaults(part=name)


def _add_audit_options(parser: argparse.ArgumentParser, *names: str) -> None:
    default = {} if parser.argument_default is None else {"default": parser.argument_default}
    if "--paths" in names:
        parser.add_argument(
            "--paths", metavar="GLOB", action="append", help="only these files; may be repeated"
        )
    if "--format" in names:
        _add(parser, "--format", choices=("text", "json", "sarif", "markdown", "quickfix"), **default)
    if "--post" in names:
        parser.add_argument("--post", action="store_true", help="with --issue: write the issue and its state")
    if "--baseline" in names:
        parser.add_argument(
            "--baseline", action="store_true", help="dismiss everything that is new in this audit"
        )
    if "--model" in names:
        _add(parser, "--model", **default)
    if "--issue" in names:
        parser.add_argument(
            "--issue",
            metavar="OWNER/REPO",
            help="keep the state in the issue of this repository, with the token in GITHUB_TOKEN",
        )
    parser.add_argument(
        "--state", metavar="FILE", help="keep the state in this file (default: in the user's cache)"
    )
    _add(parser, "--quiet", "--config", "--repository", **default)


def _shard(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MATRIX_JOBS:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {MATRIX_JOBS}")
    return int(text)


def _add_prompts(commands: _Commands) -> None:
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
    _add(listing, "--format", "--config", "--repository")
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
    _add(show, "--config", "--repository")
    _add(render, "--base", help="what came since the merge base with REV")
    _add(render, "--head", help="commits up to REV, not the working tree")
    _add(render, "--pr", help="a pull request on GitHub, read with the token in GITHUB_TOKEN")
    render.add_argument("--chunk", metavar="N", help="print only the text of chunk N to standard output")
    render.add_argument("--system", action="store_true", help="also print the system message")
    render.add_argument(
        "--at-base",
        action="store_true",
        help="configuration and templates of the base commit, as a review reads them",
    )
    _add(render, "--format", "--config", "--repository")


def _add_config(commands: _Commands) -> None:
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
    _add(show, "--base", help="the configuration of this commit")
    _add(show, "--pr", help="that of the pull request's base, read with the token in GITHUB_TOKEN")
    _add(show, "--model", help="as `hunkwise review --model` would have it")
    _add(show, "--format", "--config", "--repository")
    check = parts.add_parser(
        "check",
        help="find every error of the configuration and its templates",
        description="Reads the configuration of the working tree and all templates and partials that it names. "
        "Prints ok and what was read, or every error as path:line, and ends with 0 or 2. Needs no network and no "
        "token: good as a pre-commit hook.",
    )
    _add(check, "--config", "--repository")


_MEASURES: Final = (
    "Found: of the expected findings. Noise: findings that are not expected. Precision is 100 % where nothing was "
    "found, recall where nothing was to be found, and F1 where both hold: a clean case in which nothing was said "
    "counts as perfect. Adjusted (Adj.): what a case accepts is no noise. The total is over all findings "
    "together, not the mean of the cases. Of an answer, the required statements count as expected findings, and the "
    "forbidden ones that it states as noise. The exit code is the worst of the runs: 3 (nothing measured), 1 "
    "(regression), 4 (partial), 0."
)


def _add_eval(commands: _Commands) -> None:
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
    _add(
        parser,
        "--format",
        choices=("text", "json", "markdown"),
        help="output format (default: text)",
    )
    _add(parser, "--quiet")
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
    _add(
        parser,
        "--model",
        action="append",
        help='a model id, or "demo": fixed rules that need no account; several times: a run for each',
    )
    _add(parser, "--config", "--repository")


def _add_doctor(commands: _Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="report what is set up, what is not, and how to fix it",
        description="Checks the inputs in a job, and in a shell the options and variables of `review`. "
        "Posts nothing and spends nothing. Ends with the exit code that a review would end with.",
    )
    doctor.add_argument("--offline", action="store_true", help="connect neither to GitHub nor to a model")
    _add(doctor, "--format")
    _add(doctor, "--pr", help="the pull request that is to be reviewed")
    _add(doctor, "--model", "--config", "--repository")


def _add_setup(commands: _Commands) -> None:
    parser = commands.add_parser(
        "setup",
        help="download the Copilot CLI, where hunkwise was installed as a package",
        description="Downloads the Copilot CLI that this version of hunkwise is tested with, by the SDK's own verified "
        "download, into the user's cache. Says from where and how much, and asks first. No other command downloads it.",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
