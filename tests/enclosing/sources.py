"""A small source file per language, and the scopes around its line with HERE."""

from __future__ import annotations

from hunkwise.enclosing.scopes import Chain, Scope


def _class(start: int, head: int, head_end: int, end: int) -> Scope:
    return Scope(start, head, head_end, end, function=False)


def _function(start: int, head: int, head_end: int, end: int) -> Scope:
    return Scope(start, head, head_end, end, function=True)


SOURCES: dict[str, tuple[str, Chain]] = {
    "python": (
        "class A:\n    @deco\n    def f(\n        self,\n    ):\n        HERE = 1\n        return 2\n\ng()\n",
        (_class(1, 1, 1, 7), _function(2, 3, 5, 7)),
    ),
    "javascript": (
        "export default class A {\n  m() {\n    const f = (b) => {\n      HERE();\n    };\n  }\n}\n",
        (_class(1, 1, 1, 7), _function(2, 2, 2, 6), _function(3, 3, 3, 5)),
    ),
    "typescript": (
        "export abstract class A<T> {\n  m(a: number): void\n  {\n    HERE();\n  }\n}\n",
        (_class(1, 1, 1, 6), _function(2, 2, 2, 5)),
    ),
    "tsx": ("const A = () => {\n  return <div>\n   HERE\n  </div>;\n};\n", (_function(1, 1, 1, 5),)),
    "go": (
        "package a\n\nfunc (s *S) M(a int) error {\n\tHERE()\n\treturn nil\n}\n",
        (_function(3, 3, 3, 6),),
    ),
    "java": (
        "class A {\n  @Override\n  public int f(int a)\n      throws X {\n    return HERE;\n  }\n}\n",
        (_class(1, 1, 1, 7), _function(2, 2, 4, 6)),
    ),
    "rust": (
        "impl A {\n    fn f(&self) -> i32 {\n        HERE\n    }\n}\n",
        (_class(1, 1, 1, 5), _function(2, 2, 2, 4)),
    ),
    "c": ("struct a b;\nstatic int\nf(int a)\n{\n  return HERE;\n}\n", (_function(2, 2, 3, 6),)),
    "cpp": (
        "namespace x {\ntemplate <typename T>\nclass A {\n  int f() const {\n    return HERE;\n  }\n};\n}\n",
        (_class(1, 1, 1, 8), _class(2, 3, 3, 7), _function(4, 4, 4, 6)),
    ),
    "csharp": (
        "namespace X\n{\n  class A\n  {\n    int F(int a)\n    {\n      return HERE;\n    }\n  }\n}\n",
        (_class(1, 1, 1, 10), _class(3, 3, 3, 9), _function(5, 5, 5, 8)),
    ),
    "ruby": (
        "class A\n  def f(a)\n    HERE\n    b\n  end\nend\n",
        (_class(1, 1, 1, 6), _function(2, 2, 2, 5)),
    ),
    "php": (
        "<?php\nclass A {\n    public function f($a) {\n        return HERE;\n    }\n}\n",
        (_class(2, 2, 2, 6), _function(3, 3, 3, 5)),
    ),
}


def here(source: str) -> tuple[int, int]:
    """Returns the line with HERE as a range of lines."""
    line = source[: source.index("HERE")].count("\n") + 1
    return line, line
