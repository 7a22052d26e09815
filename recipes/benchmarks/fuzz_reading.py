"""What reads spoiled files: the public readers of each kind and commands, in a process of little memory.

Run as a program it answers lines on its standard input, each ``{"kind": ..., "path": ..., "command": ...}``, with a
line each that says what became of the file; `read` is the same in this process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fuzz_seeds import CLOSED, KALDI, KEY, RECORDINGS, SUPERVISIONS, archive_bytes

from speechgmm import load_classifier, load_system, storage
from speechgmm.classification import AudioClassifier
from speechgmm.cli import main
from speechgmm.errors import SpeechGMMError, SpeechGMMWarning
from speechgmm.evaluation import load_calibration, read_scores, read_trials
from speechgmm.features import MFCC, listed_features, read_corpus, read_features
from speechgmm.features.audio import stream
from speechgmm.interchange import read_mixture
from speechgmm.mixture import GMM, Ensemble
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.speakers import SpeakerStore, System, load_export

SECONDS, BYTES = 2.0, 500_000_000
"""What the reading of a file may take of the processor's time, and of memory beside what the process had."""
_LONGEST = 20_000
"""Characters of a message at most: nobody reads more."""


def _model(path: Path) -> None:
    kind = storage.read_header(path)["$type"]
    if kind in ("GMM", "Ensemble"):
        found = storage.load(path, GMM if kind == "GMM" else Ensemble, GMM, *COVARIANCES.values())
        found.log_density(np.zeros((3, found.n_dimensions)))
    elif kind == "AudioClassifier":
        _use(load_classifier(path))
    else:
        _use(load_system(path))


def _use(model: System | AudioClassifier) -> None:
    """Ask a model what it is, and let it hear a second of noise."""
    model.summary()
    frontend = model.frontend
    if isinstance(frontend, MFCC):
        noise = np.random.default_rng(0).normal(0, 0.1, min(frontend.sample_rate, 1 << 20))
        frontend(noise.astype(np.float32))


def _sound(path: Path) -> None:
    with stream(path) as found:
        for _ in found.blocks:
            pass


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def _corpus(path: Path) -> Iterator[Path]:
    """Give the corpus that a file is a part of: a folder with what else belongs there, or the file itself."""
    with _folder() as folder:
        if path.name.endswith("names.txt"):
            _touch(folder, path.read_bytes())
        elif part := next((name for name in KALDI if path.name.endswith(f"kaldi-{name}")), None):
            _write(folder, KALDI | {part: path})
        elif part := next((n for n in ("supervisions.jsonl", "recordings.jsonl") if path.name.endswith(n)), None):
            _write(folder, {"supervisions.jsonl": SUPERVISIONS, "recordings.jsonl": RECORDINGS, part: path})
        else:
            folder = path
        yield folder


def _write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        if isinstance(content, Path):
            shutil.copyfile(content, folder / name)
        else:
            (folder / name).write_text(content)


def _touch(folder: Path, names: bytes) -> None:
    """Make the files of these names that a file system can have, inside the folder."""
    for name in names.split(b"\n")[:200]:
        parts = [p for p in name.split(b"/") if p not in (b"", b".", b"..")]
        if parts and b"\0" not in name:
            with contextlib.suppress(OSError):
                os.makedirs(os.path.join(os.fsencode(folder), *parts[:-1]), exist_ok=True)
                open(os.path.join(os.fsencode(folder), *parts), "ab").close()


def _manifest(path: Path) -> None:
    for label in ("speaker", None):
        with _corpus(path) as place, contextlib.suppress(SpeechGMMError) if label else contextlib.nullcontext():
            found = read_corpus(place, label=label)
            assert all(r.place for r in found)


@contextlib.contextmanager
def _listed(path: Path) -> Iterator[Path]:
    """Give an archive, or a list beside the archive that it names."""
    with _folder() as folder:
        (folder / "feats.ark").write_bytes(archive_bytes())
        yield Path(shutil.copyfile(path, folder / ("list.scp" if path.suffix == ".scp" else "own.ark")))


def _archive(path: Path) -> None:
    if path.suffix == ".npy":
        read_features(path)
        return
    with _listed(path) as place:
        for recording in listed_features(place):
            read_features(recording.path)


def _store(path: Path) -> None:
    """Read all that a store tells, from a copy: opening it may change it."""
    with _folder() as folder:
        copied, key = shutil.copyfile(path, folder / "store.db"), KEY if path.stem.endswith(CLOSED) else None
        with SpeakerStore(copied, key=key) as store:
            store.check()
            store.overview()
            store.summary()
            store.audit()
            store.purge("2000-01-01")
            if store.speakers:
                store.remove(store.speakers[0])


def _mixture(path: Path) -> None:
    found = read_mixture(path).mixture
    found.log_density(np.zeros((3, found.n_dimensions)))


