"""One name for a concept: the table of words in CONTRIBUTING.md, held over all public signatures and options."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import speechgmm
from speechgmm.mixture import RELEVANCE
from speechgmm.parallel import Progress, Threads

ROOT = Path(__file__).parents[1]
PACKAGES = ("mixture", "tracking", "evaluation", "features", "speakers", "classification", "estimators", "plot")
PACKAGES += ("interchange",)
MODULES = [importlib.import_module(f"speechgmm.{name}") for name in (*PACKAGES, "parallel", "storage", "report")]
SCIKIT_LEARN = "speechgmm.estimators"
"""Faces for scikit-learn speak its words: `random_state`, `tol`, `max_iter`, `n_init`."""


def table() -> list[dict[str, list[str]]]:
    """Read the table of words: the names in each cell, by column."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text[text.index("| concept |") :].split("\n\n")[0].splitlines()
    header = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = []
    for line in lines[2:]:
        cells = line.strip().strip("|").split("|")
        assert len(cells) == len(header), line
        rows.append({name: re.findall(r"`([^`]+)`", cell) for name, cell in zip(header, cells, strict=True)})
    return rows


TABLE = table()
NOT = {word for row in TABLE for word in row["not"]}


def public() -> Iterator[tuple[str, Any]]:
    """Yield every public name, and what it is; methods of public classes come with them."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                for method, routine in inspect.getmembers(value, inspect.isroutine):
                    if not method.startswith("_") and str(getattr(routine, "__module__", "")).startswith("speechgmm"):
                        yield f"{module.__name__}.{name}.{method}", routine


def parameters(value: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, or of the making of a class."""
    if not callable(value):
        return {}
    try:
        return dict(inspect.signature(value).parameters)
    except ValueError:  # types without a signature, such as unions
        return {}


EVERY = [(name, parameters(value)) for name, value in public()]


def test_no_public_signature_uses_another_word():
    wrong = [f"{name}({p})" for name, found in EVERY for p in found if p in NOT]
    assert wrong == []


def test_each_word_is_used():
    used = {p for _, found in EVERY for p in found} | {
        f.name for _, value in public() if dataclasses.is_dataclass(value) for f in dataclasses.fields(value)
    }
    for row in TABLE:
        for word in row["Python"]:
            assert word in used, f"{word} is in the table and in no signature"


@pytest.mark.parametrize(
    ("word", "annotation", "default"),
    [
        ("n_threads", (int | None, Threads), None),  # where work stays in this process, no mapper is taken
        ("on_progress", Progress | None, None),
        ("sample_rate", int, ...),
        ("relevance", ..., RELEVANCE),
    ],
)
def test_a_word_has_one_type_and_one_default(word, annotation, default):
    alone = ("GMMClassifier", "MixtureSettings")  # where no relevance means that each class is trained alone
    alone += ("adapt_system",)  # where it is how far everybody moves, not a speaker
    alone += ("System", "train_system")  # of speakers, for whom 8 is a little better
    for name, found in EVERY:
        if word in found and not any(part in name for part in alone if word == "relevance"):
            p = found[word]
            if annotation is not ...:
                assert p.annotation in (annotation if isinstance(annotation, tuple) else (annotation,)), name
            if default is not ... and p.default is not inspect.Parameter.empty:
                assert p.default == default, name


def test_threads_and_progress_come_last_in_this_order():
    for name, found in EVERY:
        last = [p for p in found if p in ("n_threads", "on_progress", "on_iteration")]
        keyword_only = [p for p in last if found[p].kind is inspect.Parameter.KEYWORD_ONLY]
        if keyword_only:
            assert list(found)[len(found) - len(last) :] == last, name
        assert last == sorted(last, key=["n_threads", "on_progress", "on_iteration"].index), name


def test_every_public_name_has_one_home():
    homes: dict[str, set[str]] = {}
    for module in MODULES:
        for name in module.__all__:
            homes.setdefault(name, set()).add(module.__name__)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
    for name in speechgmm.__all__:
        assert getattr(speechgmm, name) is getattr(
            importlib.import_module(next(iter(homes.get(name, {"speechgmm.errors"})))), name
        )


def test_public_classes_and_functions_with_one_name_are_one_thing():
    """No two classes or functions of the package bear one name, private modules included."""
    seen: dict[str, set[str]] = {}
    for path in sorted((ROOT / "speechgmm").rglob("*.py")):
        if path.parts[-2] == "cli" or "cli" in path.parts:
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"(?:class|def) ([A-Za-z]\w*)", line):
                seen.setdefault(found[1], set()).add(str(path.relative_to(ROOT)))
    assert {name: files for name, files in seen.items() if len(files) > 1} == {}


def options() -> dict[str, set[str]]:
    """Return the options of each command."""
    import typer

    from speechgmm.cli import app

    found: dict[str, set[str]] = {}

    def visit(command: Any, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            visit(child, f"{path} {name}".strip())
        if path:
            found[path] = {o for p in command.params for o in p.opts if o.startswith("--")}

    visit(typer.main.get_command(app), "")
    return found


def test_defaults_of_options_are_those_of_python():
    import typer

    from speechgmm.classification.train import SETTINGS
    from speechgmm.cli import app

    commands = typer.main.get_command(app).commands
    train, classify = commands["train"], commands["classify"].commands["train"]
    made = inspect.signature(speechgmm.train_system).parameters
    for command, n_components, relevance in (
        (train, made["n_components"].default, made["relevance"].default),
        (classify, SETTINGS.n_components, SETTINGS.relevance),
    ):
        defaults = {p.name: p.default for p in command.params}
        assert (defaults["components"], defaults["relevance"]) == (n_components, relevance)
    assert made["relevance"].default == speechgmm.speakers.System.relevance
    adapt = {p.name: p.default for p in commands["adapt"].params}
    assert adapt["relevance"] == inspect.signature(speechgmm.speakers.adapt_system).parameters["relevance"].default


def test_options_are_those_of_the_table():
    listed = {word for row in TABLE for word in row["command line"] if word.startswith("--")}
    used = set().union(*options().values()) - {"--help", "--version"}
    assert used - listed == set(), "an option that the table of words does not list"
    assert listed - used == set(), "the table lists an option that no command has"
