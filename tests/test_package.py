"""The package as a stranger meets it: imports, the wheel, the README's words."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import speechgmm

ROOT = Path(__file__).resolve().parent.parent


def test_every_public_name_is_there() -> None:
    assert set(speechgmm.__all__) <= set(dir(speechgmm))
    for name in speechgmm.__all__:
        assert getattr(speechgmm, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = speechgmm.nonsense  # type: ignore[attr-defined]


LATER = ("evaluation", "features", "speakers")
"""Packages whose names are loaded when they are first used."""


@pytest.mark.parametrize("name", LATER)
def test_names_that_are_loaded_later_are_those_that_type_checkers_see(name: str) -> None:
    package = importlib.import_module(f"speechgmm.{name}")
    file = Path(str(package.__file__))
    (seen,) = (node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.If))
    places = {a.name: str(node.module) for node in seen.body if isinstance(node, ast.ImportFrom) for a in node.names}
    modules = {path.stem for path in file.parent.iterdir()}
    assert not modules & set(places), "whoever imports the module of that name puts it in the place of the name"
    assert len(places) > 10
    for public, module in places.items():
        assert getattr(package, public) is getattr(importlib.import_module(module), public)
    assert set(places) <= set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert not inspect.ismodule(getattr(package, public)), public
    with pytest.raises(AttributeError, match=f"module 'speechgmm.{name}' has no attribute 'nonsense'"):
        _ = package.nonsense


def test_a_name_is_loaded_when_it_is_first_used() -> None:
    program = (
        "import sys, speechgmm.evaluation as e\n"
        "print('speechgmm.evaluation.summary' in sys.modules, 'evaluate' in vars(e))\n"
        "print(e.evaluate.__name__, 'speechgmm.evaluation.summary' in sys.modules, 'evaluate' in vars(e))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "evaluate True True"]


def test_the_wheel_holds_the_program_and_runs_away_from_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, capture_output=True, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "-q",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, capture_output=True, check=True)
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONWARNINGS": "error"}

    def run(*arguments: str) -> str:
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
        return done.stdout

    assert Path(run(sys.executable, "-c", "import speechgmm; print(speechgmm.__file__)").strip()).is_relative_to(site)
    program, data = str(site / "bin" / "speechgmm"), ROOT / "data"
    manifest = str(data / "manifest.csv")
    assert speechgmm.__version__ in run(program, "--version")
    run(program, "train", manifest, "--where", "speaker=awb", "--components", "2", "-o", "m.sgmm")
    assert json.loads(run(program, "info", "m.sgmm", "--json"))["mixtures"] == [2, 2]
    models = [site / "speechgmm" / "models" / f"read_speech_{rate}.sgmm" for rate in ("16k", "8k")]
    assert 2e6 < sum(model.stat().st_size for model in models) < 16e6
    for model in models:
        assert json.loads(run(program, "info", str(model), "--json"))["calibrated"] is True
    two = ("--where", "speaker=slt", "--where", "speaker=rms", "--where", "split=enroll")
    run(program, "enroll", "--store", "p.db", "--manifest", manifest, *two)
    found = json.loads(run(program, "identify", "--store", "p.db", str(data / "slt" / "s2_1.flac"), "--json"))
    assert found["calibrated"] is True
    assert found["files"][0]["status"] in ("accepted", "unknown")
    assert found["files"][0]["candidates"][0]["speaker"] == "slt"


def test_what_tells_the_version_and_the_dependencies_agrees() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    conda = (ROOT / ".ci" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    other = {"soundfile": "pysoundfile", "soxr": "python-soxr", "SQLAlchemy": "sqlalchemy"}
    wanted = {other.get(name, name): version for name, version in (d.split(">=") for d in project["dependencies"])}
    run = conda.split("  run:\n")[1].split("\n\n")[0]
    assert dict(re.findall(r"- ([\w-]+) >=([\d.]+)", run)) == wanted | {"python": project["requires-python"][2:]}
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r'^  version: "(.*)"$', conda, re.MULTILINE) == [speechgmm.__version__]
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [speechgmm.__version__]


def test_the_readme_has_exactly_the_two_setup_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if "pip install" in line and line.startswith("$ ")]
    assert commands == [
        "$ python -m pip install '.[plot]' && python recipes/quickstart.py",
        "$ python -m pip install '.[test]' && python -m pytest",
    ]
