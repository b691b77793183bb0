"""The command line, and the one place where an Error becomes words and an exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence

from hunkwise import __version__
from hunkwise.errors import Error, SettingsError
from hunkwise.publish.characters import plain

_UNKNOWN_HINT = "This is a fault of hunkwise's own: please report it with the lines above."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code (CONTRACT.md: 0 to 4)."""
    gc.disable()  # until all is imported and read (run.py): nothing of that is garbage
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    if arguments.command == "action":
        return _action(os.environ)
    if arguments.command == "publish" and not arguments.pr:
        return _action({**os.environ, "INPUT_PUBLISH": arguments.report})
    return _local(arguments)


def _action(environ: Mapping[str, str]) -> int:
    from hunkwise.action import Action

    action = Action(environ, sys.stdout)
    try:
        return int(action.run())
    except Error as error:
        action.fail(error)
        return error.exit_code
    except Exception as error:
        action.fail(unforeseen(error))
        return 3


def _local(arguments: argparse.Namespace) -> int:
    from hunkwise.local import publish, review

    _take_any_character()
    run = publish if arguments.command == "publish" else review
    try:
        code = int(run(arguments, os.environ))
        sys.stdout.flush()
        return code
    except Error as error:
        faults = error.faults if isinstance(error, SettingsError) else (str(error),)
        for fault in faults:
            print(plain(f"hunkwise: {fault}"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the report has had enough. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3
    except Exception as error:
        print(plain(f"hunkwise: {unforeseen(error)}"), file=sys.stderr)
        return 3


def _take_any_character() -> None:
    """A terminal that lacks a character shows its code; printing never fails for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unforeseen(error: Exception) -> Error:
    """Where it happened goes to the log; the message alone could be anybody's text."""
    for frame in traceback.extract_tb(error.__traceback__):
        print(f"  {frame.filename}:{frame.lineno} in {frame.name}", file=sys.stderr)
    return Error(f"{type(error).__name__}: {error}.", _UNKNOWN_HINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hunkwise", description="Reviews changes with GitHub Copilot, or with a model of your own."
    )
    parser.add_argument("--version", action="version", version=f"hunkwise {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("action", help="run as a step of a workflow (what entrypoint.py does)")
    review = commands.add_parser(
        "review",
        help="review a range of commits, or a pull request",
        description="Without options: the merge base with the default branch up to HEAD. Posts nothing "
        "unless --pr and --post are given.",
    )
    review.add_argument("--base", metavar="REV", help="review what came since the merge base with REV")
    review.add_argument("--head", metavar="REV", default="HEAD", help="the last commit (default: HEAD)")
    review.add_argument("--pr", metavar="OWNER/REPO#N", help="review a pull request on GitHub")
    review.add_argument("--post", action="store_true", help="with --pr: post the review")
    review.add_argument(
        "--format",
        choices=("text", "json", "sarif", "markdown"),
        default="text",
        help="default: text for people",
    )
    review.add_argument(
        "--model", metavar="ID", help='a model id, or "demo": fixed rules that need no account'
    )
    review.add_argument("--config", metavar="PATH", help="the configuration (default: .github/hunkwise.yml)")
    review.add_argument("--repository", metavar="DIR", default=".", help="the checkout (default: here)")
    publish = commands.add_parser(
        "publish",
        help="publish the report of a run that could not write",
        description="In a workflow on workflow_run, from the environment of the step, as the input `publish` "
        "does; elsewhere with --pr and GITHUB_TOKEN. Nothing of the pull request's head is run or trusted.",
    )
    publish.add_argument("report", metavar="REPORT", help="the JSON report of that run")
    publish.add_argument("--pr", metavar="OWNER/REPO#N", help="the pull request that it must be about")
    return parser
