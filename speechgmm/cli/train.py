"""The command train: a model of background speakers."""

from __future__ import annotations

from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.info import model_facts
from speechgmm.cli.output import emit, facts, progress

SampleRate = Annotated[int | None, typer.Option(metavar="HZ", help="Default: the lowest rate in the corpus.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed and data give the same model.")]


def train(
    corpus: options.Corpus,
    output: options.ModelFile,
    where: options.Where = None,
    components: Annotated[int, options.components("of the background model")] = 256,
    relevance: Annotated[float, options.relevance("counts for when speakers adapt")] = 4.0,
    sample_rate: SampleRate = None,
    seed: Seed = 0,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on background speakers: people who will not be enrolled or tested."""
    from speechgmm.features import MFCC
    from speechgmm.speakers import train_system

    options.check_output(output)
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
    training.system.save(output)
    summary, warnings = training.system.summary(), list(training.warnings)
    document = {"model": output, **summary, "warnings": warnings}
    shown = facts({"model": output} | model_facts(summary))
    emit(as_json, document, shown, warnings=warnings, skipped=training.skipped)
