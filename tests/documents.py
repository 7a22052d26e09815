"""The blocks of README.md and of the documentation: what stands in a page, how it is run, and what agrees.

docs/README.md says what an author may write. To fill in the outputs of a page from what its blocks print:

    python -m tests.documents --write docs/getting_started.md
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import doctest
import functools
import glob
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechgmm.cli import main
from speechgmm.errors import SpeechGMMWarning
from tests.agreement import agree
from tests.materials import CHECKOUT, lay

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RUN = ("console", "python", "pycon")
KNOWN = (*RUN, "output", "text")
HOME = "/home/ann"
"""What is shown in the place of the temporary folder."""

_FENCE = re.compile(r"^([ >]*)(`{3,}|~{3,}) *(\S*)(.*)$")
_REASON = re.compile(r"^[ >]*<!-- not run: (.+?) -->\s*$")
_SETUP = re.compile(
    r"^(python -m pip install [^;&|]*|python3 -m venv \S+|\. \S+/bin/activate|git clone \S+|python -m pytest[^;&|]*)"
    r"( && (python -m pytest.*|\. \S+/bin/activate))*$"
)
_INSTALL = re.compile(r"^python -m pip install [^;&|]* && ")
"""What is left out of a command that goes on with another."""
_HIDING = ("{code-block}", "{code}", "{sourcecode}")
"""Directives that would show code which nobody runs; they are refused as languages."""
_SHELL = re.compile(r"[|<>;&$`(){}~\"']")
_SCRIPT = re.compile(r"python recipes/\w+\.py")
"""A script of the checkout that is told nothing, and so reads nothing of the folder that it is run in."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without indent, and the number of its first line in the file."""

    language: str
    lines: tuple[str, ...]
    first: int
    indent: str
    not_run: str = ""


@dataclass(frozen=True)
class Said:
    """A place of a page where something is shown: what stands there below which source, and what was printed."""

    line: int
    source: str
    shown: tuple[str, ...] = ()
    printed: str = ""
    problem: str = ""
    at: int = 0
    """The number of the first shown line; 0 where nothing can be shown."""
    indent: str = ""

    @property
    def right(self) -> bool:
        """Whether both agree and nothing went wrong."""
        return not self.problem and agree(self.shown, self.printed.splitlines())

    def __str__(self) -> str:
        shown = "\n".join(self.shown)
        return f"line {self.line}: {self.source}\n{self.problem}\n-- shown\n{shown}\n-- printed\n{self.printed}"


def pages() -> list[Path]:
    """Return README.md and every page below docs/, but for what is not of the site."""
    found = (p for p in DOCS.rglob("*.md") if not any(part.startswith("_") for part in p.relative_to(DOCS).parts))
    return [ROOT / "README.md", *sorted(p for p in found if p != DOCS / "README.md")]


def materials_of(text: str) -> tuple[str, ...]:
    """Return the materials that a page names."""
    return tuple(name.strip() for found in re.findall(r"<!-- material: (.*?) -->", text) for name in found.split(","))


def pictures(text: str) -> list[str]:
    """Return the pictures of a page, which its blocks draw: `![what is seen](pictures/NAME.png)`."""
    return re.findall(r"!\[[^\]]*\]\((pictures/[\w./-]+)\)", text)


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in their order; directives of four marks or more are looked into."""
    lines, found, opened, i = text.splitlines(), [], [""], 0
    while i < len(lines):
        fence = _FENCE.match(lines[i])
        i += 1
        if not fence:
            continue
        _, marks, language, rest = fence.groups()
        if not language and marks == opened[-1]:
            opened.pop()
        elif language.startswith("{") and len(marks) > 3:
            opened.append(marks)
        else:
            end = _end(lines, i, marks)
            if not language.startswith("{") or language in _HIDING:
                reason = _REASON.match(lines[i - 2]) if i > 1 else None
                inner = tuple(line.removeprefix(fence[1]) if line.strip() else "" for line in lines[i:end])
                found.append(Block(language + rest.strip(), inner, i + 1, fence[1], reason[1] if reason else ""))
            i = end + 1
    return found


def _end(lines: Sequence[str], start: int, fence: str) -> int:
    """Return the index of the line that closes a fence."""
    for i in range(start, len(lines)):
        if re.fullmatch(rf"[ >]*{fence[0]}{{{len(fence)},}}\s*", lines[i]):
            return i
    return len(lines)


def misplaced(block: Block) -> str:
    """Return what is wrong with a block before it is run, or nothing."""
    if block.language not in KNOWN:
        return f"the language must be one of {', '.join(KNOWN)}; got {block.language!r}"
    if block.language == "text" and any(re.match(r"\s*(\$ |>>> |import |from \S+ import )", x) for x in block.lines):
        return "text must not be what could be run: take console, python or pycon"
    if block.language == "console" and (not block.lines or not block.lines[0].startswith("$ ")):
        return "a console block must begin with a command: '$ command'"
    return ""


@dataclass(frozen=True)
class Command:
    """A command of a console block: its words, and what is shown below it."""

    line: int
    words: str
    shown: tuple[str, ...]
    at: int
    """The number of the first shown line."""


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block."""
    starts = [i for i, line in enumerate(block.lines) if line.startswith("$ ")]
    found = []
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        written = 1
        while block.lines[start + written - 1].endswith("\\"):
            written += 1
        words = "\n".join(block.lines[start : start + written])[2:].replace("\\\n", " ")
        first = block.first + start
        found.append(Command(first, words, block.lines[start + written : end], first + written))
    return found


