"""The child process that renders the user's own templates: `python -m hunkwise.prompts.confined`.

A sandbox within our process cannot bound a template's time and memory; the kernel can bound a process.
One JSON object a line: first `{"sources", "name", "shared"}`, then a context for each rendering (without what is
shared). Each is answered by a line, `{}` for the first, `{"text"}` or `{"fault"}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from hunkwise.bounded import bound
from hunkwise.prompts.references import compile_fault
from hunkwise.prompts.sandbox import RENDER_ERRORS, TemplateFault, render, render_fault, sandbox

MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 60
"""Processor time for all renderings of one prompt."""


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers line by line until there are no more."""
    for reply in _replies(requests):
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _replies(requests: TextIO) -> Iterator[dict[str, Any]]:
    first = json.loads(requests.readline())
    sources, name, shared = first["sources"], first["name"], first["shared"]
    environment = sandbox(sources)
    fault = compile_fault(environment, sources, name)
    yield {} if fault is None else _told(fault)
    for line in requests:
        try:
            yield {"text": render(environment, name, {**shared, **json.loads(line)})}
        except RENDER_ERRORS as error:
            yield _told(render_fault(error, name))


def _told(fault: TemplateFault) -> dict[str, Any]:
    return {"fault": [fault.template, fault.line, fault.said]}


if __name__ == "__main__":
    bound(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)
