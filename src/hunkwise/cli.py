"""The command line. Only this module turns an Error into a message and an exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from hunkwise.argument_parser import completion_script
from hunkwise.arguments import build_parser
from hunkwise.commands.messages import no_service_error, print_message
from hunkwise.errors import Error, host_error
from hunkwise.telemetry import annotate, recorded_run

_UNKNOWN_HINT = "This is a fault of hunkwise's own: please report it with the lines above."


def run_process(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command as the only task of this process, and exits with its code."""
    if refusal := unsupported_system(sys.platform):
        print_message(refusal)
        sys.exit(2)
    # Not at the top: what it needs is missing on Windows.
    from hunkwise.worker import adopt_orphans, end_with_parent

    end_with_parent(os.environ)
    adopt_orphans()
    gc.disable()  # until imports and settings are loaded: none of that is garbage (commands.run enables it)
    code = main(argv)
    gc.freeze()  # the process ends here: the interpreter's final garbage collection takes 0.3 s
    sys.exit(code)


def unsupported_system(system: str) -> str:
    """Returns why hunkwise does not run on a system (as in `sys.platform`); empty on Linux and macOS."""
    if system in ("linux", "darwin"):
        return ""
    return "hunkwise runs on Linux and macOS; on Windows use WSL or the container image (docs/install.md)."


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Runs a command and returns its exit code (0 to 4, see `ExitCode`)."""
    _open_streams()
    parser = build_parser()
    arguments = parser.parse_args(argv)  # None: those of the process
    if arguments.command is None:
        parser.print_help()
        return 0
    with recorded_run(arguments.command, environ):
        code = _run_command(arguments, environ)
        annotate({"hunkwise.exit_code": code})
    return code


def _run_command(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if arguments.command == "action":
        return _run_action(environ)
    if arguments.command == "publish" and not arguments.pr:
        return _run_action({**environ, "INPUT_PUBLISH": arguments.report})
    return _run_local(arguments, environ)


def _run_action(environ: Mapping[str, str]) -> int:
    from hunkwise.commands.action import Action

    action = Action(environ, sys.stdout)
    try:
        return int(action.run())
    except Error as error:
        action.fail(error)
        return error.exit_code
    except Exception as error:
        action.fail(unexpected_error(error))
        return 3
    finally:
        _flush_streams()
        action.close()


def _run_local(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    _escape_unencodable()
    try:
        code = int(_import_command(arguments.command)(arguments, environ))
        sys.stdout.flush()
        return code
    except Error as error:
        for fault in error.shell_faults:
            print_message(f"hunkwise: {fault}")
        return error.exit_code
    except BrokenPipeError:
        return 3  # the reader closed the pipe
    except KeyboardInterrupt:  # where a command does not handle it: while it starts, or waits for a database
        print_message("hunkwise: It was stopped.")
        return 3
    except Exception as error:
        for fault in unexpected_error(error).shell_faults:
            print_message(f"hunkwise: {fault}")
        return 3
    finally:
        _flush_streams()


def _import_command(name: str) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    """Returns the function that runs a command. Imports only the modules that this command needs."""
    if name == "doctor":
        from hunkwise.doctor.command import doctor

        return doctor
    if name == "init":
        from hunkwise.commands.init import init

        return init
    if name == "eval":
        from hunkwise.commands.eval import evaluate

        return evaluate
    if name in ("config", "prompts"):
        return preview
    if name == "completion":
        return print_completion
    if name == "setup":
        from hunkwise.commands.setup import setup

        return setup
    if name == "audit":
        from hunkwise.commands.audit import audit

        return audit
    if name in ("serve", "worker", "service"):
        try:
            from hunkwise.commands.serve import serve, service
        except ModuleNotFoundError as error:
            raise no_service_error(error.name or "") from error
        return service if name == "service" else serve
    if name == "servers":
        from hunkwise.commands.servers import servers

        return servers
    from hunkwise.commands.review import publish, review

    return publish if name == "publish" else review


def print_completion(arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Runs `hunkwise completion SHELL`."""
    sys.stdout.write(f"{completion_script(build_parser(), arguments.shell)}\n")
    return 0


def preview(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Runs `hunkwise config …` and `hunkwise prompts …`. Raises Error, also if a signal ends it."""
    from hunkwise.commands.signals import stoppable

    with stoppable("The preview was stopped before it was done."):
        match arguments.command, arguments.part:
            case "config", "show":
                from hunkwise.preview.config import show

                return show(arguments, environ)
            case "config", _:
                from hunkwise.preview.config import check

                return check(arguments)
            case _, "list":
                from hunkwise.preview.prompts import list_prompts

                return list_prompts(arguments)
            case _, "show":
                from hunkwise.preview.prompts import show_prompt

                return show_prompt(arguments)
            case _:
                from hunkwise.preview.prompts import render_prompt

                return render_prompt(arguments, environ)


def _escape_unencodable() -> None:
    """Makes standard streams escape characters that their encoding lacks, so that printing never fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Opens /dev/null for closed standard streams: otherwise the next file or socket would get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.fdopen(os.open(os.devnull, os.O_RDWR), "r+", encoding="utf-8")
            if null.fileno() != number:
                os.dup2(null.fileno(), number)
            setattr(sys, name, null)


def _flush_streams() -> None:
    """Flushes standard output and error; redirects them to /dev/null if that fails, to keep the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unexpected_error(error: Exception) -> Error:
    """Returns the Error for an unexpected exception, and prints its stack frames: the message may be untrusted text."""
    if (fault := host_error(error)) is not None:
        return fault
    for frame in traceback.extract_tb(error.__traceback__):
        print_message(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    return Error(f"{type(error).__name__}: {error}.", _UNKNOWN_HINT)
