"""Which preview carries out which command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from hunkwise.domain.outcome import ExitCode


def preview(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """`hunkwise config …` and `hunkwise prompts …`. Each is imported with what it needs. Raises Error."""
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
