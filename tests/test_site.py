"""The documentation as a reader gets it: built once, by its one command, without a warning or a broken link."""

from __future__ import annotations

import ast
import html
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from numpydoc.docscrape import NumpyDocString

import speechgmm
from speechgmm.cli import app
from tests.browser import MISSING, browser
from tests.test_layers import code_lines

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
INTERNAL = {"__main__", "checks", "cli", "compiler", "files", "frames", "later", "looks", "tables", "tensors"}
"""What is no part of the public Python API: the ground that the packages stand on, and the program."""
WIDE = (
    "index",
    "getting_started",
    "tutorials/2_em_step_by_step",
    "glossary",
    "reference/cli",
    "reference/api/speakers",
)
"""Pages that have something wide: code, formulas, pictures, tables."""
PACKAGES = sorted({module.name for module in pkgutil.iter_modules(speechgmm.__path__)} - INTERNAL)


def load(name):
    """Import a file of docs/ that is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site as a reader does; some 25 s of processor time."""
    out = tmp_path_factory.mktemp("documentation") / "site"
    command = [sys.executable, DOCS / "build.py", "--out", out]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert built.returncode == 0, built.stderr
    assert re.fullmatch(r"\d+ pages, no warning, no broken link: .*\n", built.stdout)
    assert built.stderr == ""
    return out


