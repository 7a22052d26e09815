"""The reference of Python: a directive that shows every public name of a package, and where references to them lead.

`.. api:: speechgmm.mixture` shows the docstring of the package, a table of its names, and each of them in full. A type
in a signature is written as where it was made (`speechgmm.mixture.model.GMM`) and shown where it is public.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Any

from annotations import simplify
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import speechgmm

_GROUND = ("__main__", "checks", "cli", "compiler", "files", "frames", "later", "looks", "tables", "tensors")
PRIVATE = {f"speechgmm.{name}" for name in _GROUND}
"""What is no part of the Python API: the ground that the package stands on, and the program, which has another page."""

_INITIAL = re.compile(r"^(\s*(?:\.\. \[\d+\] )?[A-Z])\.(?=\s|$)")
"""What would be the first item of a list, such as `K.` or an author's first name."""
_SOURCE = re.compile(r"\s?\[\d+\]_")


@functools.cache
def packages() -> tuple[str, ...]:
    """Return the packages and modules whose names are public: those that have `__all__`, and the errors."""
    found = [f"speechgmm.{module.name}" for module in pkgutil.iter_modules(speechgmm.__path__)]
    return tuple(name for name in found if name not in PRIVATE and names(name))


@functools.cache
def names(module: str) -> tuple[str, ...]:
    """Return the public names of a module."""
    found = importlib.import_module(module)
    if module == "speechgmm.errors":
        return tuple(name for name, value in vars(found).items() if getattr(value, "__module__", "") == module)
    return tuple(getattr(found, "__all__", ()))


@functools.cache
def homes() -> dict[str, str]:
    """Return where everything is shown, by the ways in which it may be named."""
    found: dict[str, str] = {}
    for module in packages():
        for name in names(module):
            value = getattr(importlib.import_module(module), name)
            home = f"{module}.{name}"
            found[home] = home
            if inspect.isclass(value) or inspect.isroutine(value):
                found[f"{value.__module__}.{value.__qualname__}"] = home
    for name in speechgmm.__all__:
        value = getattr(speechgmm, name)
        found[f"speechgmm.{name}"] = found[f"{value.__module__}.{value.__qualname__}"]
    return found


def kind(value: Any) -> str:
    """Return the directive of autodoc that shows a value."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"


def documentation(module: str, name: str) -> str:
    """Return the docstring of a public name; that of a value stands below it, in the file that sets it."""
    value = getattr(importlib.import_module(module), name)
    if kind(value) != "data":
        return inspect.getdoc(value) or ""
    for place in sorted(place for place in sys.modules if f"{place}.".startswith(f"{module}.")):
        if name in vars(sys.modules[place]):
            lines = ModuleAnalyzer.for_module(place).find_attr_docs().get(("", name), [])
            if lines:
                return "\n".join(lines).strip()
    return ""


def summary(text: str) -> str:
    """Return the first sentence of a docstring, without numbers of sources."""
    paragraph = text.split("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<!\beq)(?<!\bal)(?<=\.) ", paragraph)[0]
    return re.sub(_SOURCE, "", sentence).removesuffix("::")


class Api(SphinxDirective):
    """Everything that is public in one package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the reference of the package."""
        module = self.arguments[0]
        content = StringList(list(self._lines(module)), source=f"the names of {module}")
        section = nodes.section()
        section.document = self.state.document
        self.state.nested_parse(content, self.content_offset, section, match_titles=True)
        return section.children

    def _lines(self, module: str) -> Iterator[str]:
        yield from (f".. automodule:: {module}", "", f".. currentmodule:: {module}", "")
        if module == "speechgmm":
            yield from _table([(name, homes()[f"speechgmm.{name}"]) for name in names(module)])
            return
        yield from _table([(name, f"{module}.{name}") for name in names(module)])
        for name in names(module):
            yield from (*_entry(module, name), "")


def _entry(module: str, name: str) -> Iterator[str]:
    """Yield what shows one name in full."""
    value = getattr(importlib.import_module(module), name)
    simplify(value)
    if kind(value) == "data":
        shown = [f"   :value: {value!r}"] if isinstance(value, int | float) else []
        yield from (f".. py:data:: {name}", *shown, "")
        yield from (f"   {line}" for line in re.sub(_SOURCE, "", documentation(module, name)).splitlines())
        return
    yield f".. auto{kind(value)}:: {module}.{name}"
    if inspect.isclass(value):
        yield "   :members:"
    if getattr(value, "__bases__", (object,)) != (object,):
        yield "   :show-inheritance:"


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Yield a table of names: where each is shown, and what it is in a sentence."""
    yield from (".. list-table::", "   :widths: auto", "   :class: names", "")
    for name, home in sorted(rows, key=lambda row: row[0].lower()):
        yield from (f"   * - :py:obj:`{name} <{home}>`", f"     - {summary(documentation(*home.rsplit('.', 1)))}")
    yield ""


def lead_home(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Node | None:
    """Resolve what was named by another of its names; leave as text what is not of the public API."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    home = homes().get(target) or homes().get(f"{node.get('py:module')}.{target}")
    if home is None and target[:1].isupper():
        home = next((place for place in homes().values() if place.endswith(f".{target}")), None)
    if home and home != target:
        domain = env.get_domain("py")
        found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, text)
        return found if isinstance(found, nodes.Node) else None
    return text if not target.startswith("speechgmm.") or _private(target) else None


def link_errors(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make links of the names in sections `Raises` and `Warns`, which numpydoc leaves as text."""
    inside = False
    for i, line in enumerate(lines):
        if i and re.fullmatch(r"\s*-{3,}", line):
            inside = lines[i - 1].strip() in ("Raises", "Warns")
        elif inside and lines[i + 1 : i + 2] and lines[i + 1].startswith(" ") and not line.startswith(" "):
            lines[i] = re.sub(r"(\w+)", r"`\1`", line)


def add_sources(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Add the sources that a docstring cites, where the docstring of its module lists them."""
    lines[:] = [re.sub(_INITIAL, r"\1\\.", line) for line in lines]
    cited = set(re.findall(r"\[(\d+)\]_", "\n".join(lines)))
    cited -= set(re.findall(r"^\.\. \[(\d+)\]", "\n".join(lines), re.M))
    module = inspect.getmodule(obj)
    if not cited or module is None or module is obj:
        return
    listed = re.split(r"^(?=\.\. \[)", inspect.getdoc(module) or "", flags=re.M)[1:]
    entries = [entry.rstrip() for entry in listed if entry[4 : entry.index("]")] in cited]
    entries = [re.sub(_INITIAL, r"\1\\.", entry) for entry in entries]
    lines += ["", "References", "----------", *"\n".join(entries).splitlines(), ""]


def leave_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that another library adds to a class, such as those of scikit-learn's metadata routing."""
    made = getattr(obj, "__module__", None)
    return True if inspect.isfunction(obj) and made and not made.startswith("speechgmm") else None


def _private(target: str) -> bool:
    """Whether a name exists, and is not public."""
    parts = target.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:end]))
            for part in parts[end:]:
                value = getattr(value, part)
        except (ImportError, AttributeError):
            continue
        return target not in homes()
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and how references are resolved."""
    app.add_directive("api", Api)
    app.connect("autodoc-process-docstring", link_errors, priority=400)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("missing-reference", lead_home)
    app.connect("autodoc-process-docstring", add_sources, priority=400)  # before numpydoc, which reads sections
    return {"parallel_read_safe": True, "parallel_write_safe": True}
