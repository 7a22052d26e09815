"""Make the embedded corpus: synthetic voices, two sessions each, every session with its own channel and noise.

The voices are listed in ``voices.csv`` and the texts in ``sentences.csv``, both next to this script. Run
``python data/make_data.py`` to write ``<speaker>/<session>_<n>.flac`` and ``manifest.csv``. It needs the
Debian packages flite and espeak-ng. The same versions of these programs give the same samples again.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy import signal

HERE = Path(__file__).resolve().parent
RATE = 16_000
SEED = 20_260_101
FILES = {"s1": 2, "s2": 3}  # files per session
SENTENCES = {"s1": 2, "s2": 1}  # sentences per file
TARGET_SPLITS = {"s1": "enroll", "s2": "test"}
ESPEAK_PROBE = ["espeak-ng", "--stdout", "Hello.", "-v"]
COLUMNS = ["path", "speaker", "session", "split", "gender", "text", "duration_s"]


def read_rows(name: str) -> list[dict[str, str]]:
    """Read one of the tables next to this script as a list of dictionaries."""
    with (HERE / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def run(command: list[str]) -> bytes:
    """Run a synthesizer and return what it printed, or stop with its own message."""
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def check_engines(voices: list[dict[str, str]]) -> None:
    """Stop with a clear message when a synthesizer or a voice variant of espeak-ng is missing."""
    for engine in sorted({voice["engine"] for voice in voices}):
        if shutil.which(engine) is None:
            raise SystemExit(f"{engine} is not on the PATH; install the Debian package {engine} first")
    for voice in (v["voice"] for v in voices if v["engine"] == "espeak-ng"):
        with_variant, without = (run([*ESPEAK_PROBE, name]) for name in (voice, voice.split("+")[0]))
        if with_variant == without:  # espeak-ng ignores an unknown variant silently
            raise SystemExit(f"espeak-ng does not apply the variant of the voice {voice}")


def synthesize(voice: dict[str, str], text: str, wav: Path) -> np.ndarray:
    """Speak a text with one voice.

    Parameters
    ----------
    voice : dict
        A row of ``voices.csv``; flite voices have no pitch and no speed.
    text : str
        What to say.
    wav : Path
        A scratch file for the synthesizer to write.

    Returns
    -------
    ndarray
        The samples at 16 kHz, without leading and trailing silence, at an RMS of one.
    """
    if voice["engine"] == "flite":
        command = ["flite", "-voice", voice["voice"], "-t", text, "-o", str(wav)]
    else:
        settings = ["-v", voice["voice"], "-p", voice["pitch"], "-s", voice["speed"]]
        command = ["espeak-ng", *settings, "-w", str(wav), text]
    run(command)
    samples, rate = sf.read(wav)
    common = np.gcd(rate, RATE)
    samples = signal.resample_poly(samples, RATE // common, rate // common)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    return samples / np.sqrt(np.mean(samples**2))


def make_noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Mix pink noise, a little white noise and mains hum in random proportions, at an RMS of one."""
    white = rng.standard_normal(n_samples)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    frequency = np.maximum(np.fft.rfftfreq(n_samples, 1 / RATE), 20.0)
    pink = np.fft.irfft(spectrum / np.sqrt(frequency), n_samples)
    time = np.arange(n_samples) / RATE
    mains = rng.choice([50.0, 60.0])
    hum = sum(np.sin(2 * np.pi * (k * mains * time + rng.random())) / k for k in (1, 2, 3, 5))
    parts = [part / part.std() for part in (pink, white, hum)]
    weights = np.array([1.0, rng.uniform(0.02, 0.12), rng.uniform(0.1, 0.6)])
    noise = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return noise / noise.std()


