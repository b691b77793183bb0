"""Which preview carries out which command."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping

from hunkwise.domain.outcome import ExitCode
from hunkwise.errors import Error


def preview(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """`hunkwise config …` and `hunkwise prompts …`. Raises Error, also where a signal ends it."""
    # SIGINT, too: a shell has those that it starts in the background ignore it.
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return _carried_out(arguments, environ)
    except KeyboardInterrupt as stop:
        raise Error("The preview was stopped before it was done.") from stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _carried_out(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Each command is imported with what it needs."""
    match arguments.command, arguments.part:
        case "config", "show":
            from hunkwise.preview.config_show import show

            return show(arguments, environ)
        case "config", _:
            from hunkwise.preview.config_check import check

            return check(arguments)
        case _, "list":
            from hunkwise.preview.prompts_list import list_prompts

            return list_prompts(arguments)
        case _, "show":
            from hunkwise.preview.prompts_show import show_prompt

            return show_prompt(arguments)
        case _:
            from hunkwise.preview.prompts_render import render_prompt

            return render_prompt(arguments, environ)
