"""Whole files of every kind, small ones, which are then spoiled: models, sounds, corpora, tables, archives, exports."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from speechgmm import SpeakerStore, enroll, storage, train_classifier, train_system
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.evaluation import Scores, Trials, calibrate_scores, write_scores, write_trials
from speechgmm.features import MFCC, Corpus, Recording
from speechgmm.interchange import write_htk, write_kaldi
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full, Spherical, Tied
from speechgmm.speakers import SpeakerNote, System

DIMENSIONS = 3
RATE = 8000
CLOSED, KEY = "closed", bytes(range(32))
"""What the name of an encrypted store ends in, and its key."""
_FIXED = np.random.default_rng(20).normal(size=(60, DIMENSIONS))


def write_seeds(folder: Path) -> dict[str, list[Path]]:
    """Write the seeds of each kind to a folder of its name; return their paths by kind."""
    for kind, make in KINDS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        make(folder / kind)
    return {kind: sorted(p for p in (folder / kind).iterdir() if p.is_file()) for kind in KINDS}


def _people(folder: Path, n: int, recordings: int) -> Corpus:
    """Write features of so many people, and return them as a corpus."""
    rng = np.random.default_rng(0)
    found = []
    for who in range(n):
        own = rng.normal(0, 1.5, DIMENSIONS)
        for i in range(recordings):
            x = own + rng.normal(size=(150, DIMENSIONS)) * rng.choice([0.5, 1.0], (150, 1))
            path = folder / f"{who}-{i}.npy"
            np.save(path, x.astype(np.float32))
            columns = {"label": "ab"[who % 2]}
            found.append(Recording(str(path), f"p{who:02d}", path.name, f"s{i}", columns=columns))
    return Corpus(tuple(found), "made")


def _models(folder: Path) -> None:
    """Mixtures of each covariance, an ensemble, a speaker system with and without calibration, classifiers."""
    means = _FIXED[:2]
    eye = np.eye(DIMENSIONS)
    covariances = [Diagonal(np.ones((2, 3))), Spherical(np.ones(2)), Full(np.stack([eye, eye])), Tied(eye)]
    mixtures = [GMM(np.array([0.4, 0.6]), means, c) for c in covariances]
    for mixture in mixtures:
        storage.save(mixture, folder / f"mixture-{type(mixture.covariance).__name__}.sgmm")
    storage.save(Ensemble(tuple(mixtures[:1] * 2)), folder / "ensemble.sgmm")
    frontend = MFCC(sample_rate=RATE, n_mfcc=3, n_mels=8, deltas=0)
    plain = GMM(
        np.array([0.4, 0.6]), np.ones((2, frontend.n_dimensions)), Diagonal(np.ones((2, frontend.n_dimensions)))
    )
    storage.save(System(frontend=frontend, ubm=plain), folder / "system-sound.sgmm")
    with tempfile.TemporaryDirectory() as made:
        corpus = _people(Path(made), 20, 4)  # fewer give no calibration
        storage.save(train_system(corpus, n_components=2, n_threads=1).system, folder / "system-features.sgmm")
        labels = corpus.column("label")
        for backend in ("gmm", "svm"):
            how: dict[str, Any] = {
                "settings": MixtureSettings(n_components=2, relevance=4.0),
                "backend": backend,
                "n_threads": 1,
            }
            storage.save(train_classifier(corpus, labels, **how).classifier, folder / f"classifier-{backend}.sgmm")


def _exports(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        corpus = _people(Path(made), 10, 4)
        system = train_system(corpus, n_components=2, n_threads=1).system
        with SpeakerStore(f"{made}/store.db", system, create=True) as store:
            enroll(system, store, Corpus(corpus.recordings[:3], "some"))
            storage.save(store.export(), folder / "export.sgmm")


def _stores(folder: Path) -> None:
    """Stores of three people, one of them encrypted by `KEY`, with a note."""
    with tempfile.TemporaryDirectory() as made:
        corpus = _people(Path(made), 10, 2)
        system = train_system(corpus, n_components=2, n_threads=1).system
        for name, key in (("plain", None), (CLOSED, KEY)):
            with SpeakerStore(folder / f"{name}.db", system, create=True, key=key) as store:
                enroll(system, store, Corpus(corpus.recordings[:6], "some"))
                store.annotate("p00", SpeakerNote("agreed", "by post", "2030-01-31"))


def _calibrations(folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [(f"p{a}", f"t{b}-{i}", f"p{b}") for a in range(8) for b in range(8) for i in range(2)]
    speaker, test, owner = (list(column) for column in zip(*rows, strict=True))
    target = [int(s == o) for s, o in zip(speaker, owner, strict=True)]
    scores = Scores(speaker, test, rng.normal(size=len(rows)) + 2.0 * np.array(target), target, test_speaker=owner)
    storage.save(calibrate_scores(scores), folder / "calibration.sgmm")


def _mixtures(folder: Path) -> None:
    """Mixtures of diagonal and full covariances in the text of Kaldi and of HTK."""
    matrices = np.eye(DIMENSIONS) + 0.1 * np.ones((2, DIMENSIONS, DIMENSIONS))
    for covariance in (Diagonal(np.ones((2, DIMENSIONS))), Full(matrices)):
        mixture, kind = GMM(np.array([0.4, 0.6]), _FIXED[:2], covariance), type(covariance).__name__
        write_kaldi(mixture, folder / f"{kind}.dubm")
        write_htk(mixture, folder / f"{kind}.mmf")


def _audio(folder: Path) -> None:
    """A quarter of a second in many formats, and two channels of some."""
    t = np.arange(RATE // 4) / RATE
    x = 0.3 * np.sin(2 * np.pi * 300 * t) * np.sin(2 * np.pi * 5 * t)
    kinds = {"wav": "PCM_16", "float.wav": "FLOAT", "adpcm.wav": "IMA_ADPCM", "gsm.wav": "GSM610", "flac": "PCM_16"}
    kinds |= {"vorbis.ogg": "VORBIS", "opus.ogg": "OPUS", "mp3": "MPEG_LAYER_III", "aiff": "PCM_16", "au": "ULAW"}
    kinds |= {"caf": "PCM_16", "alac.caf": "ALAC_16", "w64": "PCM_16", "rf64": "PCM_24", "voc": "PCM_16"}
    forms = {"float.wav": "WAV", "adpcm.wav": "WAV", "gsm.wav": "WAV", "vorbis.ogg": "OGG", "opus.ogg": "OGG"}
    forms |= {"alac.caf": "CAF"}
    for name, subtype in kinds.items():
        sf.write(folder / f"sound.{name}", x, RATE, format=forms.get(name, name.upper()), subtype=subtype)
    for name in ("wav", "flac"):
        sf.write(folder / f"stereo.{name}", np.stack([x, -x], axis=1), RATE)
    (folder / "headerless.raw").write_bytes((x * 32767).astype("<i2").tobytes())
    (folder / "sphere.sph").write_bytes(_sphere((x * 32767).astype("<i2")))
    for name, (codec, rate) in FFMPEG.items():
        _with_ffmpeg(folder / f"sound.{name}", codec, rate, x)


FFMPEG = dict.fromkeys(("m4a", "aac", "mp4", "3gp"), ("aac", RATE))
FFMPEG |= {"mka": ("libmp3lame", RATE), "webm": ("libopus", 48000), "wma": ("wmav2", 44100), "mov": ("pcm_s16le", RATE)}
FFMPEG |= {"ac3": ("ac3", 48000), "flv": ("aac", 44100), "avi": ("pcm_s16le", RATE), "tta": ("tta", RATE)}
FFMPEG |= {"wv": ("wavpack", RATE)}
"""Formats that PyAV writes: endings, codecs and rates."""


def _sphere(samples: np.ndarray[Any, Any]) -> bytes:
    told = f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_n_bytes -i 2\nchannel_count -i 1\n"
    told += f"sample_byte_format -s2 01\nsample_rate -i {RATE}\nsample_coding -s3 pcm\nend_head\n"
    return told.encode().ljust(1024) + samples.tobytes()


def _with_ffmpeg(path: Path, codec: str, rate: int, x: np.ndarray[Any, Any]) -> None:
    """Write sound through PyAV where it can; without it, or without this codec, there is no such seed."""
    try:
        import av

        with av.open(str(path), "w") as container:
            out = container.add_stream(codec, rate=rate)
            out.layout = "mono"
            out.codec_context.open()
            kind = out.codec_context.format.name
            samples = x.astype(np.float32) if kind.startswith("flt") else (x * 32767).astype(np.int16)
            if kind.startswith("u8"):
                samples = (128 + 100 * x).astype(np.uint8)
            frame = av.AudioFrame.from_ndarray(samples[None], format=kind, layout="mono")
            frame.sample_rate = rate
            fifo = av.AudioFifo()
            fifo.write(frame)
            size = out.codec_context.frame_size or 1024
            while part := fifo.read(size, partial=True):
                container.mux(out.encode(part))
            container.mux(out.encode(None))
    except (ImportError, OSError, ValueError):
        path.unlink(missing_ok=True)


def _manifests(folder: Path) -> None:
    """Tables, the files of a Kaldi directory, names of a folder's files, manifests of lhotse."""
    rows = [["path", "speaker", "session", "start", "end", "channel", "split"]]
    rows += [[f"a/{i}.wav", f"p{i % 3}", f"s{i}", "0.5", "2.25", "0", "test"] for i in range(6)]
    for name, mark in {"table.csv": ",", "semicolons.csv": ";", "table.tsv": "\t"}.items():
        (folder / name).write_text("".join(mark.join(row) + "\n" for row in rows))
    (folder / "quoted.csv").write_text('path,speaker\n"a, b.wav","O\'Neil ""x"""\nc.wav,Ren\u00e9\n')
    for name, text in KALDI.items():
        (folder / f"kaldi-{name}").write_text(text)
    (folder / "names.txt").write_text("ann/s1/1.wav\nann/s1/2.flac\nbob/1.wav\nid10001/1zcIwhmdeo4/00001.wav\n")
    lines = "".join(json.dumps(cut) + "\n" for cut in _cuts())
    (folder / "cuts.jsonl").write_text(lines)
    (folder / "cuts.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (folder / "supervisions.jsonl").write_text(SUPERVISIONS)
    (folder / "recordings.jsonl").write_text(RECORDINGS)


def _recording(i: int) -> dict[str, Any]:
    sources = [{"type": "file", "channels": [0, 1], "source": f"a/{i}.wav"}]
    return {"id": f"r{i}", "sources": sources, "sampling_rate": RATE, "num_samples": 80000, "duration": 10.0}


def _supervision(i: int) -> dict[str, Any]:
    told = {"id": f"u{i}", "recording_id": f"r{i}", "start": 0.5, "duration": 2.0, "channel": 0, "speaker": f"p{i}"}
    return {**told, "gender": "f", "custom": {"session": f"s{i}", "split": "test"}}


def _cuts() -> list[dict[str, Any]]:
    told = {"start": 1.0, "duration": 3.0, "channel": 0, "type": "MonoCut"}
    return [{"id": f"c{i}", **told, "supervisions": [_supervision(i)], "recording": _recording(i)} for i in range(3)]


KALDI = {
    "wav.scp": "r1 a/1.wav\nr2 a/2.wav\n",
    "utt2spk": "u1 ann\nu2 bob\nu3 bob\n",
    "segments": "u1 r1 0.5 2.0\nu2 r1 2.0 3.5\nu3 r2 0.0 -1\n",
}
"""The files of a Kaldi directory."""
SUPERVISIONS, RECORDINGS = ("".join(json.dumps(f(i)) + "\n" for i in range(3)) for f in (_supervision, _recording))
"""The files of a folder of lhotse."""


def _trials(folder: Path) -> None:
    trials = Trials(["ann", "bob", "ann", "René"], ["a.wav", "a.wav", "b/c.wav", "b/c.wav"], [1, 0, 0, 1])
    write_trials(trials, folder / "voxceleb.txt")
    write_trials(trials, folder / "kaldi.txt", style="kaldi")


def _scores(folder: Path) -> None:
    n = 6
    names = [f"p{i % 3}" for i in range(n)], [f"t{i // 3}" for i in range(n)]
    numbers = np.linspace(-2, 2, n), [i % 2 for i in range(n)]
    more: dict[str, Any] = {"test_speaker": [f"p{i % 2}" for i in range(n)], "session": [f"s{i}" for i in range(n)]}
    more |= {"enroll_seconds": np.full(n, 10.0), "test_seconds": np.full(n, 2.5)}
    scores = Scores(*names, *numbers, **more, conditions={"device": ["phone", "laptop"] * 3})
    write_scores(scores, folder / "scores.tsv")
    write_scores(scores, folder / "scores.npz")
    text = (folder / "scores.tsv").read_text()
    (folder / "scores.csv").write_text(text.replace("\t", ","))
    (folder / "decimal.csv").write_text(text.replace("\t", ";").replace(".", ","))
    (folder / "kaldi.txt").write_text("ann a.wav 1.5\nbob a.wav -2e-1\n")
    (folder / "failed.tsv").write_text("speaker\ttest\tscore\tfailed\nann\ta.wav\t1\t\nbob\ta.wav\t\ttest\n")


def matrix_bytes(x: np.ndarray[Any, Any], kind: bytes = b"FM ") -> bytes:
    """Return a matrix as a Kaldi archive holds it: of floats, of doubles, or compressed (all entries alike)."""
    if kind in (b"FM ", b"DM "):
        head = struct.pack("<bibi", 4, x.shape[0], 4, x.shape[1])
        return b"\0B" + kind + head + x.astype("<f4" if kind == b"FM " else "<f8").tobytes()
    head = b"\0B" + kind + struct.pack("<ffii", float(x.min()), float(np.ptp(x)), *x.shape)
    columns = np.tile(np.array([0, 100, 200, 65535], "<u2"), x.shape[1]).tobytes() if kind == b"CM " else b""
    return head + columns + bytes(range(x.size)) * (2 if kind == b"CM2 " else 1)


def archive_bytes(kind: bytes = b"FM ") -> bytes:
    """Return an archive of three matrices."""
    return b"".join(f"u{i} ".encode() + matrix_bytes(_FIXED[10 * i : 10 * i + 10], kind) for i in range(3))


def _archives(folder: Path) -> None:
    """Kaldi archives, lists of places in one, and `.npy` files."""
    for kind in (b"FM ", b"DM ", b"CM ", b"CM2 ", b"CM3 "):
        (folder / f"{kind.decode().strip()}.ark").write_bytes(archive_bytes(kind))
    rows = "\n".join(" ".join(f"{v:.3f}" for v in row) for row in _FIXED[:4])
    (folder / "text.ark").write_text(f"u1  [\n{rows} ]\nu2  [\n{rows} ]\n")
    step = len(archive_bytes()) // 3
    places = [f"u{i} feats.ark:{step * i + 3}{r}\n" for i, r in enumerate(("", "[0:4]", "[0:4,1:2]"))]
    (folder / "feats.scp").write_text("".join(places))
    for name, x in {"float": _FIXED.astype("f4"), "double": _FIXED, "int": (9 * _FIXED).astype("i4")}.items():
        packed = io.BytesIO()
        np.save(packed, x)
        (folder / f"{name}.npy").write_bytes(packed.getvalue())


KINDS: dict[str, Callable[[Path], None]] = {
    "models": _models,
    "audio": _audio,
    "manifests": _manifests,
    "trials": _trials,
    "scores": _scores,
    "archives": _archives,
    "exports": _exports,
    "stores": _stores,
    "calibrations": _calibrations,
    "mixtures": _mixtures,
}
"""What writes the seeds of each kind; a kind of file with a reader of its own has a line here and in `READERS`."""