def add_room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a short room reverberation, 8 to 14 dB below the direct sound."""
    decay = rng.uniform(0.15, 0.35)  # seconds to fall by 60 dB
    time = np.arange(int(decay * RATE)) / RATE
    tail = rng.standard_normal(time.size) * 10 ** (-3 * time / decay)
    tail[: int(0.003 * RATE)] = 0.0
    tail *= 10 ** (-rng.uniform(8, 14) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return signal.fftconvolve(samples, tail)[: samples.size]


def add_channel(samples: np.ndarray, session: str, rng: np.random.Generator) -> np.ndarray:
    """Color the signal like a microphone: a band-pass, a spectral tilt and one broad resonance.

    Session one is a wide-band desk microphone, session two a narrower hand-held one.
    """
    low, high = (rng.uniform(50, 90), rng.uniform(6800, 7600))
    tilt = rng.uniform(-0.25, 0.1)
    if session == "s2":
        low, high = (rng.uniform(100, 180), rng.uniform(5400, 6600))
        tilt = rng.uniform(-0.1, 0.35)
    band = signal.butter(2, [low, high], "bandpass", fs=RATE, output="sos")
    samples = signal.lfilter([1.0, tilt], [1.0], signal.sosfilt(band, samples))
    peak = signal.iirpeak(rng.uniform(800, 3500), rng.uniform(0.8, 1.6), fs=RATE)
    gain = 10 ** (rng.uniform(-3, 5) / 20) - 1
    return samples + gain * signal.lfilter(*peak, samples)


def record_session(speech: list[np.ndarray], session: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Record the utterances of one session through one room, one noise and one channel.

    Parameters
    ----------
    speech : list of ndarray
        The clean utterances at an RMS of one.
    session : str
        ``s1`` or ``s2``.
    rng : numpy.random.Generator
        The source of this session's room, noise, channel and level.

    Returns
    -------
    list of ndarray
        One recording per utterance, with short pauses before and after.
    """
    padded = [np.pad(x, rng.integers(RATE // 8, RATE // 4, 2)) for x in speech]
    joined = add_room(np.concatenate(padded), rng)
    snr_db = rng.uniform(26, 30) if session == "s1" else rng.uniform(22, 27)
    joined = joined + 10 ** (-snr_db / 20) * make_noise(joined.size, rng)
    joined = add_channel(joined, session, rng)
    joined *= 10 ** (rng.uniform(-42, -38) / 20) / joined.std()
    return np.split(joined, np.cumsum([x.size for x in padded])[:-1])


def make_session(
    voice: dict[str, str], index: int, session: str, sentences: list[str], out: Path
) -> list[dict[str, object]]:
    """Write the files of one session of one voice and return their rows of the manifest."""
    per_file = SENTENCES[session]
    first = index * FILES[session] * per_file
    starts = [first + per_file * n for n in range(FILES[session])]
    texts = [" ".join(sentences[(s + k) % len(sentences)] for k in range(per_file)) for s in starts]
    with tempfile.TemporaryDirectory() as scratch:
        speech = [synthesize(voice, text, Path(scratch) / "speech.wav") for text in texts]
    rng = np.random.default_rng([SEED, index, int(session[1:])])
    rows: list[dict[str, object]] = []
    for n, samples in enumerate(record_session(speech, session, rng), start=1):
        path = Path(voice["speaker"]) / f"{session}_{n}.flac"
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        sf.write(out / path, samples, RATE, subtype="PCM_16")
        split = "ubm" if voice["role"] == "background" else TARGET_SPLITS[session]
        duration = f"{samples.size / RATE:.3f}"
        values = (path.as_posix(), voice["speaker"], session, split, voice["gender"], texts[n - 1], duration)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def main() -> None:
    """Make the whole corpus and its manifest."""
    parser = argparse.ArgumentParser(description="Make the embedded corpus with flite and espeak-ng.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write (default: this script's)")
    out = parser.parse_args().out
    voices, table = read_rows("voices.csv"), read_rows("sentences.csv")
    check_engines(voices)
    rows = []
    for index, voice in enumerate(voices):
        for session in FILES:
            sentences = [row["text"] for row in table if row["session"] == session]
            rows += make_session(voice, index, session, sentences, out)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"wrote {len(rows)} files of {len(voices)} voices and manifest.csv to {out}")


if __name__ == "__main__":
    main()