READERS: dict[str, Callable[[Path], Any]] = {
    "models": _model,
    "audio": _sound,
    "manifests": _manifest,
    "trials": read_trials,
    "scores": read_scores,
    "archives": _archive,
    "exports": load_export,
    "stores": _store,
    "calibrations": load_calibration,
    "mixtures": _mixture,
}
"""The public reader of each kind."""


def _command(kind: str, path: Path, folder: Path) -> list[str]:
    """Return a command that reads a file."""
    given, out = str(path), ["-o", str(folder / "out.npz")]
    if kind in ("models", "exports", "calibrations"):
        return ["info", given]
    if kind == "stores":
        copied = shutil.copyfile(path, folder / "store.db")
        (folder / "key").write_bytes(KEY)
        return ["speakers", "list", "--store", str(copied)] + ["--key-file", str(folder / "key")] * (
            CLOSED in path.stem
        )
    if kind == "mixtures":
        return ["import-mixture", given, "-o", str(folder / "m.sgmm")]
    if kind == "audio":
        return ["features", given, "--preset", "speech", *out]
    if kind == "manifests":
        return ["features", "--manifest", given, "--preset", "speech", *out]
    if kind == "archives":
        return ["features", given, *out] if path.suffix == ".npy" else ["features", "u1", "--features", given, *out]
    if kind == "trials":
        rows = [
            f"{s}\t{t}\t{i}.5\t\n" for i, (s, t) in enumerate([("ann", "a.wav"), ("bob", "a.wav"), ("ann", "b/c.wav")])
        ]
        (folder / "scores.tsv").write_text("speaker\ttest\tscore\ttarget\n" + "".join(rows))
        return ["evaluate", str(folder / "scores.tsv"), "--trials", given]
    return ["evaluate", given]


def _run(kind: str, path: Path) -> None:
    """Run a command on a file; raise ValueError where it does not end as commands do."""
    placed = {"manifests": _corpus, "archives": _listed}.get(kind, contextlib.nullcontext)
    with _folder() as folder, (contextlib.nullcontext if path.suffix == ".npy" else placed)(path) as place:
        arguments = _command(kind, place, folder)
        out, err = io.StringIO(), io.StringIO()
        status: Any = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as end:
                status = end.code or 0
    lines = err.getvalue().splitlines(keepends=True)
    if status not in (0, 1):
        raise ValueError(f"exit status {status}: {err.getvalue()[:300]}")
    if bad := [line for line in lines if not re.fullmatch(r"speechgmm: .*\n", line)]:
        raise ValueError(f"a line of standard error is {bad[0]!r}")
    if status == 1 and not lines:
        raise ValueError("refused without a word")
    seen = err.getvalue().replace("\n", "") + out.getvalue().replace("\n", "")
    if unseen := [c for c in seen if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]:
        raise ValueError(f"the terminal gets {unseen[0]!a}")
    if status == 1 and kind in READERS:
        raise SpeechGMMError(lines[-1])


def _most_bytes() -> int:
    """Return the most memory that this process has had since the last call; 0 where the system does not say."""
    try:
        told = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return 1024 * int(told[1]) if told else 0


def read(kind: str, path: Path, *, command: bool = False) -> dict[str, Any]:
    """Read a file as its kind is read; return how that ended and what it took."""
    _most_bytes()
    wall, cpu = time.monotonic(), time.process_time()
    told: dict[str, Any] = {"ended": "accepted", "error": "", "message": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", SpeechGMMWarning)
            if command:
                _run(kind, path)
            else:
                READERS[kind](path)
    except SpeechGMMError as error:
        message = str(error)
        told = {"ended": "refused", "error": type(error).__name__, "message": message[:300]}
        if not message or len(message) > _LONGEST:
            told |= {"ended": "failed", "message": f"a message of {len(message)} characters: {message[:300]}"}
    except BaseException as error:  # what must not happen
        trace = "".join(traceback.format_exception(error)[-3:])
        told = {"ended": "failed", "error": type(error).__name__, "message": f"{error}\n{trace}"[:2000]}
    told |= {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall, "bytes": _most_bytes()}
    return (
        told if told["cpu"] <= SECONDS or told["ended"] == "failed" else told | {"ended": "failed", "error": "too slow"}
    )


def answer(seeds: Path) -> None:
    """Answer lines of standard input, after whole files of each kind have been read and memory has been limited."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for kind in READERS:
        for i, path in enumerate(sorted((seeds / kind).iterdir()) if (seeds / kind).is_dir() else ()):
            for command in (False, True)[: 1 + (i % 8 == 0)]:
                if (told := read(kind, path, command=command))["ended"] == "failed":
                    print(f"the seed {path}: {told['message']}", file=sys.stderr)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(json.dumps(read("", seeds)), file=answers, flush=True)  # ready; tells the memory of the beginning
    for line in sys.stdin:
        asked = json.loads(line)
        told = read(asked["kind"], Path(asked["path"]), command=asked["command"])
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    answer(Path(sys.argv[1]))
