"""The reference of the command line, made from the program itself: every command, with its arguments and options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from speechgmm.cli import app as program

PROGRAM = "speechgmm"


def walk(command: Any = None, path: str = PROGRAM) -> Iterator[tuple[str, Any]]:
    """Yield each command with the words that call it, in the order in which the program shows them."""
    command = command or typer.main.get_command(program)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, f"{path} {name}")


class CommandReference(SphinxDirective):
    """Sections of all commands."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines = [line for path, command in walk() for line in _section(path, command)]
        place = nodes.section()
        place.document = self.state.document
        source = StringList(lines, source="the command line of the program")
        self.state.nested_parse(source, self.content_offset, place, match_titles=True)
        return place.children


def _section(path: str, command: Any) -> Iterator[str]:
    context = command.make_context(path, [], resilient_parsing=True)
    mark = "-" if path.count(" ") < 2 else "~"
    yield from (f".. _{path.replace(' ', '-')}:", "", path, mark * len(path), "")
    yield from (_text(command.help or ""), "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (".. code-block:: text", "", f"   {path} {usage}", "")
    yield from (f".. program:: {path}", "")
    for parameter in command.get_params(context):
        yield from _parameter(parameter, context)
    if children := getattr(command, "commands", {}):
        yield from (".. list-table::", "   :widths: auto", "   :class: names", "")
        for name, child in children.items():
            words = f"{path} {name}"
            yield f"   * - :ref:`{words} <{words.replace(' ', '-')}>`"
            yield f"     - {_text((child.help or '').split('.')[0])}."
        yield ""


def _parameter(parameter: Any, context: Any) -> Iterator[str]:
    """Yield an argument or option as the program tells of it: how it is written, what it is, what holds without it."""
    forms, told = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        forms = parameter.metavar
    forms = re.sub(r"<list\[(\w+)\]>", r"<\1>", forms.replace(" range>", ">"))
    help_, _, facts = told.partition("  [")
    facts = re.sub(r"\bx>=(\S+)", r"at least \1", facts)
    facts = f" *{_escaped(facts.removesuffix(']'))}*" if facts else ""
    yield from (f".. option:: {forms}", "", f"   {_text(help_)}{facts}", "")


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", " ".join(text.split()))


def _text(help_: str) -> str:
    """Return a help text as reStructuredText, with its options as code."""
    return re.sub(r"(?<![\w-])(--?[a-z][a-z-]*)", r"``\1``", _escaped(help_))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("commands", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
