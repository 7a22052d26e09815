"""The data step of the recipes: from a prepared copy, or from a corpus' source repository at one commit.

A recipe's folder holds two files for this, and never any audio:

`metadata.csv`
    One row per recording, with the columns `COLUMNS`; `path` is relative to the file. `sha256` is the digest
    of the samples, see `digest`: it stays the same in whatever lossless format they are kept. Where `source_path` is of
    a lossy format (`LOSSY`), decoders differ in the last bits and copies are known by their length instead.
`source.json`
    The name of the `corpus`, its `repository` on GitHub (`owner/name`) and the `commit`.

`prepare` is all that a recipe calls; `verify` checks the samples of every file of a copy. Needs numpy and soundfile,
and PyAV (`speechgmm[formats]`) for sources of a lossy format.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import io
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.errors import AudioError

__all__ = ["COLUMNS", "cache_root", "digest", "prepare", "read_manifest", "verify"]

REQUIRED = ("path", "speaker", "session", "split")  # columns of a prepared copy's metadata.csv
COLUMNS = (*REQUIRED, "gender", "text", "duration_s", "sample_rate", "source_path", "extra", "sha256")
DIGITS = 32  # hexadecimal digits of SHA-256 that are kept
THREADS = 8
TIMEOUT = 30.0  # seconds
ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/"  # `source_path` is below it
PAUSES = (1.0, 4.0)  # seconds before another try, where a fault looks passing
PASSING = (429, 500, 502, 503, 504)  # HTTP codes
LOSSY = (".webm",)  # endings of `source_path`
SLACK = 0.05  # seconds by which the length of what was decoded from them may differ

Row = dict[str, str]
Progress = Callable[[int, int, str], None]


def prepare(
    name_or_folder: str | Path,
    *,
    data: str | Path | None = None,
    source: str | None = None,
    cache: str | Path | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Return the manifest of a prepared corpus: a `metadata.csv` with all of its audio beside it.

    Parameters
    ----------
    name_or_folder : str or Path
        A recipe's folder, or the name of a recipe or of its corpus.
    data : path, optional
        A prepared copy: a folder with `metadata.csv` and the files which that lists. Nothing is downloaded or
        written; only the files' existence is checked (`verify` checks the samples).
    source : str, optional
        Address of the source layout, http, https or file. Default: the repository at the commit, on GitHub.
    cache : path, optional
        Folder in which `<corpus>-<commit>/` is made. Default: `cache_root()`. Files that are there already
        and have the right samples are not fetched again: an interrupted download goes on where it stopped.
    on_progress : callable, optional
        Called as `on_progress(done, total, path)` after each file, in the caller's thread.

    Returns
    -------
    Path
        The `metadata.csv`.

    Raises
    ------
    InvalidInput
        If the copy or the manifest is incomplete, or the source cannot be reached or lacks a file.
    AudioError
        If a fetched file cannot be decoded or holds other samples than the manifest says.
    MissingExtra
        If the source is of a lossy format and PyAV is not installed.
    """
    recipe = _recipe(name_or_folder)
    if data is not None:
        if source is not None or cache is not None:
            refuse("data", "be given without source and cache", "both")
        return _prepared(Path(data), recipe)
    origin = _origin(recipe)
    manifest = recipe / "metadata.csv"
    rows = read_manifest(manifest, columns=COLUMNS)
    folder = (cache_root() if cache is None else Path(cache)) / f"{origin['corpus']}-{origin['commit'][:10]}"
    address = _address(ADDRESS.format_map(origin) if source is None else source)
    _fetch_all(rows, address, folder=folder, on_progress=on_progress)
    _write(folder / "metadata.csv", manifest.read_bytes())
    return folder / "metadata.csv"


def verify(name_or_folder: str | Path, data: str | Path) -> int:
    """Check the samples of every file of a prepared copy against the recipe's manifest.

    Parameters
    ----------
    name_or_folder : str or Path
        As for `prepare`.
    data : path
        The folder of the prepared copy.

    Returns
    -------
    int
        The number of files, all of them good.

    Raises
    ------
    AudioError
        If files are missing, unreadable or different: how many, and the first one.
    """
    rows = read_manifest(_recipe(name_or_folder) / "metadata.csv", columns=COLUMNS)
    with ThreadPoolExecutor(THREADS) as pool:
        good = list(pool.map(lambda row: _good(Path(data) / row["path"], row), rows))
    if not all(good):
        rule = "hold the samples that the recipe's metadata.csv lists"
        first = rows[good.index(False)]["path"]
        found = f"{good.count(False)} missing, unreadable or different, the first {first}"
        advice = "Prepare the copy again, or leave out --data to download it."
        refuse(f"the {len(rows)} files in {data}", rule, found, advice, error=AudioError)
    return len(rows)


