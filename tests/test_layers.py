"""The layers: a room imports only from lower ones, heavy libraries stay in their files, and files stay small.

5 cli
4 report | estimators | interchange       never each other
3 speakers | classification | plot        never each other
2 features | tracking                     never each other
1 mixture | evaluation                    never each other
0 errors  checks  files  storage  tables  frames  looks  compiler  parallel  later
"""

from __future__ import annotations

import ast
import functools
import graphlib
import io
import os
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import speechgmm

PACKAGE = Path(speechgmm.__file__).parent
FILES = [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]

LAYER = {
    "cli": 5,
    "report": 4,
    "estimators": 4,
    "interchange": 4,
    "speakers": 3,
    "classification": 3,
    "plot": 3,
    "features": 2,
    "tracking": 2,
    "mixture": 1,
    "evaluation": 1,
    "storage": 0,
    "files": 0,
    "compiler": 0,
    "tables": 0,
    "frames": 0,
    "looks": 0,
    "tensors": 0,
    "parallel": 0,
    "checks": 0,
    "errors": 0,
    "later": 0,
}
GROUND = {
    "errors": set(),
    "later": set(),
    "checks": {"errors"},
    "files": {"errors", "checks"},
    "compiler": {"errors", "checks"},
    "storage": {"errors", "checks", "files", "tensors"},
    "tensors": {"errors", "checks"},
    "frames": {"errors", "checks"},
    "looks": {"errors", "checks"},
    "parallel": {"errors", "checks"},
    "tables": {"errors", "checks", "files"},
}
ENTRANCES = {"__init__.py", "__main__.py"}
"""Files of the package itself, which stand outside the layers."""

HOME = {
    "librosa": (),
    "soundfile": ("features/sndfile.py",),
    "av": ("features/pyav.py",),
    "kaldiio": ("features/archives.py",),
    "soxr": ("features/audio.py",),
    "sqlalchemy": ("speakers/database.py",),
    "matplotlib": ("plot/",),
    "pandas": ("frames.py",),
    "polars": (),
    "dask": ("parallel/cluster.py",),
    "distributed": ("parallel/cluster.py",),
    "cloudpickle": ("parallel/cluster.py",),
    "numba": ("mixture/compiled/loops.py", "compiler.py"),
    "sklearn": ("mixture/", "evaluation/", "classification/", "estimators/", "interchange/scikit_learn.py"),
    "onnx": ("interchange/onnx_graph.py",),
    "onnxruntime": (),
    "typer": ("cli",),
    "rich": ("cli",),
}
"""Where a library may be imported at all."""

HEAVY = {
    "librosa",
    "soundfile",
    "av",
    "kaldiio",
    "soxr",
    "numba",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "matplotlib",
    "pandas",
    "rich",
    "typer",
    "dask",
    "distributed",
    "cloudpickle",
    "onnx",
}
AT_THE_TOP = {
    ("typer", "cli"),
    ("rich", "cli"),
    ("sklearn", "estimators"),
    ("numba", "mixture/compiled/loops.py"),
}
"""Exceptions, by room or file: what it cannot do without where it is itself imported only when needed."""


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, in functions too, by statement or by name; names from the root come with it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            module = node.module or ""
            yield from (f"speechgmm.{a.name}" for a in node.names) if module == "speechgmm" else (module,)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"import_module", "extra", "__import__"}:
                yield str(node.args[0].value)


