"""What the pages of the documentation work with, from the embedded corpus and nothing else.

docs/README.md lists the names for authors; `lay` puts materials into the folder of a page.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile

from speechgmm.cli import main

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
PEOPLE = {
    "ann": "es_andrea",
    "bob": "es_david",
    "carla": "es_belinda",
    "dan": "es_m3",
    "emma": "es_f1",
    "frank": "rms",
    "grace": "slt",
    "harry": "es_m5",
    "iris": "es_f4",
    "jack": "es_m7",
}
"""Names for the ten voices of the embedded corpus that are enrolled and tested."""
STRANGER = "kal16"
"""A voice of the background, which no store has."""
DAYS = ("monday", "tuesday")
SAMPLE_RATE = 16000

CHECKOUT = ("recipes", "data")
"""What pages see of the checkout."""

MATERIALS: dict[str, Callable[[Path], None]] = {}
"""The function that lays each material, by its name."""


def lay(names: Iterable[str], folder: Path) -> None:
    """Put materials into a folder."""
    for name in names:
        if name not in MATERIALS:
            raise ValueError(f"a material must be one of {', '.join(sorted(MATERIALS))}; got {name!r}")
        MATERIALS[name](folder)


def _material(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Name the function that lays a material."""

    def named(function: Callable[[Path], None]) -> Callable[[Path], None]:
        MATERIALS[name] = function
        return function

    return named


@functools.cache
def _rows() -> tuple[dict[str, str], ...]:
    with (DATA / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _as_wav(flac: Path, wav: Path) -> None:
    wav.parent.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(flac, dtype="int16")
    soundfile.write(wav, samples, rate)


@_material("background")
def _background(folder: Path) -> None:
    for row in _rows():
        if row["split"] == "ubm":
            target = folder / "background" / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(DATA / row["path"], target)


@_material("voices")
def _voices(folder: Path) -> None:
    _background(folder)
    for name, voice in PEOPLE.items():
        for number, day in enumerate(DAYS, 1):
            _as_wav(DATA / voice / f"s1_{number}.flac", folder / name / f"{day}.wav")
    _as_wav(DATA / PEOPLE["bob"] / "s2_1.flac", folder / "who.wav")
    _as_wav(DATA / STRANGER / "s2_1.flac", folder / "stranger.wav")


@_material("people")
def _people(folder: Path) -> None:
    for name in list(PEOPLE)[2:]:
        for number, day in enumerate(DAYS, 1):
            _as_wav(DATA / PEOPLE[name] / f"s1_{number}.flac", folder / "people" / name / f"{day}.wav")


@_material("tests")
def _tests(folder: Path) -> None:
    for name, voice in PEOPLE.items():
        for number in (1, 2, 3):
            _as_wav(DATA / voice / f"s2_{number}.flac", folder / "tests" / name / f"{number}.wav")


@_material("new")
def _new(folder: Path) -> None:
    for name, voice in PEOPLE.items():
        for number in (1, 2, 3):
            _as_wav(DATA / voice / f"s2_{number}.flac", folder / "new" / f"{name}_{number}.wav")


@_material("manifest")
def _manifest(folder: Path) -> None:
    _voices(folder)
    _new(folder)
    names = {voice: name for name, voice in PEOPLE.items()}
    lines = ["path,speaker,session,split,gender"]
    for row in _rows():
        path, name = row["path"], names.get(row["speaker"], row["speaker"])
        session, number = Path(path).stem.split("_")
        places = {
            "ubm": f"background/{path}",
            "enroll": f"{name}/{DAYS[int(number) % 2 - 1]}.wav",
            "test": f"new/{name}_{number}.wav",
        }
        lines.append(f"{places[row['split']]},{name},{session},{row['split']},{row['gender']}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@_material("model.sgmm")
def _model(folder: Path) -> None:
    shutil.copy(_made() / "model.sgmm", folder)


@_material("speakers.db")
def _store(folder: Path) -> None:
    _model(folder)
    shutil.copy(_made() / "speakers.db", folder)


@_material("scores.tsv")
def _scores(folder: Path) -> None:
    shutil.copy(_made() / "scores.tsv", folder)


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """Return the folder that is there until this process ends."""
    return tempfile.TemporaryDirectory(prefix="speechgmm-materials-")


@functools.cache
def _made() -> Path:
    """Make a model of the background, a store of the ten people and scores of their tests, by the commands alone."""
    folder = Path(_kept().name)
    _manifest(folder)
    model, store = ("--model", str(folder / "model.sgmm")), ("--store", str(folder / "speakers.db"))
    corpus = str(folder / "manifest.csv")
    _command("train", str(folder / "background"), "--components", "64", "-o", model[1])
    _command("enroll", *model, *store, "--manifest", corpus, "--where", "split=enroll")
    scores = str(folder / "scores.tsv")
    _command("score", *model, *store, "--manifest", corpus, "--where", "split=test", "--keep", "gender", "-o", scores)
    return folder


def _command(*args: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(args)
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"speechgmm {' '.join(args)}: {said.getvalue()}") from None


@_material("sounds")
def _sounds(folder: Path) -> None:
    """Make sounds that no voice is: sweeps, colored noise, clicks."""
    generator = np.random.default_rng(5)
    for kind, make in {"chirp": _chirp, "noise": _noise, "clicks": _clicks}.items():
        for number in range(1, 13):
            _save(make(generator), folder / "sounds" / kind / f"{number:02}.wav")
    _save(_chirp(generator), folder / "new_sound.wav")


def _save(samples: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def _chirp(generator: np.random.Generator) -> np.ndarray:
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = generator.uniform(300, 800), generator.uniform(2000, 5000)
    return 0.1 * np.sin(2 * np.pi * (low + (high - low) * t / 2) * t) + 0.002 * generator.standard_normal(len(t))


def _noise(generator: np.random.Generator) -> np.ndarray:
    white = generator.standard_normal(SAMPLE_RATE + 3)
    return 0.03 * np.convolve(white, generator.uniform(0.3, 1, 4), "valid")


def _clicks(generator: np.random.Generator) -> np.ndarray:
    samples = 0.002 * generator.standard_normal(SAMPLE_RATE)
    every = int(generator.uniform(600, 1400))
    samples[::every] = 0.5
    return np.convolve(samples, np.exp(-np.arange(80) / 15), "same")


@_material("checkout")
def _checkout(folder: Path) -> None:
    for name in CHECKOUT:
        (folder / name).symlink_to(ROOT / name)
