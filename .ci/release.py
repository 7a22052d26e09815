"""Build a release and try it: python .ci/release.py [--tag v0.1.0] [--python python3.12 ...] [--lowest]

A release is a wheel and a sdist in `dist/`. They are built from what git knows, checked by twine, and their contents
compared with the checkout. The wheel is installed into a new environment of each Python that is named, or of each
supported one that is found, away from the checkout, and does the main job there: train, enroll, identify. With
`--lowest` that is done once more with the lowest versions that pyproject.toml allows, and the numeric tests run with
them. The version stands in `speechgmm/__init__.py`; the tag, the changelog and CITATION.cff must agree with it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SUPPORTED = ("3.11", "3.12", "3.13")


def main() -> None:
    """Build, check and try a release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="the tag that is released, such as v0.1.0")
    parser.add_argument("--python", nargs="*", help="interpreters to try the wheel with")
    parser.add_argument("--lowest", action="store_true", help="try it with the lowest dependencies, too")
    given = parser.parse_args()
    version = agreed_version(given.tag)
    wheel, sdist = build()
    check_contents(wheel, sdist, version)
    found = given.python or [name for v in SUPPORTED if (name := shutil.which(f"python{v}"))]
    for python in found:
        attempt(python, wheel)
    if given.lowest:
        attempt(found[0], wheel, lowest=True)
    print(f"speechgmm {version}: {wheel.name} and {sdist.name} in dist/ are ready")


def agreed_version(tag: str | None) -> str:
    """Return the version, or end where something does not agree with it."""
    (version,) = re.findall(r'^__version__ = "(.*)"$', read("speechgmm/__init__.py"), re.MULTILINE)
    told = {"CITATION.cff": re.findall(r"^version: (\S+)$", read("CITATION.cff"), re.MULTILINE)}
    told["CHANGELOG.md"] = re.findall(r"^## (\d\S*) \(\d{4}-\d\d-\d\d\)$", read("CHANGELOG.md"), re.MULTILINE)[:1]
    if tag:
        told["the tag"] = [tag.removeprefix("v")]
    if wrong := {where: found for where, found in told.items() if found != [version]}:
        sys.exit(f"the version must be {version} everywhere; got {wrong}. Change speechgmm/__init__.py or these.")
    return version


def read(name: str) -> str:
    """Return a file of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> str:
    """Run a command, and end if it fails; return what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONWARNINGS": "error"}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    words = [str(word) for word in command]
    print("$", " ".join(words), flush=True)
    if "pip" in words or "build" in words or "venv" in words:
        environment.pop("PYTHONWARNINGS")
    done = subprocess.run(words, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(words)}")
    if not quiet:
        print(done.stdout, end="", flush=True)
    return done.stdout


def build() -> tuple[Path, Path]:
    """Build both archives of a clean checkout, and let twine check what they tell of themselves."""
    if changed := run("git", "status", "--porcelain", quiet=True):
        sys.exit(f"a release is built of what git knows; got changes:\n{changed}Commit them first.")
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        python = environment(sys.executable, Path(folder))
        run(python, "-m", "pip", "install", "-q", "build", "twine")
        run(python, "-m", "build", "--outdir", DIST, quiet=True)
        (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
        run(python, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def environment(python: str, folder: Path) -> Path:
    """Make a virtual environment, and return its Python."""
    run(python, "-m", "venv", folder / "venv")
    return folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"


def check_contents(wheel: Path, sdist: Path, version: str) -> None:
    """End unless the archives hold what git knows: the package, and all but what belongs to the repository alone."""
    known = set(run("git", "ls-files", quiet=True).split("\n")) - {""}
    package = {name for name in known if name.startswith("speechgmm/")}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    compare("the wheel", found, package)
    with tarfile.open(sdist) as archive:
        top = f"speechgmm-{version}/"
        found = {m.name.removeprefix(top) for m in archive.getmembers() if m.isfile()} - {"PKG-INFO"}
    compare("the sdist", found, {name for name in known if not name.startswith((".ci", ".github", ".pre-commit"))})


def compare(what: str, found: set[str], wanted: set[str]) -> None:
    """End if two sets of files differ."""
    if found != wanted:
        more, less = sorted(found - wanted)[:5], sorted(wanted - found)[:5]
        sys.exit(f"{what} must hold what git knows; got also {more}, and not {less}.")
    print(f"{what}: {len(found)} files")


def attempt(python: str, wheel: Path, *, lowest: bool = False) -> None:
    """Install the wheel into a new environment and do the main job in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = environment(python, folder)
        extra = ["-c", folder / "lowest.txt"] if lowest else []
        if lowest:
            (folder / "lowest.txt").write_text("\n".join(lowest_versions()), encoding="utf-8")
        run(own, "-m", "pip", "install", "-q", *extra, f"{wheel}[test]" if lowest else wheel)
        program, data = own.parent / "speechgmm", ROOT / "data"
        manifest = data / "manifest.csv"
        run(program, "--version", cwd=folder)
        run(program, "train", manifest, "--where", "split=ubm", "--components", "16", "-o", "m.sgmm", cwd=folder)
        model = ("--model", "m.sgmm", "--store", "s.db")
        run(program, "enroll", *model, "--manifest", manifest, "--where", "split=enroll", cwd=folder, quiet=True)
        told = run(program, "identify", *model, data / "slt" / "s2_1.flac", "--json", cwd=folder, quiet=True)
        best = json.loads(told)["files"][0]["candidates"][0]["speaker"]
        if best != "slt":
            sys.exit(f"the voice slt must be recognized as itself; got {best}")
        if lowest:
            # scikit-learn 1.7 hands its checks over in a way that today's pytest warns of
            quiet = ("-p", "no:cacheprovider", "-W", "ignore::pytest.PytestRemovedIn10Warning")
            run(own, "-m", "pytest", "-q", "-m", "numeric", *quiet, "tests")
        print(f"{run(own, '--version', quiet=True).strip()}: installed and tried, {best} recognized", flush=True)


def lowest_versions() -> list[str]:
    """Return the lowest versions that pyproject.toml allows of what is always needed, as constraints."""
    return [d.replace(">=", "==") for d in tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]]


if __name__ == "__main__":
    main()
