"""How many attacks does the packaged model accept? Replayed, rebuilt and synthetic voices, beside people's own.

Everybody of a corpus is enrolled, and tested by other recordings. Each attack claims to be one of them:

* replayed, good loudspeaker: each test recording, played and recorded again. The loudspeaker passes 80 Hz to 7.5 kHz,
  the room is small and dull, the microphone near.
* replayed, small loudspeaker: the same through one that passes 400 Hz to 5 kHz and is driven hard, in a larger room
  with more noise.
* rebuilt: of each frame of a test recording only the smooth spectrum is kept, by 30 cepstra, and sound is made anew
  from noise: what a synthesizer would say that had learned the voice by such a spectrum, but not its pitch.
* synthetic: sentences of espeak-ng, whose voices know nothing of the speaker but man or woman, where the corpus tells
  that. They are left out where espeak-ng is not installed.

Rooms and loudspeakers are simulated: filters, a hyperbolic tangent, an echo of noise that decays, and added noise.
Shown are APCER by species and BPCER as ISO/IEC 30107-3 calls them, with 95 % intervals over speakers, at the thresholds
for 1 and 5 % of strangers that `verify` has; then what it costs to accept few attacks.

    python recipes/benchmarks/attacks.py [--data DIR] [--corpora malayalam_msc librispeech_mini] [--speakers 40]
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import signal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from halves import a_store
from recordings import Recordings, written

import speechgmm
from speechgmm.evaluation import Interval, Scores, bona_fide
from speechgmm.evaluation.attacks import AttackErrors, attack_errors
from speechgmm.features import Corpus, Recording, read
from speechgmm.speakers import Scorer, score_corpus

Array = NDArray[np.float64]
RATES = (0.01, 0.05)
SENTENCES = (
    "Please open the account that I have with you and read me the last three entries.",
    "My voice is my password, and nobody else has one that sounds like it.",
    "The quick brown fox jumps over the lazy dog while the others are asleep.",
)
"""What espeak-ng says, so many times for each speaker."""
VOICES = {"M": ("en+m1", "en+m3", "en+m7"), "F": ("en+f1", "en+f2", "en+f5")}
WINDOW, CEPSTRA = 512, 30
"""Samples of a frame at 16 kHz, and how many cepstra of it are kept."""


@dataclass(frozen=True)
class Playback:
    """A loudspeaker, a room and a microphone in it.

    Parameters
    ----------
    band : tuple of float
        What the loudspeaker passes, in Hz.
    drive : float
        How hard: the root mean square of what goes into its hyperbolic tangent.
    reverberation : float
        In so many seconds the echo falls by 60 dB.
    direct : float
        By so many dB the direct sound is stronger than the echo.
    noise : float
        By so many dB speech is stronger than the noise of the room.
    """

    band: tuple[float, float]
    drive: float
    reverberation: float
    direct: float
    noise: float

    def __call__(self, samples: Array, sample_rate: int, rng: np.random.Generator) -> Array:
        """Return what the microphone hears, as loud as the samples."""
        low, high = self.band[0], min(self.band[1], 0.49 * sample_rate)
        x = signal.sosfilt(signal.butter(4, (low, high), "bandpass", fs=sample_rate, output="sos"), samples)
        level = float(np.sqrt(np.mean(x**2))) or 1e-6
        x = np.tanh(self.drive * x / level)
        echo = rng.normal(size=max(2, round(self.reverberation * sample_rate)))
        echo *= 10 ** (-3 * np.arange(len(echo)) / len(echo))
        echo *= 10 ** (-self.direct / 20) / np.sqrt(echo @ echo)
        x = x + signal.fftconvolve(x, np.append(0.0, echo))[: len(x)]
        x *= level / (np.sqrt(np.mean(x**2)) or 1.0)
        return np.asarray(x + rng.normal(size=len(x)) * level * 10 ** (-self.noise / 20))


def rebuilt(samples: Array, sample_rate: int, rng: np.random.Generator) -> Array:
    """Return noise that has the smooth spectrum of each frame of some samples."""
    _, _, frames = signal.stft(samples, sample_rate, nperseg=WINDOW, noverlap=3 * WINDOW // 4)
    cepstra = np.fft.irfft(np.log(np.abs(frames) + 1e-7), axis=0)
    cepstra[CEPSTRA : len(cepstra) - CEPSTRA + 1] = 0.0
    smooth = np.exp(np.fft.rfft(cepstra, axis=0).real)
    _, _, noise = signal.stft(rng.normal(size=len(samples)), sample_rate, nperseg=WINDOW, noverlap=3 * WINDOW // 4)
    noise /= np.sqrt(np.mean(np.abs(noise) ** 2))
    _, x = signal.istft(smooth * noise, sample_rate, nperseg=WINDOW, noverlap=3 * WINDOW // 4)
    return np.asarray(x[: len(samples)])


Attack = Callable[[Array, int, np.random.Generator], Array]
MADE: dict[str, Attack] = {
    "replayed, good loudspeaker": Playback((80.0, 7500.0), 0.3, 0.2, 12.0, 35.0),
    "replayed, small loudspeaker": Playback((400.0, 5000.0), 1.0, 0.5, 3.0, 20.0),
    "rebuilt": rebuilt,
}


def attacked(recording: Recording, species: str, folder: Path) -> Recording:
    """Return an attack that is made of a recording, in a file of its own; the recording's name draws what is random."""
    code = hashlib.sha256(f"{species} {recording.name}".encode())
    path = folder / f"{code.hexdigest()[:16]}.wav"
    sound = read(recording.path)
    x = MADE[species](sound.samples.astype(np.float64), sound.sample_rate, np.random.default_rng(list(code.digest())))
    with written(path) as part:
        sf.write(part, x / max(1.0, float(abs(x).max())), sound.sample_rate, format="WAV", subtype="PCM_16")
    told = dict(recording.columns) | {"attack": species}
    return dataclasses.replace(recording, path=str(path), name=f"{species}/{recording.name}", columns=told)