@pytest.fixture(scope="session")
def inventory(site):
    """Return the names of each kind that the site tells other sites of."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    found = {}
    for line in zlib.decompress(packed).decode().splitlines():
        name, kind = re.fullmatch(r"(.+?) (\S+:\S+) -?\d+ \S+ .+", line).groups()
        found.setdefault(kind, set()).add(name)
    return found


def public(package):
    module = importlib.import_module(f"speechgmm.{package}")
    if package == "errors":
        return [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return module.__all__


def test_every_public_name_is_in_the_reference(inventory):
    shown = {name for role, names in inventory.items() if role.startswith("py:") for name in names}
    missing = [f"speechgmm.{p}.{n}" for p in PACKAGES for n in public(p) if f"speechgmm.{p}.{n}" not in shown]
    assert missing == []
    assert {f"speechgmm.{package}" for package in PACKAGES} <= inventory["py:module"]


def test_every_public_function_has_an_example():
    every = {
        f"speechgmm.{p}.{n}": getattr(importlib.import_module(f"speechgmm.{p}"), n) for p in PACKAGES for n in public(p)
    }
    assert [name for name, f in every.items() if inspect.isfunction(f) and ">>>" not in (f.__doc__ or "")] == []


def test_names_of_the_root_are_listed_with_where_they_are_shown(site):
    page = (site / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'href="\w+\.html#(speechgmm\.[\w.]+)"', page))
    homes = {getattr(speechgmm, name): name for name in speechgmm.__all__}
    for value, name in homes.items():
        assert any(place.endswith(f".{name}") for place in shown), f"{name} ({value}) is not listed"


def test_public_methods_are_in_the_reference(inventory):
    for package in PACKAGES:
        for name in public(package):
            value = getattr(importlib.import_module(f"speechgmm.{package}"), name)
            for method, function in vars(value).items() if inspect.isclass(value) else ():
                ours = inspect.isfunction(function) and function.__module__.startswith("speechgmm")
                if ours and not method.startswith("_") and function.__doc__:
                    assert f"speechgmm.{package}.{name}.{method}" in inventory["py:method"]


def commands(command, path="speechgmm"):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def test_every_command_is_in_the_reference_with_its_options(site, inventory):
    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())
    for path, command in commands(typer.main.get_command(app)):
        place = path.replace(" ", "-")
        assert place in inventory["std:label"]
        for parameter in command.params:
            form = parameter.metavar.split()[0] if parameter.param_type_name == "argument" else parameter.opts[0]
            assert f"{place}.{form}" in inventory["std:cmdoption"]
            assert re.split(r"['`-]", parameter.help)[0] in text


def test_nothing_of_this_machine_is_shown(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert str(ROOT) not in text, page
        assert not re.search(r" at 0x[0-9a-f]{6,}", text), page


BROKEN = {
    "none.html": "there is no such file",
    "b.html#nowhere": "there is no such place",
    "#nowhere": "there is no such place",
    "../outside.html": "there is no such file",
    "http://nowhere": "is no address",
    "ftp://a.b/c": "is no address",
}


@pytest.mark.parametrize("address", BROKEN)
def test_a_broken_link_is_found(tmp_path, address):
    (tmp_path / "outside.html").write_text("", encoding="utf-8")
    made = tmp_path / "site"
    made.mkdir()
    (made / "b.html").write_text('<p id="here">', encoding="utf-8")
    good = ["b.html", "b.html#here", "#me", "", "https://a.example/b#c", "mailto:a@b.example", "#top"]
    links = "".join(f'<a href="{x}">x</a>' for x in good)
    (made / "a.html").write_text(f'<h1 id="me">{links}', encoding="utf-8")
    broken = load("links").broken
    assert list(broken(made)) == []
    (made / "a.html").write_text(f'<h1 id="me">{links}<a href="{address}">y</a>', encoding="utf-8")
    (found,) = broken(made)
    assert found.startswith(f"a.html: {address}: {BROKEN[address]}")


@pytest.mark.parametrize("tag", ['<img src="{}">', '<script src="{}"></script>', '<link rel="stylesheet" href="{}">'])
def test_what_is_loaded_from_elsewhere_is_found(tmp_path, tag):
    (tmp_path / "a.html").write_text(tag.format("https://a.example/x"), encoding="utf-8")
    (found,) = load("links").broken(tmp_path)
    assert found.endswith("is loaded from elsewhere")
    (tmp_path / "a.html").write_text(tag.format("data:,x"), encoding="utf-8")
    assert list(load("links").broken(tmp_path)) == []


def test_a_warning_fails_the_build(tmp_path):
    """That of a copy with one page, whose references lead nowhere."""
    for name in ("_ext", "_static"):
        shutil.copytree(DOCS / name, tmp_path / name)
    for name in ("conf.py", "build.py"):
        shutil.copy(DOCS / name, tmp_path)
    page = "# A\n\n{py:obj}`speechgmm.mixture.Nothing` {ref}`nothing` [](nothing.md)\n"
    (tmp_path / "index.md").write_text(page, encoding="utf-8")
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, tmp_path / "build.py"]
    built = subprocess.run(command, env=settings, capture_output=True, text=True, encoding="utf-8")
    assert (built.returncode, built.stdout) == (1, "")
    for words in ("target not found: speechgmm.mixture.Nothing", "undefined label: 'nothing'", "'nothing.md'"):
        assert words in built.stderr


def callables():
    for package in PACKAGES:
        for name in public(package):
            value = getattr(importlib.import_module(f"speechgmm.{package}"), name)
            if inspect.isroutine(value) or (inspect.isclass(value) and not issubclass(value, BaseException)):
                yield f"speechgmm.{package}.{name}", value
                for method, function in vars(value).items() if inspect.isclass(value) else ():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"speechgmm.{package}.{name}.{method}", function


def test_documented_parameters_are_those_of_the_signature():
    """Where a docstring has a section of parameters, it tells of all of them, in their order, and of no other."""
    found = 0
    for name, value in callables():
        section = NumpyDocString(inspect.getdoc(value) or "")["Parameters"]
        if told := [p.lstrip("*") for entry in section for p in entry.name.split(", ")]:
            assert told == [p for p in inspect.signature(value).parameters if p != "self"], name
            found += 1
    assert found > 100


def test_every_public_name_has_a_docstring():
    assert [name for name, value in callables() if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("file", sorted(p.relative_to(ROOT).as_posix() for p in DOCS.rglob("*.py")))
def test_files_and_functions_of_the_documentation_are_small(file):
    source = (ROOT / file).read_text(encoding="utf-8")
    code = code_lines(source)
    assert len(code) <= 350
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert len(code & set(range(node.lineno, node.end_lineno + 1))) < 40, node.name


@pytest.fixture(scope="module")
def opened():
    if MISSING:
        pytest.skip(MISSING)
    with browser() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", WIDE)
def test_a_page_is_as_wide_as_a_phone_and_as_light_as_asked(site, opened, page, scheme):
    opened.look(400, 800, scheme)
    messages, asked = opened.open(site / f"{page}.html")
    assert messages == []
    assert [address for address in asked if not address.startswith((site.as_uri(), "data:"))] == []
    wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]"
    content, room, window = opened.run(wide)
    assert content <= room <= window == 400
    paper = opened.run("return getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert lightness > 240 if scheme == "light" else lightness < 40


def test_the_search_finds_without_a_network(site, opened):
    opened.look(1280, 900, "light")
    query = SimpleNamespace(as_uri=lambda: (site / "search.html").as_uri() + "?q=relevance")
    opened.open(query)
    found = "return [...document.querySelectorAll('#search-results a')].map(a => a.getAttribute('href')).join(' ')"
    for _ in range(100):
        if "cli.html" in (links := opened.run(found)):
            break
        time.sleep(0.1)
    assert "cli.html" in links