def unknown_options(words: str) -> set[str]:
    """Return the options in a line of `speechgmm` that its command does not have; extras of pip that do not exist."""
    import typer

    from speechgmm.cli import app

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {x for found in re.findall(r"\[([\w,]+)\]'", words) for x in found.split(",")}
    wrong = {f"[{x}]" for x in extras - set(project["optional-dependencies"])} if "pip install" in words else set()
    for call in re.findall(r"\bspeechgmm ([^|;&]*)", words):
        command: Any = typer.main.get_command(app)
        for word in shlex.split(call, comments=True):
            command = getattr(command, "commands", {}).get(word, command)
        has = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        given = {w.split("=")[0] for w in shlex.split(call, comments=True) if re.match(r"--?[a-z]", w)}
        wrong |= given - has
    return wrong


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder: a shell's environment, and a namespace of Python."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    status: int = 0

    def read(self, text: str) -> Iterator[Said]:
        """Run the blocks of a page, and yield what each of its places shows and printed."""
        found = blocks(text)
        for block, below in zip(found, [*found, None][1:], strict=True):
            if problem := misplaced(block):
                yield Said(block.first, block.language, problem=problem)
            elif block.language == "console":
                yield from self._console(block)
            elif block.not_run:
                yield Said(block.first, block.language, problem=_unparsed(block))
            elif block.language == "python":
                output = below if below and below.language == "output" else None
                yield self._python(block, output)
            elif block.language == "pycon":
                yield from self._pycon(block)

    def _console(self, block: Block) -> Iterator[Said]:
        found = commands(block)
        for command, following in zip(found, [*found, None][1:], strict=True):
            if block.not_run or _SETUP.match(command.words):
                wrong = unknown_options(command.words)
                problem = f"no such option: {', '.join(sorted(wrong))}" if wrong else ""
                yield Said(command.line, command.words, problem=problem)
                continue
            printed = self.run(_INSTALL.sub("", command.words))
            asked = following is not None and following.words == "echo $?"
            if command.words == "echo $?":
                self.status = 0
            problem = f"ended with status {self.status}" if self.status and not asked else ""
            yield Said(command.line, command.words, command.shown, printed, problem, command.at, block.indent)

    def run(self, words: str) -> str:
        """Run a command, keep its status, and return what it printed."""
        if words == "echo $?":
            return str(self.status)
        if exported := re.fullmatch(r"export (\w+)=(\S*)", words):
            self.environment[exported[1]] = exported[2].replace("~", str(self.folder))
            self.status = 0
            return ""
        if re.search(r"\bcd |~/", words):
            raise ValueError(f"every command of a page is run in one folder, and none outside of it; got {words!r}")
        here = words.startswith("speechgmm ") and not _SHELL.search(words.split(" #")[0])
        if _SCRIPT.fullmatch(words) and not self.environment and (self.folder / "recipes").is_symlink():
            printed = self._as_elsewhere(words)
        else:
            printed = self._in_this_process(words) if here else self._in_bash(words)
        return printed.replace(str(self.folder), HOME)

    def _as_elsewhere(self, words: str) -> str:
        """Take what a script of the checkout prints and writes from where it was run."""
        run = run_once(words)
        self.status = run.status
        shutil.copytree(run.folder, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*CHECKOUT))
        return run.printed

    def _in_this_process(self, words: str) -> str:
        """Call the command line as the program does: to start it anew takes two seconds."""
        args = [x for word in shlex.split(words, comments=True)[1:] for x in self._globbed(word)]
        out = io.StringIO()
        with self._surroundings(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            warnings.simplefilter("default", SpeechGMMWarning)
            warnings.showwarning = lambda *said, **_: sys.stderr.write(warnings.formatwarning(*said[:4]))
            try:
                main(args)
            except SystemExit as ended:
                self.status = int(ended.code or 0)
        return out.getvalue()

    def _globbed(self, word: str) -> list[str]:
        return (sorted(glob.glob(word, root_dir=self.folder)) if re.search(r"[*?\[]", word) else []) or [word]

    def _in_bash(self, words: str) -> str:
        programs = self.folder.parent / "programs"
        programs.mkdir(exist_ok=True)
        for name, call in (("speechgmm", "-m speechgmm"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {call} "$@"\n')
            (programs / name).chmod(0o755)
        settings = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        with self._surroundings():
            done = subprocess.run(
                ["bash", "-c", words],
                env=os.environ | settings,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        self.status = done.returncode
        return done.stdout

    def _python(self, block: Block, output: Block | None) -> Said:
        tree = ast.parse("\n".join(block.lines))
        ast.increment_lineno(tree, block.first - 1)
        out, problem = io.StringIO(), ""
        with self._surroundings(), contextlib.redirect_stdout(out):
            try:
                exec(compile(tree, "page", "exec"), self.namespace)
            except Exception:
                problem = traceback.format_exc()
        printed = out.getvalue().replace(str(self.folder), HOME)
        if printed and output is None:
            problem = problem or "what a python block prints must stand in an output block below it"
        shown, at = (output.lines, output.first) if output else ((), 0)
        return Said(block.first, block.lines[0], shown, printed, problem, at, block.indent)

    def _pycon(self, block: Block) -> Iterator[Said]:
        for example in doctest.DocTestParser().get_examples("\n".join(block.lines)):
            out = io.StringIO()
            with self._surroundings(), contextlib.redirect_stdout(out):
                try:
                    exec(compile(example.source, "page", "single"), self.namespace)
                except Exception as error:
                    out.write(f"Traceback (most recent call last):\n    ...\n{type(error).__name__}: {error}\n")
            printed, line = out.getvalue().replace(str(self.folder), HOME), block.first + example.lineno
            shown, at = tuple(example.want.splitlines()), line + example.source.count("\n")
            yield Said(line, example.source, shown, printed, "", at, block.indent)

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Stand in the page's folder, with its environment and none of ours; warnings are errors, as in all tests."""
        before, place, shown = dict(os.environ), Path.cwd(), warnings.formatwarning
        quiet = {"COLUMNS": "100", "TERM": "dumb", "MPLBACKEND": "agg"}
        os.chdir(self.folder)
        for name in [name for name in before if name.startswith("SPEECHGMM_")]:
            del os.environ[name]
        os.environ.update(quiet | self.environment)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(place)
            warnings.formatwarning = shown


@dataclass(frozen=True)
class Run:
    """What a script printed, the status that it ended with, and the folder that it was run in."""

    printed: str
    status: int
    folder: Path


@functools.cache
def _runs() -> tempfile.TemporaryDirectory[str]:
    """Return the folder that is there until this process ends."""
    return tempfile.TemporaryDirectory(prefix="speechgmm-runs-")


@functools.cache
def run_once(words: str) -> Run:
    """Run a script of the checkout in a folder of its own, once for all pages and tests: two of them take as long."""
    folder = Path(_runs().name).resolve() / f"{run_once.cache_info().misses}" / "page"
    folder.mkdir(parents=True)
    lay(["checkout"], folder)
    reader = Reader(folder)
    printed = reader._in_bash(words)
    return Run(printed.replace(str(folder), HOME), reader.status, folder)


def _unparsed(block: Block) -> str:
    """Return why the code of a block that is not run is no Python, or nothing."""
    try:
        ast.parse("\n".join(block.lines))
    except SyntaxError as error:
        return f"must be Python; got {error}"
    return ""


def wrong_places(page: Path, folder: Path) -> list[Said]:
    """Do what a page says in a new folder, and return the places where it is not so."""
    text = page.read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    lay(materials_of(text), folder)
    drawn = pictures(text)
    for picture in drawn:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
    wrong = [said for said in Reader(folder).read(text) if not said.right]
    missing = [picture for picture in drawn if not (folder / picture).is_file()]
    return [*wrong, *(Said(0, picture, problem="no block of the page draws this picture") for picture in missing)]


def corrected(text: str, found: Sequence[Said]) -> str:
    """Return a page that shows what was printed, in the places that differ."""
    lines = text.splitlines()
    for said in sorted((said for said in found if said.at), key=lambda said: -said.at):
        printed = said.printed.rstrip().splitlines()
        below = [""] if said.shown and not said.shown[-1] else []
        new = [(said.indent + line).rstrip() for line in (*printed, *below)]
        lines[said.at - 1 : said.at - 1 + len(said.shown)] = new
    return "\n".join(lines) + "\n"


def check(page: Path, *, write: bool) -> int:
    """Print where a page is wrong, correct it if that is asked for, and return in how many places it was."""
    with tempfile.TemporaryDirectory() as folder:
        found = wrong_places(page, Path(folder).resolve() / "page")
        for picture in pictures(page.read_text(encoding="utf-8")) if write else ():
            if (drawn := Path(folder) / "page" / picture).is_file():
                (page.parent / picture).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(drawn, page.parent / picture)
    if write:
        page.write_text(corrected(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    for said in found:
        print(f"{page}: {said}\n")
    return len(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    parser.add_argument("--write", action="store_true", help="show in the pages what was printed")
    given = parser.parse_args()
    wrong = sum(check(page, write=given.write) for page in given.pages)
    sys.exit(1 if wrong and not given.write else 0)