def spoken(people: Iterable[tuple[str, str]], folder: Path) -> Iterator[Recording]:
    """Yield what espeak-ng says for each (speaker, gender), nothing where it is not installed."""
    if not (program := shutil.which("espeak-ng")):
        return
    for i, (speaker, gender) in enumerate(people):
        voices = VOICES.get(gender.upper(), (*VOICES["M"], *VOICES["F"]))
        for k, text in enumerate(SENTENCES):
            path = folder / f"{speaker}-{k}.wav"
            subprocess.run([program, "-v", voices[(i + k) % len(voices)], "-w", str(path), text], check=True)
            yield Recording(str(path), speaker, f"synthetic/{speaker}/{k}", columns={"attack": "synthetic"})


def measure(
    enrolled: Corpus, tests: Sequence[Recording], folder: Path
) -> tuple[Scores, dict[float, AttackErrors], list[str]]:
    """Return all scores, what becomes of attacks by the rate of strangers that is asked for, and what was left out."""
    genders = {r.speaker: r.columns.get("gender", "") for r in enrolled}
    attacks = [attacked(r, species, folder) for species in MADE for r in tests]
    attacks += spoken(sorted(genders.items()), folder)
    system = speechgmm.default_system()
    with a_store(system) as store:
        speechgmm.enroll(system, store, enrolled)
        plain = [dataclasses.replace(r, columns={**r.columns, "attack": ""}) for r in tests]
        scores = score_corpus(system, store, [*plain, *attacks], keep=["attack"]).scores
        limits = Scorer.of(system, store).limits(0.0)
    assert limits is not None
    found, left_out = {}, list[str]()
    for rate in RATES:
        errors, left_out = attack_errors(scores, limits.threshold(rate, 1).score)
        assert errors is not None
        found[rate] = errors
    return scores, found, left_out


def show(title: str, scores: Scores, found: dict[float, AttackErrors], console: Console) -> None:
    """Print a table for a corpus, and what it costs to accept few attacks."""
    genuine, table = bona_fide(scores), Table(title=title, title_justify="left")
    for name in ("", "presentations", *(f"{100 * rate:g} % of strangers" for rate in found)):
        table.add_column(name, justify="left" if not name else "right")
    first = next(iter(found.values()))
    for i, s in enumerate(first.species):
        shares = [told(e.species[i].apcer, e.species[i].interval) for e in found.values()]
        table.add_row(f"APCER: {s.species}", str(s.presentations), *shares)
    table.add_row("BPCER", str(first.bona_fide), *(told(e.bpcer, e.bpcer_interval) for e in found.values()))
    impostors = genuine.score[genuine.target == 0]
    shares = [told(float((impostors >= e.threshold).mean()), None) for e in found.values()]
    table.add_row("other people accepted", str(len(impostors)), *shares)
    console.print(table)
    points = ", ".join(f"{t.name} {100 * t.bpcer:.1f} %" for t in first.trade_offs)
    console.print(f"{points}; misses where as few of other people's trials are accepted: {_misses(genuine)}\n")


def _misses(genuine: Scores) -> str:
    """Return the share of targets that are missed where 10, 5 and 1 % of other people are accepted, in words."""
    own, others = (genuine.score[genuine.target == label] for label in (1, 0))
    limits = (np.quantile(others, 1 - 1 / one_in, method="higher") for one_in in (10, 20, 100))
    return ", ".join(f"{100 * float((own < limit).mean()):.1f} %" for limit in limits)


def told(share: float, interval: Interval | None) -> str:
    """Return a share in percent with its interval."""
    ends = f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})" if interval else ""
    return f"{100 * share:.1f} %{ends}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure some corpora."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--corpora", nargs="+", default=["malayalam_msc", "librispeech_mini"])
    parser.add_argument("--speakers", type=int)
    options = parser.parse_args(arguments)
    console = Console(width=130)
    for name in options.corpora:
        with tempfile.TemporaryDirectory() as folder:
            every = Recordings(options.data, Path(folder))
            enrolled = every.of(name, "enroll")
            people = enrolled.speakers[: options.speakers]
            split = (enrolled.where(speaker=people), every.of(name, "test").where(speaker=people).recordings)
            scores, found, left_out = measure(*split, Path(folder))
            show(f"{name}, {len(people)} enrolled", scores, found, console)
            console.print(*left_out, sep="\n")


if __name__ == "__main__":
    main()