def at_import(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported when this one is: everything outside of functions and TYPE_CHECKING."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imports(node)
        waiting.extend(ast.iter_child_nodes(node))


@functools.cache
def parse(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def room(file: str) -> str:
    return Path(file).parts[0].removesuffix(".py")


def allowed(importer: str, imported: str) -> bool:
    """Whether one room may import from another."""
    if importer == imported:
        return True
    if importer in GROUND:
        return imported in GROUND[importer]
    return LAYER[imported] < LAYER[importer]


def test_the_rule_itself():
    assert allowed("features", "mixture")
    assert allowed("cli", "report")
    assert allowed("mixture", "parallel")
    for importer, imported in [
        ("mixture", "evaluation"),
        ("evaluation", "mixture"),
        ("speakers", "plot"),
        ("speakers", "classification"),
        ("mixture", "features"),
        ("storage", "parallel"),
        ("errors", "checks"),
        ("checks", "mixture"),
    ]:
        assert not allowed(importer, imported)
    source = "import a\ndef f():\n    import b\n    extra('c.d', 'x')\nif TYPE_CHECKING:\n    from e.f import g\n"
    assert set(imports(ast.parse(source))) == {"a", "b", "c.d", "e.f"}
    assert set(at_import(ast.parse(source))) == {"a"}


@pytest.mark.parametrize("file", [f for f in FILES if f not in ENTRANCES])
def test_a_room_imports_only_from_lower_ones(file):
    assert room(file) in LAYER, "a new room needs a place in the layers"
    for module in imports(parse(file)):
        parts = module.split(".")
        if parts[0] == "speechgmm" and parts[1:] != ["__version__"]:
            assert len(parts) > 1, "import the rooms, not the package"
            assert parts[1] in LAYER, f"{module}: import it from its room, not from the package"
            assert allowed(room(file), parts[1]), f"{room(file)} may not import {module}"


def module_name(file: str) -> str:
    return "speechgmm." + file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def test_no_files_import_each_other_in_a_circle_not_even_inside_functions():
    modules = {module_name(f): parse(f) for f in FILES if f != "__init__.py"}
    graph: dict[str, set[str]] = {}
    for name, tree in modules.items():
        found = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
        each = {
            f"{n.module}.{a.name}" if f"{n.module}.{a.name}" in modules else n.module for n in found for a in n.names
        }
        graph[name] = each & modules.keys()
        if not any(other.startswith(f"{name}.") for other in modules):
            above = {module for module in graph[name] if name.startswith(f"{module}.")}
            assert above == set(), f"{name} takes names from {above}, which imports it: name the file that has them"
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the files


@pytest.mark.parametrize("file", FILES)
def test_libraries_are_imported_in_their_files_alone(file):
    for module in imports(parse(file)):
        library = module.split(".")[0]
        if library in HOME:
            assert file.startswith(HOME[library]), f"{library} may be imported in {HOME[library]} alone"


@pytest.mark.parametrize("file", FILES)
def test_heavy_libraries_are_imported_when_first_needed(file):
    top = {module.split(".")[0] for module in at_import(parse(file))}
    for library in top & HEAVY:
        exceptions = {(library, file), (library, room(file))} & AT_THE_TOP
        assert exceptions, f"{library} is imported with the module: move the import into the function that needs it"


LIGHT = sorted({room(f) for f in FILES if f not in ENTRANCES} - {"cli", "estimators"})


def test_importing_is_light():
    """One room after the other in one process: what none of them brings, no one does alone."""
    program = (
        "import importlib, sys\n"
        f"for module in {['speechgmm', *(f'speechgmm.{name}' for name in LIGHT)]}:\n"
        "    importlib.import_module(module)\n"
        f"    if found := {HEAVY!r} & set(sys.modules):\n"
        "        sys.exit(f'{module} imports {sorted(found)}')"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold code: docstrings, comments and blank lines apart."""
    text: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                text.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing:
            code.update(range(token.start[0], token.end[0] + 1))
    return code - text


def test_how_lines_are_counted():
    head = '"""A module.\n\nMore.\n"""\n\n# a comment\nx = 1  # one\n\n\n'
    source = head + 'def f(\n    a,\n):\n    """Text."""\n    return a\n'
    assert code_lines(source) == {7, 10, 11, 12, 14}


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_are_small(file):
    code = code_lines((PACKAGE / file).read_text(encoding="utf-8"))
    assert len(code) <= 350, f"{len(code)} lines of code"
    for node in ast.walk(parse(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            n = len(code & set(range(node.lineno, (node.end_lineno or 0) + 1)))
            assert n < 40, f"{node.name} has {n} lines of code"
