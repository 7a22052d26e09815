"""The command train: a model of background speakers."""

from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.info import emit_training
from speechgmm.cli.output import progress
from speechgmm.files import check_writable
from speechgmm.storage import kind_of

Components = Annotated[int, typer.Option(min=1, help="Gaussians of the background model.")]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the background counts for when speakers adapt.")]
SampleRate = Annotated[int | None, typer.Option(metavar="HZ", help="Default: the lowest rate in the corpus.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed and data give the same model.")]


def train(
    corpus: options.Corpus,
    output: options.ModelFile,
    where: options.Where = None,
    components: Components = 256,
    relevance: Relevance = 8.0,
    sample_rate: SampleRate = None,
    seed: Seed = 0,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on background speakers: people who will not be enrolled or tested."""
    from speechgmm.features import MFCC
    from speechgmm.speakers import System, train_system

    check_writable(output, kind_of(System))
    with progress() as report:
        training = train_system(
            options.load_corpus(corpus, where),
            n_components=components,
            relevance=relevance,
            frontend=None if sample_rate is None else MFCC(sample_rate=sample_rate),
            seed=seed,
            n_threads=threads,
            on_progress=report,
        )
    emit_training(as_json, training, training.system, output)
