"""What libsndfile does not know: M4A, AAC, WebM and the sound of videos give what FFmpeg's own program gives."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speechgmm.errors import AudioError, MissingExtra, SpeechGMMWarning
from speechgmm.features import MFCC, Signal, read, read_corpus, sample_rate, training_frames
from tests.cli.running import run
from tests.sounds import DATA, ROOT, Array, cut, voice

av = pytest.importorskip("av", reason="PyAV, the extra formats, is not installed")

VOICE = DATA / "kal16"
KINDS = {
    "a.m4a": ("ipod", "aac"),
    "a.mp4": ("mp4", "aac"),
    "a.mov": ("mov", "aac"),
    "a.3gp": ("3gp", "aac"),
    "a.aac": ("adts", "aac"),
    "a.webm": ("webm", "libopus"),
    "a.mka": ("matroska", "libopus"),
    "lossless.m4a": ("ipod", "alac"),
    "pcm.mka": ("matroska", "pcm_s24le"),
    "doubles.mov": ("mov", "pcm_f64le"),
    "bytes.avi": ("avi", "pcm_u8"),
    "a.wv": ("wv", "wavpack"),
    "a.ac3": ("ac3", "ac3"),
}
RATES = {"libopus": 48000, "ac3": 48000}


def frames_of(samples: Array, stream: Any) -> Any:
    """Yield the frames (C, n) of 16 kHz as a stream wants them."""
    layout = "mono" if len(samples) == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
    context = stream.codec_context
    convert = av.AudioResampler(format=context.format.name, layout=layout, rate=context.sample_rate)
    yield from convert.resample(frame)
    yield from convert.resample(None)


def encode(
    path: Path, samples: Array, form: str, codec: str, *, tracks: int = 1, video: bool = False, **how: Any
) -> Path:
    """Write samples (C, n) of 16 kHz; further tracks are the same, twice as loud."""
    with av.open(str(path), "w", format=form, options=how) as container:
        pictures = container.add_stream("mpeg4", rate=5) if video else None
        layout = "mono" if len(samples) == 1 else "stereo"
        streams = [container.add_stream(codec, rate=RATES.get(codec, 16000), layout=layout) for _ in range(tracks)]
        for picture in range(5 if pictures else 0):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * picture, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        for gain, stream in enumerate(streams, 1):
            for frame in frames_of(gain * samples, stream):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if pictures:
            container.mux(pictures.encode(None))
    return path


@pytest.fixture(scope="module")
def spoken() -> Array:
    """A recording that comes with the project, (1, n)."""
    samples, rate = sf.read(sorted(VOICE.rglob("*.flac"))[0], dtype="float32")
    assert rate == 16000
    return samples[None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, spoken: Array) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("formats")
    both = np.concatenate([spoken, 0.5 * spoken[:, ::-1]])
    made = {name: encode(root / name, spoken, *how) for name, how in KINDS.items()}
    made["two.m4a"] = encode(root / "two.m4a", both, "ipod", "aac")
    made["two.webm"] = encode(root / "two.webm", both, "webm", "libopus")
    made["video.mp4"] = encode(root / "video.mp4", spoken, "mp4", "aac", video=True)
    made["fast.m4a"] = encode(root / "fast.m4a", spoken, "ipod", "aac", movflags="faststart")
    made["pieces.mp4"] = encode(root / "pieces.mp4", spoken, "mp4", "aac", movflags="frag_keyframe+empty_moov")
    return made


ALL = [*KINDS, "two.m4a", "two.webm", "video.mp4", "fast.m4a", "pieces.mp4"]


def by_ffmpeg(path: Path) -> Array:
    """What the program ffmpeg decodes, (n, C)."""
    if not shutil.which("ffmpeg"):
        pytest.skip("the program ffmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    decoded = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")
    return decoded.reshape(-1, 2 if "two" in path.name else 1)


@pytest.mark.parametrize("name", ALL)
def test_samples_are_those_of_ffmpeg(files: dict[str, Path], name: str) -> None:
    expected = by_ffmpeg(files[name])
    # decoders in floating point round differently from build to build
    np.testing.assert_allclose(read(files[name]).samples, expected.mean(axis=1), atol=2e-6)
    for channel in range(expected.shape[1]):
        np.testing.assert_allclose(read(files[name], channel=channel).samples, expected[:, channel], atol=2e-6)


@pytest.mark.parametrize("name", ALL)
def test_length_rate_and_sound_are_those_of_the_recording(files: dict[str, Path], spoken: Array, name: str) -> None:
    codec = KINDS.get(name, ("", "libopus" if "webm" in name else "aac"))[1]
    found = read(files[name])
    assert found.sample_rate == sample_rate(files[name]) == RATES.get(codec, 16000)
    # an AAC file may end with the padding of its last frames of 1024, and one without a container begins with a delay
    assert -0.001 <= found.seconds - spoken.shape[1] / 16000 <= 3 * 1024 / 16000
    if name in ("lossless.m4a", "pcm.mka", "doubles.mov"):
        assert found.digest == Signal(np.ascontiguousarray(spoken[0]), 16000).digest
    if codec == "aac" and name.startswith("a.m"):  # what the encoder put before the sound is cut off
        assert np.corrcoef(found.samples[: spoken.shape[1]], spoken[0])[0, 1] > 0.95
    assert read(files[name]).digest == found.digest


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "lossless.m4a", "two.m4a"])
def test_parts_are_those_of_the_whole(files: dict[str, Path], name: str) -> None:
    whole = read(files[name])
    rate, n = whole.sample_rate, len(whole.samples)
    for start, end in ((0.0, 0.5), (0.25, 0.75), (0.5, None), (0.1, n / rate), (0.1, n / rate + 0.05)):
        part = read(files[name], start=start, end=end).samples
        np.testing.assert_array_equal(
            part, whole.samples[round(start * rate) : None if end is None else round(end * rate)]
        )
    seconds = f"{n / rate:.2f}".replace(".", r"\.")
    for start, end in (
        (n / rate, None),
        (99.0, 100.0),
        (0.5, n / rate + 0.06),
        (-1.0, None),
        (0.5, 0.5),
        (0.0, np.nan),
    ):
        with pytest.raises(AudioError, match=rf"the part of .*{name} must lie within its {seconds} s; got \S+ to "):
            read(files[name], start=start, end=end)
    with pytest.raises(AudioError, match=r"the channel of .* must be 'mix' or one of its \d channels"):
        read(files[name], channel=7)


def test_the_best_track_is_heard(tmp_path: Path, spoken: Array) -> None:
    path = encode(tmp_path / "tracks.mka", 0.3 * spoken, "matroska", "pcm_s16le", tracks=2)
    np.testing.assert_allclose(read(path).samples, by_ffmpeg(path)[:, 0], atol=1e-6)


def test_a_file_without_sound_says_what_it_holds(tmp_path: Path, spoken: Array) -> None:
    path = encode(tmp_path / "silent.mp4", spoken, "mp4", "aac", tracks=0, video=True)
    for function in (read, sample_rate):
        with pytest.raises(AudioError, match=r"silent\.mp4 must hold a sound track; got a file of video\. Choose"):
            function(path)


@pytest.mark.parametrize("name", ["a.m4a", "a.aac", "a.webm", "a.mka", "fast.m4a", "a.wv"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, files: dict[str, Path], name: str, share: float) -> None:
    path = tmp_path / name
    shutil.copy(files[name], path)
    whole = r"must be whole; got a truncated file \(.+\)\. Copy or record it again"
    neither = r"must be a sound file that libsndfile or FFmpeg reads; got a file that neither does \(.+\)\. It may be"
    with pytest.raises(AudioError, match=rf"{name} ({whole}|{neither}|must hold samples; got none)"):
        read(cut(path, share))


def test_what_only_looks_like_sound_is_refused(tmp_path: Path) -> None:
    for name in ("text.m4a", "empty.webm"):
        (tmp_path / name).write_bytes(b"Dear reader,\n" * 50 if "text" in name else b"")
        with pytest.raises(
            AudioError, match=rf"{name} must be a sound file that libsndfile or FFmpeg reads; got a file"
        ):
            read(tmp_path / name)


def test_playlists_lead_nowhere(tmp_path: Path, files: dict[str, Path]) -> None:
    shutil.copy(files["a.aac"], tmp_path / "other.aac")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\nother.aac\n#EXT-X-ENDLIST\n"
    for name, text in (("a.m4a", playlist), ("b.m4a", f"ffconcat version 1.0\nfile '{tmp_path}/other.aac'\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="libsndfile or FFmpeg reads; got a file that neither does"):
            read(tmp_path / name)


def test_damaged_bytes_never_crash_or_write_to_the_terminal(tmp_path: Path, files: dict[str, Path]) -> None:
    """In another process, which may neither hang nor say anything but what the errors say."""
    rng = np.random.default_rng(0)
    for name in ("a.m4a", "a.webm", "a.aac", "fast.m4a"):
        data = np.frombuffer(files[name].read_bytes(), np.uint8)
        for i in range(12):
            broken = data.copy()
            where = rng.integers(0, len(data) if i % 2 else 700, size=rng.integers(1, 20))
            broken[where] = rng.integers(0, 256, size=len(where))
            (tmp_path / f"{i}.{name}").write_bytes(broken.tobytes())
    lines = (
        *("import sys", "from pathlib import Path"),
        *("from speechgmm.errors import AudioError", "from speechgmm.features import read"),
        *("refused = 0", "for path in sorted(Path(sys.argv[1]).iterdir()):"),
        *("    try:", "        read(path)", "    except AudioError:", "        refused += 1", "print(refused)"),
    )
    command = [sys.executable, "-c", "\n".join(lines), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert 5 < int(done.stdout) < 48


def test_a_rate_that_changes_is_refused(tmp_path: Path, spoken: Array) -> None:
    streams = []
    for rate in (16000, 22050):
        path = tmp_path / f"{rate}.aac"
        with av.open(str(path), "w", format="adts") as container:
            stream = container.add_stream("aac", rate=rate, layout="mono")
            for frame in frames_of(spoken, stream):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        streams.append(path.read_bytes())
    path = tmp_path / "both.aac"
    path.write_bytes(b"".join(streams))
    found = r"got 22050 Hz and 1 channel\(s\) further on\. Convert it"
    with pytest.raises(AudioError, match=rf"both\.aac must keep to 16000 Hz and 1 channel\(s\); {found}"):
        read(path)


@pytest.fixture
def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import av` fail as if it were not installed."""
    monkeypatch.setitem(sys.modules, "av", None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("without_pyav")
def test_without_the_extra_the_message_says_how_to_install_it(files: dict[str, Path], tmp_path: Path) -> None:
    rule = r"a\.m4a must be of a format that libsndfile reads, as PyAV is not installed; got a file that it does not "
    advice = r"Install it with: python -m pip install 'speechgmm\[formats\]', or convert the file to WAV or FLAC\."
    for function in (read, sample_rate):
        with pytest.raises(MissingExtra, match=rf"{rule}\(Format not recognised\)\. {advice}"):
            function(files["a.m4a"])
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match="must be a sound file that libsndfile reads; got a file it does not"):
        read(tmp_path / "text.wav")


