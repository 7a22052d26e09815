"""The command train: a model of background speakers."""

import enum
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechgmm.cli import options
from speechgmm.cli.info import emit_training
from speechgmm.cli.output import complain, progress
from speechgmm.files import check_writable, passes_on
from speechgmm.storage import kind_of

if TYPE_CHECKING:
    from speechgmm.features import Corpus, FrontEnd


class Level(enum.StrEnum):
    """How much time a model may take for how well it tells speakers apart."""

    DEFAULT = "default"
    BEST = "best"


Quality = Annotated[Level, typer.Option(help="best: two to three times the work, also of scoring, and fewer errors.")]
Components = Annotated[
    list[int] | None,
    typer.Option(min=1, help="Gaussians of a mixture; give it again for more mixtures.", show_default="by quality"),
]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the background counts for when speakers adapt.")]
Preset = Annotated[options.PresetName | None, typer.Option(help=options.PRESET, show_default="both; none for features")]
SampleRate = Annotated[int | None, typer.Option(metavar="HZ", help="Default: the lowest rate in the corpus.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where the same training was ended, by whatever; if it was not, start.")
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed and data give the same model.")]


def train(
    corpus: options.Corpus,
    output: options.ModelFile,
    where: options.Where = None,
    features: options.Features = None,
    hop_length: options.HopLength = None,
    quality: Quality = Level.DEFAULT,
    preset: Preset = None,
    components: Components = None,
    relevance: Relevance = 8.0,
    sample_rate: SampleRate = None,
    seed: Seed = 0,
    resume: Resume = False,
    max_failures: options.MaxFailures = None,
    threads: options.Threads = None,
    dask: options.Dask = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on background speakers: people who will not be enrolled or tested."""
    from speechgmm.speakers import remove_checkpoint, train_system

    size = _size(quality, components)
    checkpoint = _checkpoint(output, resume)
    recordings = _background(corpus, where, features)
    frontend = _frontend(recordings, preset, sample_rate, options.features_frontend(recordings, features, hop_length))
    with options.workers(threads, dask) as n_threads, progress() as report:
        training = train_system(
            recordings,
            frontend=frontend,
            **size,
            relevance=relevance,
            checkpoint=checkpoint,
            resume=resume,
            max_failures=max_failures,
            seed=seed,
            n_threads=n_threads,
            on_progress=report,
        )
    training.system.save(output)
    remove_checkpoint(checkpoint)
    emit_training(as_json, training, training.system, output)


def _size(quality: Level, components: list[int] | None) -> dict[str, Any]:
    """Return how large the mixtures are to be, for `train_system`."""
    if quality is Level.BEST and components:
        options.usage("give --quality best or --components, not both")
    return {"n_components": components or None, "quality": quality.value}


def _background(corpus: str, where: list[str] | None, features: str | None) -> "Corpus":
    """Read the corpus, and say who of it is in another of its splits too."""
    recordings = options.load_corpus(corpus, where, features=features)
    options.say_in_other_splits(recordings)
    return recordings


def _checkpoint(output: str, resume: bool) -> str | None:
    """Check where the model goes, and return the folder beside it that keeps what is done, None for a device.

    Say whether there is anything to go on with.
    """
    from speechgmm.speakers import System

    check_writable(output, kind_of(System))
    if passes_on(output):
        if resume:
            options.usage("--resume takes a file as MODEL, with a folder of checkpoints beside it")
        return None
    folder = f"{os.path.realpath(output) if os.path.islink(output) else output}.checkpoint"
    if resume:
        complain(f"going on with {folder}" if os.path.isdir(folder) else f"no {folder} to go on with: from the start")
    return folder


def _frontend(
    recordings: "Corpus", name: str | None, sample_rate: int | None, own: "FrontEnd | None"
) -> "FrontEnd | None":
    """Return the front end that was asked for; where nothing was, that of features, None of sound."""
    from speechgmm.features import PRESETS, preset, preset_for

    if sample_rate is None:
        return own if name is None else preset_for(recordings, name)
    return PRESETS["both"](sample_rate) if name is None else preset(name, sample_rate)
