"""Suggestions in the forms that models write, and the expected replacement lines."""

from __future__ import annotations

JS = "function a() {\n  // sum of all\n  let s = 1;\n  return s;\n}"
PY = "def f(x):\n    y = x\n    return y + 1"
GO = "package a\n\nfunc f() int {\n\tx := 1\n\treturn x\n}"
MAKE = "all: a.o\n\tcc a.o\n\nclean:\n\trm a.o"
YAML = "job:\n  name: x\n  run:\n    steps: 2\n  end: 3"
TS = "interface A {\n  a: string;\n  b: number;\n}"
JSON = '{\n  "a": 1,\n  "b": 2\n}'
MD = "# Title\n\nSome text.\n\n- one\n- two"
SH = "if a; then\n  b\nfi\nc"
JAVA = "class A {\n    int f() {\n        return 1;\n    }\n}"
RUST = "fn f() -> u32 {\n    let x = 1;\n    x\n}"
C = "#include <a.h>\nint f(void)\n{\n\tint x = 1;\n\treturn x;\n}"

Row = tuple[str, str, tuple[int, int], str, str | None]
ROWS: list[Row] = [
    # Lines that are also above or below the anchor.
    ("a.js", JS, (3, 3), "  let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  let s = 0;\n", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  let s = 0;\r\n", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  // sum of all\n  let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  let s = 0;\n  return s;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  // sum of all\n  let s = 0;\n  return s;\n}", "  let s = 0;"),
    ("a.js", JS, (3, 3), JS.replace("s = 1", "s = 0"), "  let s = 0;"),
    ("a.js", JS, (3, 3), "// sum of all\nlet s = 0;", "  let s = 0;"),
    ("a.js", JS, (4, 4), "  let s = 0;\n  return s;", None),
    ("a.js", JS, (4, 4), "  let s = 0;", None),
    ("a.py", PY, (3, 3), "    y = x\n    return y", "    return y"),
    ("a.py", PY, (2, 2), "    y = 2 * x\n    return y + 1", "    y = 2 * x"),
    ("a.json", JSON, (2, 2), '  "a": 2,\n  "b": 2', '  "a": 2,'),
    ("a.json", JSON, (3, 3), '  "a": 4,\n  "b": 3', None),
    ("a.yml", YAML, (4, 4), "  run:\n    steps: 1", "    steps: 1"),
    ("a.yml", YAML, (2, 2), "  name: y\n  run:\n    steps: 5", None),
    ("a.sh", SH, (2, 2), "  d\nfi", "  d"),
    ("a.rs", RUST, (2, 2), "    let x = 2;\n    x", "    let x = 2;"),
    ("a.md", MD, (5, 5), "- one!\n- two", "- one!"),
    # Fences.
    ("a.js", JS, (3, 3), "```js\n  let s = 0;\n```", "  let s = 0;"),
    ("a.js", JS, (3, 3), "```suggestion\n  let s = 0;\n```\n", "  let s = 0;"),
    ("a.js", JS, (3, 3), "\n~~~\nlet s = 0;\n~~~", "  let s = 0;"),
    ("a.js", JS, (3, 3), "```suggestion:-0+0\n  let s = 0;\n```", "  let s = 0;"),
    ("a.js", JS, (3, 3), "Use this:\n```js\n  let s = 0;\n```", None),
    ("a.js", JS, (3, 3), "```js\n  let s = 0;", None),
    ("a.js", JS, (3, 3), "```js\na\n```\n```js\nb\n```", None),
    ("a.js", JS, (3, 3), "```js\n```", None),
    ("a.js", JS, (3, 3), "`let s = 0;`", None),
    ("a.js", JS, (3, 3), '"let s = 0;"', None),
    ("a.go", GO, (4, 4), "```go\n\tx := 2\n```", "\tx := 2"),
    ("a.md", MD, (3, 3), "```markdown\nOther text.\n```", "Other text."),
    ("a.md", MD, (3, 3), "```js\na()\n```", None),
    ("a.md", "```js\na()\n```", (1, 3), "```ts\na()\n```", "```ts\na()\n```"),
    ("a.md", MD, (3, 3), "Some text:\n\n```sh\nmake\n```", "Some text:\n\n```sh\nmake\n```"),
    ("a.md", MD, (3, 3), "Some text:\n\n```sh\nmake", None),
    # Diff prefixes.
    ("a.js", JS, (3, 3), "-  let s = 1;\n+  let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "- let s = 1;\n+ let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "   // sum of all\n-  let s = 1;\n+  let s = 0;\n   return s;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "+  let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "```diff\n-  let s = 1;\n+  let s = 0;\n```", "  let s = 0;"),
    ("a.js", JS, (3, 3), "-  let t = 1;\n+  let s = 0;", None),
    ("a.js", JS, (3, 3), "-  let s = 1;\n  let s = 0;", None),
    ("a.js", JS, (3, 3), "-  let s = 1;", None),
    ("a.js", JS, (3, 3), "@@ -3 +3 @@\n-  let s = 1;\n+  let s = 0;", None),
    ("a.yml", "- a\n- b", (2, 2), "- c", "- c"),
    ("a.yml", "- a\n- b", (2, 2), "-- b\n+- c", "- c"),
    ("a.md", MD, (6, 6), "- two\n+ three", "- two\n+ three"),
    # Numbers of the anchored rows.
    ("a.js", JS, (3, 3), "3:   let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "  3 |   let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "R3 +   let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "R2     // sum of all\nL3 -   let s = 1;\nR3 +   let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 4), "3\t  let s = 0;\n4\t  return 2 * s;", "  let s = 0;\n  return 2 * s;"),
    ("a.js", JS, (3, 3), "7:   let s = 0;", None),
    ("a.js", JS, (3, 4), "3:   let s = 0;\n5:   return 0;", None),
    ("a.js", JS, (3, 4), "3:   let s = 0;\n  return 0;", None),
    ("a.yml", "1: a\n2: b", (2, 2), "2: c", "2: c"),
    ("a.csv", "5 a\n6 b", (2, 2), "2 b", "2 b"),
    # Placeholders, prose, and words for none.
    ("a.js", JS, (3, 3), "  let s = 0;\n  // ... rest of the function unchanged", None),
    ("a.js", JS, (3, 3), "  let s = 0; // … unchanged", None),
    ("a.js", JS, (3, 3), "  // existing code\n  let s = 0;", None),
    ("a.js", JS, (3, 3), "  let s = 0;\n  ...", None),
    ("a.js", JS, (3, 3), "  f(\n    ...rest,\n  );", "  f(\n    ...rest,\n  );"),
    ("a.js", JS, (3, 3), "Initialise s with 0 again.", None),
    ("a.js", JS, (3, 3), "  if (s &lt; 1) s = 0;", None),
    ("a.js", JS, (3, 3), " ", None),
    ("a.js", JS, (3, 3), "\n\n", None),
    ("a.js", JS, (3, 3), "  let s = 1;", None),
    ("a.js", JS, (3, 3), "", ""),
    ("a.py", PY, (2, 2), "    # ... existing code ...\n    y = 2", None),
    ("a.py", PY, (2, 2), "    ...", None),
    ("a.py", PY, (2, 2), "    y: tuple[int, ...] = x", "    y: tuple[int, ...] = x"),
    ("Makefile", MAKE, (2, 2), "Use the compiler of the system instead", None),
    ("a.sh", SH, (4, 4), "Remove this line.", None),
    ("a.sh", SH, (4, 4), "# the rest of the script is unchanged", None),
    ("a.md", MD, (3, 3), "Another sentence of several words.", "Another sentence of several words."),
    ("a.md", MD, (3, 3), "Other.\n\n... (rest unchanged)", None),
    ("a.html", "<p>\n  a\n</p>", (2, 2), "  a &lt; b", "  a &lt; b"),
    ("a.ts", TS, (2, 2), "  a: string | null;\n  // ... other members unchanged", None),
    ("a.rs", RUST, (2, 2), "    let x = 2; /* ... */", None),
    # Indentation.
    ("a.js", JS, (3, 3), "let s = 0;", "  let s = 0;"),
    ("a.js", JS, (3, 3), "if (b) {\n  c();\n}", "  if (b) {\n    c();\n  }"),
    ("a.js", JS, (3, 3), "if (b) {\n    c();\n  }", "  if (b) {\n    c();\n  }"),
    ("a.js", JS, (3, 3), "let s = 0;\n  let t = 0;", "  let s = 0;\n  let t = 0;"),
    ("a.js", JS, (3, 3), "      let s = 0;", None),
    ("a.js", JS, (4, 4), "function a() {\n  return 2;", None),
    ("a.py", PY, (3, 3), "return y", "    return y"),
    ("a.py", PY, (3, 3), "if y:\n    return y\nreturn 1", "    if y:\n        return y\n    return 1"),
    ("a.py", PY, (3, 3), "if y:\n        return y", "    if y:\n        return y"),
    ("a.py", PY, (3, 3), "return y + 1", None),
    ("a.yml", YAML, (4, 4), "steps: 1", "    steps: 1"),
    ("a.yml", YAML, (4, 4), "  steps: 1", None),
    ("a.yml", YAML, (4, 4), "steps: 1\nmore:\n  a: 1", "    steps: 1\n    more:\n      a: 1"),
    ("a.yml", YAML, (4, 4), "      steps: 2", "      steps: 2"),
    ("Makefile", MAKE, (2, 2), "    cc a.c", "\tcc a.c"),
    ("Makefile", MAKE, (2, 2), "cc a.c", "\tcc a.c"),
    ("Makefile", MAKE, (2, 2), "\tcc a.c", "\tcc a.c"),
    ("a.go", GO, (4, 4), "    x := 2", "\tx := 2"),
    ("a.go", GO, (4, 4), "if y {\n    z()\n}", "\tif y {\n\t\tz()\n\t}"),
    ("a.go", GO, (4, 4), "    if y {\n        z()\n    }", "\tif y {\n\t\tz()\n\t}"),
    ("a.go", GO, (4, 4), "    if y {\n       z()\n    }", None),
    ("a.go", GO, (3, 3), "func f() int {\n    y()", "func f() int {\n\ty()"),
    ("a.c", C, (4, 4), "#ifdef A\n\tint x = 2;\n#endif", "#ifdef A\n\tint x = 2;\n#endif"),
    ("a.c", C, (4, 4), "  int x = 2;", "\tint x = 2;"),
    ("a.java", JAVA, (3, 3), "\t\treturn 2;", "        return 2;"),
    ("a.java", JAVA, (3, 3), "return 2;", "        return 2;"),
    ("a.rs", RUST, (2, 2), "let x = 2;", "    let x = 2;"),
    ("a.ts", TS, (3, 3), "b?: number;", "  b?: number;"),
    ("a.json", JSON, (3, 3), '"b": 3', '  "b": 3'),
    ("a.sh", SH, (2, 2), "if d; then\n  e\nfi", "  if d; then\n    e\n  fi"),
    ("a.md", "- a\n  - b", (2, 2), "- c", "  - c"),
]
"""The path, the file, first and last line of the anchor, the suggestion, and the offered text."""
