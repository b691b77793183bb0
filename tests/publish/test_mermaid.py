"""Mermaid diagrams of a model: only those without other effects are shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.finding import MAX_DIAGRAM
from hunkwise.publish.change_summary import diagram, diagram_fault
from tests.fuzz.github_markdown import shown

GOOD = [
    'flowchart TD\n  A[Client] -->|asks| B{Is it there?}\n  B -- yes --> C["Cache (Redis)"]\n  B -.-> D[(Store)]',
    "graph LR\n  A & B --> C([End])\n  subgraph Workers\n    C --> D((x))\n  end\n  D ==> E[[sub]]\n  E --> F{{hex}}",
    "flowchart\n  A --> B",
    "sequenceDiagram\n  participant A as The client\n  A->>+B: POST /jobs\n  B-->>-A: later\n  Note right of B: écrit",
    "sequenceDiagram\n  loop each minute\n    A-)B: ping\n  end\n  alt ok\n    A<<->>B: x\n  else not\n    A-xB\n  end",
    "stateDiagram-v2\n  [*] --> Open\n  Open --> Closed\n  state Fork <<fork>>\n  state Open {\n    A --> B\n  }",
    'classDiagram\n  class Job {\n    +start() bool\n    -id: int\n  }\n  Job <|-- Slow\n  Slow *-- "1" Part\n'
    "  <<interface>> Part",
    "flowchart LR\n\n  A --> B\n",
]
BAD = [
    "",
    "flowchart LR",
    "pie\n  x : 3",
    "gitGraph\n  commit",
    "flowchart XY\n  A --> B",
    "%%{init: {'theme': 'x'}}%%\nflowchart LR\n  A --> B",
    "---\ntitle: x\n---\nflowchart LR\n  A --> B",
    "flowchart LR\n---\nconfig: x",
    'flowchart LR\n  A --> B\n  click A href "https://evil.example"',
    "flowchart LR\n  A --> B\n  CLICK A call x()",
    "flowchart LR\n  A --> B %% x",
    "flowchart LR\n  A[<img src=x>] --> B",
    "flowchart LR\n  A[</b>] --> B",
    "flowchart LR\n  A[<!-- x] --> B",
    "flowchart LR\n  A[https://evil.example] --> B",
    "flowchart LR\n  A[www.evil.example] --> B",
    'flowchart LR\n  A["[x](/login)"] --> B',
    'flowchart LR\n  A["!["] --> B',
    "flowchart LR\n  A[#lt;b] --> B",
    "flowchart LR\n  A[&ltb] --> B",
    "flowchart LR\n  A; B",
    "flowchart LR\n  A[\\u0041] --> B",
    'flowchart LR\n  A["`**x**`"] --> B',
    "flowchart LR\n  A@{ img: x } --> B",
    "flowchart LR\n  A[@octocat] --> B",
    "flowchart LR\n  A[$$x$$] --> B",
    "flowchart LR\n  A:::x --> B",
    "flowchart LR\n  style A fill:red",
    "flowchart LR\n  classDef x fill:red",
    "flowchart LR\n  linkStyle 0 stroke:red",
    "sequenceDiagram\n  link A: x",
    'sequenceDiagram\n  links A: {"x": "y"}',
    'sequenceDiagram\n  properties A: {"x": "y"}',
    'classDiagram\n  callback A "x"',
    "classDiagram\n  class A {\n    +x()",
    "flowchart LR\n  A[javascript:x] --> B",
    'flowchart LR\n  A["x] --> B',
    "flowchart LR\n  A[x(y)] --> B",
    "flowchart LR\n  A[x --> B",
    "flowchart LR\n/merge",
    "flowchart LR\n  /merge",
    "flowchart LR\n::error::x",
    "flowchart LR\n```\n@octocat",
    "flowchart LR\n~~~\nx",
    "flowchart LR\n  cl\u3164ick A x",
    "flowchart LR\n  A --> \u202eB",
    "flowchart LR\r\n  A --> B",
    "flowchart LR\n\tA --> B",
    "flowchart LR\n  A --> B\n  " + "x" * 200,
    "flowchart LR\n" + "  A --> B\n" * 70,
    "flowchart LR\n" + ("  A --> B" + " " * 100 + "\n") * 40,
]
SIGNS = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\n", "\n\n", "<!-- hunkwise:state", *'``` ~~~ <b> </details> @user click %%{ --> [x] "'.split()]
)


@pytest.mark.parametrize("source", GOOD)
def test_safe_diagram_is_unchanged(source: str) -> None:
    assert diagram_fault(source) is None
    assert diagram(source) == f"```mermaid\n{source.removesuffix(chr(10))}\n```"
    assert len(source) <= MAX_DIAGRAM


@pytest.mark.parametrize("source", BAD)
def test_unsafe_diagram_is_rejected_with_reason(source: str) -> None:
    assert diagram(source) == ""
    assert (diagram_fault(source) or "").startswith(("it ", "its ", "a "))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 300), SIGNS), max_size=4))
def test_diagram_cannot_leave_its_fence(source: str, changes: list[tuple[int, str]]) -> None:
    for place, sign in changes:
        source = source[:place] + sign + source[place:]
    fence = diagram(source)
    if not fence:
        return
    seen = shown(f"Above.\n\n{fence}\n\nBelow.")
    assert seen.faults == ["a fence of mermaid"]
    assert seen.fences == [("mermaid", source if source.endswith("\n") else f"{source}\n")]
    assert (seen.paragraphs, seen.links, seen.raw_html, seen.comments) == (["Above.", "Below."], [], 0, [])