@pytest.fixture
def corpus(tmp_path: Path, files: dict[str, Path]) -> Path:
    """Friends who record with telephones, and one with a WAV."""
    root = tmp_path / "friends"
    for speaker, name in (("ann", "a.m4a"), ("bob", "a.webm"), ("cid", "a.AAC"), ("cid", "video.MP4")):
        (root / speaker).mkdir(parents=True, exist_ok=True)
        shutil.copy(files[name.lower()], root / speaker / name)
    (root / "dan").mkdir()
    sf.write(root / "dan" / "d.wav", voice(2.0), 16000)
    (root / "dan" / "notes.txt").write_text("not sound")
    return root


def test_a_folder_of_telephone_recordings_is_heard(corpus: Path) -> None:
    listed = read_corpus(corpus)
    assert [r.name for r in listed] == ["ann/a.m4a", "bob/a.webm", "cid/a.AAC", "cid/video.MP4", "dan/d.wav"]
    frames = training_frames(MFCC(), listed)
    assert (len(frames.parts), frames.skipped, frames.speakers) == (5, (), ("ann", "bob", "cid", "dan"))


@pytest.mark.usefixtures("without_pyav")
def test_without_the_extra_each_of_them_is_named_and_counted(corpus: Path) -> None:
    frames = training_frames(MFCC(), read_corpus(corpus))
    assert [s.name for s in frames.skipped] == ["ann/a.m4a", "bob/a.webm", "cid/a.AAC", "cid/video.MP4"]
    assert all("pip install 'speechgmm[formats]'" in s.reason for s in frames.skipped)