def digest(samples: NDArray[np.int16]) -> str:
    """Return the first 32 hexadecimal digits of SHA-256 over mono samples as little-endian 16-bit integers.

    Neither header nor sampling rate enters; `sample_rate` in the manifest is compared by itself.

    Examples
    --------
    >>> digest(np.array([0, 1, -1], dtype=np.int16))
    'c0094727eb5e8c2c3727a91e36691641'
    """
    return hashlib.sha256(samples.astype("<i2", copy=False).tobytes()).hexdigest()[:DIGITS]


def cache_root() -> Path:
    """Return `SPEECHGMM_CACHE` if set, else `speechgmm` in the platform's folder for caches."""
    if chosen := os.environ.get("SPEECHGMM_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "speechgmm"
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "speechgmm"


def read_manifest(path: str | Path, *, columns: tuple[str, ...] = REQUIRED) -> list[Row]:
    """Read a metadata.csv that must have `columns`, a row or more, and paths that stay below its folder."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(columns) - set(reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError:
        refuse(str(path), "exist", "no such file")
    if missing:
        refuse(str(path), f"have the columns {', '.join(columns)}", f"a table without {', '.join(sorted(missing))}")
    if not rows:
        refuse(str(path), "list at least one recording", "an empty table")
    for row in rows:
        pure = PurePosixPath(row["path"] or "")
        if not pure.parts or pure.is_absolute() or ".." in pure.parts:
            refuse(f"path in {path}", "name a file below the manifest's folder", repr(row["path"]))
    return rows


def _recipe(name_or_folder: str | Path) -> Path:
    """Return a recipe's folder from its path, its name, or the name of its corpus."""
    here = Path(__file__).resolve().parent
    known = {file.parent.name: file.parent for file in sorted(here.glob("*/source.json"))}
    known |= {_origin(folder)["corpus"]: folder for folder in known.values()}
    folder = known.get(str(name_or_folder), Path(name_or_folder))
    if not folder.is_dir():
        rule = f"be a recipe's folder or one of {', '.join(sorted(known))}"
        refuse("name_or_folder", rule, repr(str(name_or_folder)))
    return folder


def _origin(recipe: Path) -> dict[str, str]:
    """Read a recipe's source.json."""
    path = recipe / "source.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {key: str(values[key]) for key in ("corpus", "repository", "commit")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        refuse(str(path), "hold a JSON object with corpus, repository and commit", repr(error))


def _prepared(data: Path, recipe: Path) -> Path:
    """Return the manifest of a prepared copy after a look for each of its files."""
    what, manifest = f"the prepared copy {data}", data / "metadata.csv"
    if not manifest.is_file():
        found = "no metadata.csv" if data.is_dir() else "no such folder"
        advice = f"Copy {recipe / 'metadata.csv'} beside the audio, or leave out --data to download the corpus."
        refuse(what, "be a folder with a metadata.csv and the audio that it lists", found, advice)
    rows = read_manifest(manifest)
    missing = [row["path"] for row in rows if not (data / row["path"]).is_file()]
    if missing:
        found = f"{len(missing)} of {len(rows)} missing, the first {missing[0]}"
        advice = "Complete the copy, or leave out --data to download the corpus."
        refuse(what, "hold every file that its metadata.csv lists", found, advice)
    return manifest


def _address(source: str) -> str:
    """Return the address of a source layout with a slash at its end."""
    if urllib.parse.urlsplit(source).scheme not in ("http", "https", "file"):
        advice = "For a local copy of the repository use Path(...).resolve().as_uri()."
        refuse("source", "begin with http://, https:// or file://", repr(source), advice)
    return source.rstrip("/") + "/"


def _fetch_all(rows: list[Row], address: str, *, folder: Path, on_progress: Progress | None) -> None:
    """Fetch what is not yet in `folder`; stop at the first fault."""
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {pool.submit(_fetch, row, address, folder=folder): row["path"] for row in rows}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if on_progress is not None:
                    on_progress(done, len(rows), futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(row: Row, address: str, *, folder: Path) -> None:
    """Fetch one file, compare its samples with the manifest, and keep them as FLAC."""
    target = folder / row["path"]
    if _good(target, row):
        return
    url = address + urllib.parse.quote(row["source_path"])
    samples = _decode(_download(url), row, url=url)
    if not _same(samples, row):
        rule, found = f"have the digest {row['sha256']}, as metadata.csv says for {row['path']}", digest(samples)
        if row["source_path"].endswith(LOSSY):
            rule = f"last {row['duration_s']} s, as metadata.csv says for {row['path']}"
            found = f"{len(samples) / int(row['sample_rate']):.3f} s"
        advice = "Try again; if it stays, the source has changed: use a prepared copy with --data DIR."
        refuse(f"the samples of {url}", rule, f"{found} ({len(samples)} samples)", advice, error=AudioError)
    encoded = io.BytesIO()
    sf.write(encoded, samples, int(row["sample_rate"]), format="FLAC", subtype="PCM_16")
    _write(target, encoded.getvalue())


def _good(path: Path, row: Row) -> bool:
    """Say whether `path` holds the samples of `row` at its rate."""
    try:
        samples, rate = sf.read(path, dtype="int16")
    except (sf.SoundFileError, OSError):
        return False
    return rate == int(row["sample_rate"]) and samples.ndim == 1 and _same(samples, row)


def _same(samples: NDArray[np.int16], row: Row) -> bool:
    """Say whether samples are those of `row`, as far as can be said of the format of its source."""
    if row["source_path"].endswith(LOSSY):
        return abs(len(samples) / int(row["sample_rate"]) - float(row["duration_s"])) <= SLACK
    return digest(samples) == row["sha256"]


def _decode(content: bytes, row: Row, *, url: str) -> NDArray[np.int16]:
    """Return the samples of the first channel; `.ulaw` is headerless 8-bit mu-law."""
    if row["source_path"].endswith(LOSSY):
        return _decode_lossy(content, row, url=url)
    raw: dict[str, Any] = {}
    if row["source_path"].endswith(".ulaw"):
        raw = {"format": "RAW", "subtype": "ULAW", "channels": 1, "samplerate": int(row["sample_rate"])}
    try:
        samples, rate = sf.read(io.BytesIO(content), dtype="int16", always_2d=True, **raw)
    except sf.SoundFileError as error:
        advice = "Try again, or use a prepared copy with --data DIR."
        refuse(url, "be decodable sound", f"{len(content)} bytes ({error})", advice, error=AudioError)
    if rate != int(row["sample_rate"]):
        rule = f"be sampled at {row['sample_rate']} Hz, as metadata.csv says"
        refuse(url, rule, f"{rate} Hz", error=AudioError)
    return np.ascontiguousarray(samples[:, 0])


def _decode_lossy(content: bytes, row: Row, *, url: str) -> NDArray[np.int16]:
    """Return the samples of the first channel as FFmpeg decodes them, at the rate of `row`."""
    from speechgmm.features import read
    from speechgmm.features.audio import resample

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PurePosixPath(row["source_path"]).name
        path.write_bytes(content)
        try:
            sound = resample(read(path, channel=0), int(row["sample_rate"]))
        except AudioError as error:
            advice = "Try again, or use a prepared copy with --data DIR."
            refuse(url, "be decodable sound", f"{len(content)} bytes ({error})", advice, error=AudioError)
    return np.rint(np.clip(32768.0 * sound.samples, -32768, 32767)).astype(np.int16)


def _download(url: str, pauses: tuple[float, ...] = PAUSES) -> bytes:
    """Return the content at `url`; a fault that looks passing gets another try after each pause (seconds)."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            return bytes(response.read())
    except (OSError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        if not (pauses and _passing(error)):
            _refuse_source(url, error)
    time.sleep(pauses[0])
    return _download(url, pauses[1:])


def _passing(error: Exception) -> bool:
    """Say whether the same request may succeed a little later."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in PASSING
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, (TimeoutError, ConnectionResetError, http.client.HTTPException))


def _refuse_source(url: str, error: Exception) -> NoReturn:
    """Say why nothing came from `url`."""
    found = str(getattr(error, "reason", "") or error or type(error).__name__)
    rule = "be in the source layout" if url.startswith("file:") else "be reachable over the network"
    if isinstance(error, urllib.error.HTTPError):
        rule, found = "be in the source repository", f"HTTP {error.code} {found}"
    advice = "Pass a prepared copy with --data DIR, or try again later: what has been fetched is kept."
    refuse(url, rule, found, advice)


def _write(target: Path, content: bytes) -> None:
    """Write a file beside `target` and rename it, so that no half file is ever seen."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
