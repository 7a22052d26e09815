"""The recipes' data step, from generated sound and, where they are at hand, from the real recordings."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from recipes import corpora
from recipes.corpora import COLUMNS, cache_root, digest, prepare, read_manifest, verify
from speechgmm.errors import AudioError, InvalidInput
from tests.features.test_formats import encode

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "corpora"
RECIPES = {
    "identify_digits": ("fsdd", 3000),
    "identify_readers": ("librispeech_mini", 224),
    "other_microphones": ("malayalam_msc", 1033),
    "verify_telephone": ("wuw2", 2034),
}
COMMIT = "0123456789abcdef"


@dataclass(frozen=True)
class Local:
    """A recipe's folder and a copy of its source layout."""

    recipe: Path
    layout: Path
    rows: list[dict[str, str]]

    @property
    def source(self) -> str:
        return self.layout.as_uri()

    def cached(self, cache: Path, row: int = 0) -> Path:
        return cache / f"made-{COMMIT[:10]}" / self.rows[row]["path"]

    def original(self, row: int = 0) -> Path:
        return self.layout / self.rows[row]["source_path"]

    def change(self, row: int, **values: str) -> None:
        self.rows[row].update(values)
        write_manifest(self.recipe / "metadata.csv", self.rows)


def write_manifest(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_original(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write `samples` as the source repositories keep them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".webm":
        encode(path, samples[None].astype(np.float32) / 32768, "webm", "libopus")
        return
    raw = {"format": "RAW", "subtype": "ULAW"} if path.suffix == ".ulaw" else {"subtype": "PCM_16"}
    sf.write(path, samples, rate, **raw)


def make(folder: Path, sounds: list[tuple[dict[str, str], np.ndarray]]) -> Local:
    recipe, layout = folder / "recipe", folder / "source layout"
    recipe.mkdir(parents=True)
    for row, samples in sounds:
        write_original(layout / row["source_path"], samples, int(row["sample_rate"]))
    rows = [row for row, _ in sounds]
    write_manifest(recipe / "metadata.csv", rows)
    origin = {"corpus": "made", "repository": "owner/name", "commit": COMMIT}
    (recipe / "source.json").write_text(json.dumps(origin), encoding="utf-8")
    return Local(recipe, layout, rows)


def through_mulaw(samples: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    sf.write(buffer, samples, 8000, format="RAW", subtype="ULAW")
    buffer.seek(0)
    return sf.read(buffer, dtype="int16", format="RAW", subtype="ULAW", channels=1, samplerate=8000)[0]


def generated(folder: Path) -> Local:
    rng = np.random.default_rng(3)
    sounds = []
    for i, (ending, rate) in enumerate([("wav", 8000), ("ulaw", 8000), ("flac", 16000)] * 3):
        samples = rng.integers(-20000, 20000, 300 + i).astype(np.int16)
        samples = through_mulaw(samples) if ending == "ulaw" else samples
        row = dict.fromkeys(COLUMNS, "") | {
            "path": f"s{i % 2}/{i}.flac",
            "speaker": f"s{i % 2}",
            "session": "1",
            "split": "test",
            "sample_rate": str(rate),
            "source_path": f"in & out/a#{i}.{ending}",
            "sha256": digest(samples),
        }
        sounds.append((row, samples))
    return make(folder, sounds)


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return generated(tmp_path / "made")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def no_download(url: str) -> bytes:
    raise AssertionError(f"{url} was fetched")


@dataclass
class Server:
    """A local HTTP server that gives the listed answers in turn, then 404, and counts requests."""

    answers: list[tuple[int, bytes]]
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, str]]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(corpora, "THREADS", 1)
    state = Server([])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.paths.append(self.path)
            code, content = state.answers.pop(0) if state.answers else (404, b"")
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state, f"http://127.0.0.1:{httpd.server_address[1]}/base"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


# ---------------------------------------------------------------- from a source


def test_prepares_from_the_source_layout(local: Local, cache: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    manifest = prepare(local.recipe, source=local.source, cache=cache, on_progress=lambda *call: calls.append(call))
    assert manifest == cache / f"made-{COMMIT[:10]}" / "metadata.csv"
    assert manifest.read_bytes() == (local.recipe / "metadata.csv").read_bytes()
    assert verify(local.recipe, manifest.parent) == len(local.rows) == 9
    assert [call[:2] for call in calls] == [(i, 9) for i in range(1, 10)]
    assert {call[2] for call in calls} == {row["path"] for row in local.rows}
    for row in local.rows:
        info = sf.info(manifest.parent / row["path"])
        assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)
        assert info.samplerate == int(row["sample_rate"])
    assert prepare(local.recipe, data=manifest.parent) == manifest
    assert not list(cache.rglob("*.part"))


def test_second_run_fetches_nothing(local: Local, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(local.recipe, source=local.source, cache=cache)
    monkeypatch.setattr(corpora, "_download", no_download)
    assert prepare(local.recipe, source=local.source, cache=cache) == first


def test_fetches_only_what_is_missing_or_damaged(local: Local, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = prepare(local.recipe, source=local.source, cache=cache)
    local.cached(cache, 0).unlink()
    local.cached(cache, 1).write_bytes(local.cached(cache, 1).read_bytes()[:50])
    sf.write(local.cached(cache, 2), np.zeros(302, np.int16), 16000, subtype="PCM_16")
    fetched: list[str] = []
    download = corpora._download

    def count(url: str) -> bytes:
        fetched.append(url)
        return download(url)

    monkeypatch.setattr(corpora, "_download", count)
    prepare(local.recipe, source=local.source, cache=cache)
    assert len(fetched) == 3
    assert verify(local.recipe, manifest.parent) == 9


def test_goes_on_after_a_fault(local: Local, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "THREADS", 1)
    gone = local.original(5)
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(InvalidInput, match=r"a%235\.flac must be in the source layout; got .*--data DIR"):
        prepare(local.recipe, source=local.source, cache=cache)
    assert local.cached(cache, 4).is_file()
    assert not (cache / f"made-{COMMIT[:10]}" / "metadata.csv").exists()
    gone.write_bytes(content)
    for i in range(5):
        local.original(i).unlink()
    manifest = prepare(local.recipe, source=local.source, cache=cache)
    assert verify(local.recipe, manifest.parent) == 9


@pytest.mark.parametrize("row", [0, 1, 2])
def test_other_samples_are_refused_by_name(local: Local, cache: Path, row: int) -> None:
    rate = int(local.rows[row]["sample_rate"])
    write_original(local.original(row), np.full(300, 7, np.int16), rate)
    with pytest.raises(AudioError, match=rf"a%23{row}.* must have the digest .* for s./{row}\.flac; got"):
        prepare(local.recipe, source=local.source, cache=cache)
    assert not local.cached(cache, row).exists()


def test_another_rate_is_refused(local: Local, cache: Path) -> None:
    local.change(2, sample_rate="8000")
    with pytest.raises(AudioError, match=r"must be sampled at 8000 Hz.*; got 16000 Hz"):
        prepare(local.recipe, source=local.source, cache=cache)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_what_is_no_sound_is_refused(local: Local, cache: Path, content: bytes) -> None:
    local.original().write_bytes(content)
    with pytest.raises(AudioError, match=rf"must be decodable sound; got {len(content)} bytes .*--data DIR"):
        prepare(local.recipe, source=local.source, cache=cache)


def test_no_network(local: Local, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(InvalidInput, match=r"must be reachable over the network; got .*--data DIR"):
        prepare(local.recipe, source="http://127.0.0.1:9/", cache=cache)


def test_missing_over_http(local: Local, cache: Path, server: tuple[Server, str]) -> None:
    state, address = server
    with pytest.raises(InvalidInput, match=r"must be in the source repository; got HTTP 404.*--data DIR"):
        prepare(local.recipe, source=address, cache=cache)
    assert state.paths[0] == "/base/in%20%26%20out/a%230.wav"


def test_a_passing_fault_gets_another_try(server: tuple[Server, str]) -> None:
    state, address = server
    state.answers += [(503, b""), (429, b""), (200, b"content")]
    assert corpora._download(address, (0.0, 0.0)) == b"content"
    assert len(state.paths) == 3


def test_tries_end(server: tuple[Server, str]) -> None:
    state, address = server
    state.answers += [(503, b"")] * 5
    with pytest.raises(InvalidInput, match="got HTTP 503"):
        corpora._download(address, (0.0, 0.0))
    assert len(state.paths) == 3


@pytest.mark.parametrize("fault", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_an_interrupted_write_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fault: BaseException
) -> None:
    write = Path.write_bytes

    def stop(path: Path, argument: bytes | Path) -> None:
        if isinstance(argument, bytes):
            write(path, argument[:2])
        raise fault

    target = tmp_path / "a" / "b.flac"
    corpora._write(target, b"before")
    monkeypatch.setattr(Path, step, stop)
    with pytest.raises(type(fault)):
        corpora._write(target, b"content")
    monkeypatch.undo()
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"before"


def test_a_fault_while_writing_leaves_the_cache_clean(
    local: Local, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, target: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(OSError, match="disk full"):
            prepare(local.recipe, source=local.source, cache=cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_fault_in_the_callback_stops(local: Local, cache: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(local.recipe, source=local.source, cache=cache, on_progress=stop)
    assert not list(cache.rglob("*.part"))


# ---------------------------------------------------------------- from a prepared copy


@pytest.fixture
def copy(local: Local, cache: Path) -> Path:
    return prepare(local.recipe, source=local.source, cache=cache).parent


def test_a_prepared_copy_is_used_as_it_is(local: Local, copy: Path) -> None:
    rows = [{c: row[c] for c in ("path", "speaker", "session", "split")} for row in local.rows[:2]]
    write_manifest(copy / "metadata.csv", rows)
    before = (copy / "metadata.csv").read_bytes()
    assert prepare(local.recipe, data=str(copy)) == copy / "metadata.csv"
    assert (copy / "metadata.csv").read_bytes() == before


def test_missing_prepared_files_are_counted(local: Local, copy: Path) -> None:
    for i in (3, 6):
        (copy / local.rows[i]["path"]).unlink()
    with pytest.raises(InvalidInput, match=r"got 2 of 9 missing, the first s1/3\.flac\."):
        prepare(local.recipe, data=copy)
    with pytest.raises(AudioError, match=r"got 2 missing, unreadable or different, the first s1/3\.flac\."):
        verify(local.recipe, copy)


def test_a_missing_manifest_is_named(local: Local, copy: Path) -> None:
    (copy / "metadata.csv").unlink()
    with pytest.raises(InvalidInput, match=r"got no metadata\.csv\. Copy .*metadata\.csv beside the audio"):
        prepare(local.recipe, data=copy)
    with pytest.raises(InvalidInput, match="got no such folder"):
        prepare(local.recipe, data=copy / "nowhere")


def test_verify_finds_other_samples(local: Local, copy: Path) -> None:
    assert verify(local.recipe, copy) == 9
    sf.write(copy / local.rows[4]["path"], np.zeros(304, np.int16), 8000, subtype="PCM_16")
    with pytest.raises(AudioError, match=r"the 9 files .* got 1 missing, unreadable or different, .*s0/4"):
        verify(local.recipe, copy)


# ---------------------------------------------------------------- arguments and manifests


def test_data_excludes_source_and_cache(local: Local, copy: Path) -> None:
    with pytest.raises(InvalidInput, match="without source and cache"):
        prepare(local.recipe, data=copy, source=local.source)
    with pytest.raises(InvalidInput, match="without source and cache"):
        prepare(local.recipe, data=copy, cache=copy)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"one of .*fsdd.*identify_digits.*; got 'nothing'"):
        prepare("nothing")


@pytest.mark.parametrize("source", ["", "recordings", "ftp://somewhere/"])
def test_a_source_is_an_address(local: Local, source: str) -> None:
    with pytest.raises(InvalidInput, match=r"source must begin with http://.*as_uri"):
        prepare(local.recipe, source=source)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"corpus": "made"}'])
def test_a_bad_source_json(local: Local, content: str | None) -> None:
    path = local.recipe / "source.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InvalidInput, match=r"source\.json must hold a JSON object"):
        prepare(local.recipe)


@pytest.mark.parametrize("path", ["../a.flac", "/a.flac", "", "a/../../b.flac"])
def test_a_path_stays_below_the_manifest(local: Local, path: str) -> None:
    local.change(0, path=path)
    with pytest.raises(InvalidInput, match="must name a file below the manifest's folder"):
        prepare(local.recipe, source=local.source)


def test_bad_manifests(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    with pytest.raises(InvalidInput, match="must exist"):
        read_manifest(path)
    path.write_text("path,speaker,split\n")
    with pytest.raises(InvalidInput, match="a table without session"):
        read_manifest(path)
    path.write_text("path,speaker,session,split\n")
    with pytest.raises(InvalidInput, match="an empty table"):
        read_manifest(path)
    path.write_text("")
    with pytest.raises(InvalidInput, match="a table without path, session, speaker, split"):
        read_manifest(path)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEECHGMM_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("SPEECHGMM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "windows"))
    for platform, where in {"linux": tmp_path, "win32": tmp_path / "windows"}.items():
        monkeypatch.setattr("sys.platform", platform)
        assert cache_root() == where / "speechgmm"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_root() == Path.home() / "Library" / "Caches" / "speechgmm"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "speechgmm"


def test_the_environment_chooses_the_cache(local: Local, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEECHGMM_CACHE", str(tmp_path / "chosen"))
    assert tmp_path / "chosen" in prepare(local.recipe, source=local.source).parents


def test_the_default_source_is_the_repository_at_its_commit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str) -> bytes:
        asked.append(url)
        raise InvalidInput("stop")

    monkeypatch.setattr(corpora, "_download", refuse)
    with pytest.raises(InvalidInput, match="stop"):
        prepare("wuw2", cache=cache)
    start = "https://raw.githubusercontent.com/wake-up-word/wuw-corpus-ii/"
    start += "edd16fe0e8c861daef05e6778016764e20b3d628/calls/"
    assert asked
    assert all(url.startswith(start) for url in asked)


def test_the_digest_is_of_little_endian_samples() -> None:
    samples = np.array([0, 1, -1], np.int16)
    assert digest(samples) == digest(samples.astype(">i2")) == "c0094727eb5e8c2c3727a91e36691641"


def test_stereo_gives_its_first_channel(local: Local, cache: Path) -> None:
    samples, rate = sf.read(local.original(0), dtype="int16")
    sf.write(local.original(0), np.column_stack([samples, samples]), rate, subtype="PCM_16")
    manifest = prepare(local.recipe, source=local.source, cache=cache)
    assert sf.info(manifest.parent / local.rows[0]["path"]).channels == 1


# ---------------------------------------------------------------- sources of a lossy format


def lossy(folder: Path, seconds: float = 1.5) -> tuple[Local, np.ndarray]:
    """A corpus of one recording in WebM, and its samples before it was encoded."""
    t = np.arange(round(16000 * seconds)) / 16000
    samples = np.round(9000 * np.sin(2 * np.pi * (300 + 400 * t) * t)).astype(np.int16)
    row = dict.fromkeys(COLUMNS, "") | {"path": "s/0.flac", "speaker": "s", "session": "1", "split": "test"}
    row |= {"sample_rate": "16000", "duration_s": f"{seconds}", "source_path": "a/0.webm", "sha256": digest(samples)}
    return make(folder, [(row, samples)]), samples


def test_a_lossy_source_is_decoded_and_known_by_its_length(tmp_path: Path, cache: Path) -> None:
    local, samples = lossy(tmp_path / "made")
    manifest = prepare(local.recipe, source=local.source, cache=cache)
    fetched, rate = sf.read(manifest.parent / "s/0.flac", dtype="int16")
    assert rate == 16000
    assert abs(len(fetched) - len(samples)) < 800
    n = min(len(fetched), len(samples))
    assert np.corrcoef(fetched[:n], samples[:n])[0, 1] > 0.95
    assert verify(local.recipe, manifest.parent) == 1
    local.original().unlink()
    prepare(local.recipe, source=local.source, cache=cache)  # what is there is taken


def test_a_lossy_source_of_another_length_is_refused(tmp_path: Path, cache: Path) -> None:
    local, _ = lossy(tmp_path / "made")
    local.change(0, duration_s="1.8")
    with pytest.raises(AudioError, match=r"must last 1\.8 s, as metadata\.csv says for s/0\.flac; got 1\.5"):
        prepare(local.recipe, source=local.source, cache=cache)


def test_a_lossy_source_that_is_no_sound_is_refused(tmp_path: Path, cache: Path) -> None:
    local, _ = lossy(tmp_path / "made")
    local.original().write_bytes(b"no sound")
    with pytest.raises(AudioError, match=r"0\.webm must be decodable sound; got 8 bytes"):
        prepare(local.recipe, source=local.source, cache=cache)


# ---------------------------------------------------------------- the recipes' own manifests


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_manifests(name: str) -> None:
    corpus, count = RECIPES[name]
    rows = read_manifest(ROOT / "recipes" / name / "metadata.csv", columns=COLUMNS)
    assert len(rows) == count
    assert len({row["path"].lower() for row in rows}) == len({row["source_path"] for row in rows}) == count
    assert all(len(row["sha256"]) == 32 for row in rows)
    background = {row["speaker"] for row in rows if row["split"] == "ubm"}
    targets = {row["speaker"] for row in rows if row["split"] != "ubm"}
    assert not background & targets
    tested = {row["speaker"] for row in rows if row["split"] == "test"}
    assert tested == {row["speaker"] for row in rows if row["split"] == "enroll"}
    folder = ROOT / "recipes" / name
    origin = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    assert origin["corpus"] == corpus
    text = (folder / "DATA.md").read_text(encoding="utf-8")
    assert origin["commit"] in text
    assert origin["repository"] in text
    assert not [path for path in folder.rglob("*") if path.suffix in {".flac", ".wav", ".ulaw"}]


def real(corpus: str) -> Path:
    folder = REAL / corpus
    if not folder.is_dir():
        pytest.skip(f"the prepared copy of {corpus} is not beside the checkout")
    return folder


@pytest.mark.corpora
@pytest.mark.parametrize("name", RECIPES)
def test_all_digests_match_the_prepared_copy(name: str) -> None:
    corpus, count = RECIPES[name]
    folder = real(corpus)
    assert verify(name, folder) == count
    assert prepare(name, data=folder) == prepare(corpus, data=folder) == folder / "metadata.csv"


@pytest.mark.corpora
@pytest.mark.parametrize("name", RECIPES)
def test_real_files_from_their_source_layout(name: str, tmp_path: Path, cache: Path) -> None:
    corpus, count = RECIPES[name]
    folder = real(corpus)
    rows = read_manifest(ROOT / "recipes" / name / "metadata.csv", columns=COLUMNS)[:: count // 12]
    sounds = []
    for row in rows:
        samples, rate = sf.read(folder / row["path"], dtype="int16")
        assert rate == int(row["sample_rate"])
        if row["source_path"].endswith(".ulaw"):
            np.testing.assert_array_equal(through_mulaw(samples), samples)
        sounds.append((row, samples))
    local = make(tmp_path / "made", sounds)
    endings = {"fsdd": ".wav", "librispeech_mini": ".flac", "malayalam_msc": ".webm", "wuw2": ".ulaw"}
    assert {path.suffix for path in local.layout.rglob("*.*")} == {endings[corpus]}
    manifest = prepare(local.recipe, source=local.source, cache=cache)
    assert verify(local.recipe, manifest.parent) == len(rows)
    for row, samples in sounds if corpus != "malayalam_msc" else []:
        np.testing.assert_array_equal(sf.read(manifest.parent / row["path"], dtype="int16")[0], samples)