def test_recordings_that_cannot_be_read_are_named_and_counted(corpus: Path) -> None:
    for name in ("ann/b.m4a", "eve/c.amr", "eve/d.wma"):
        (corpus / name).parent.mkdir(exist_ok=True)
        (corpus / name).write_bytes(b"nothing")
    frames = training_frames(MFCC(), read_corpus(corpus))
    assert [s.name for s in frames.skipped] == ["ann/b.m4a", "eve/c.amr", "eve/d.wma"]
    assert len(frames.parts) == 5


def test_the_commands_hear_them_and_count_what_they_leave_out(corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.sgmm"
    train = ("train", corpus, "-o", model, "--components", 2, "--json")
    classes = ("classify", "train", corpus, "-o", tmp_path / "c.sgmm", "--components", 2, "--json")
    with pytest.warns(
        SpeechGMMWarning, match=r"mixed: 16000 Hz 4; 48000 Hz 1 \(bob/a\.webm\)\. All are taken at 16000"
    ):
        assert run(*train).document["info"]["data"]["skipped"] == 0
    shutil.copy(corpus / "ann" / "a.m4a", corpus / "ann" / "b.m4a")
    cut(corpus / "ann" / "b.m4a", 0.5)
    with pytest.warns(SpeechGMMWarning, match="mixed"):
        every = [run(*train), run(*classes)]
    for done in every:
        assert (done.status, done.document["info"]["data"]["skipped"]) == (1, 1)
        assert [s["file"] for s in done.document["skipped"]] == ["ann/b.m4a"]
        assert re.search(r"left out: \S*ann/b\.m4a ", done.err)
        assert "libsndfile or FFmpeg reads" in done.err
    store = ("--model", model, "--store", tmp_path / "s.db")
    enrolled = run("enroll", *store, "--manifest", corpus, "--json")
    assert len(enrolled.document["sessions"]) == 4
    left_out = [s["file"] for s in enrolled.document["skipped"]]
    assert left_out == ["ann/b.m4a", "cid/video.MP4"], "the sound of the video is that of ann/a.m4a, to the sample"
    answer = run("identify", *store, corpus / "bob" / "a.webm", corpus / "ann" / "b.m4a", "--json").document["files"]
    assert "another recording than those enrolled" in answer[0]["error"]
    assert answer[1]["status"] == "error"


@pytest.mark.usefixtures("without_pyav")
def test_train_says_of_each_how_it_would_be_heard(corpus: Path, tmp_path: Path) -> None:
    done = run("train", corpus, "-o", tmp_path / "m.sgmm", "--components", 2)
    assert (done.status, done.err.count("left out"), done.err.count("pip install 'speechgmm[formats]'")) == (1, 4, 4)
    assert "(4 left out)" in done.out
    shutil.rmtree(corpus / "dan")
    run("train", corpus, "-o", tmp_path / "m.sgmm").refused("a.m4a must be", "pip install 'speechgmm[formats]'")
