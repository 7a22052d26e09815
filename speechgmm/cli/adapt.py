"""The command adapt: a model moved to one's own microphones by recordings of whoever speaks."""

from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.info import emit_training
from speechgmm.cli.output import progress
from speechgmm.files import check_writable
from speechgmm.storage import kind_of

Places = Annotated[
    list[str],
    typer.Argument(
        metavar="[MODEL] RECORDINGS",
        help="Model to begin with; default: the packaged one. Folder, CSV with the column path, or another corpus.",
        show_default=False,
    ),
]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the model counts for in each component.")]


def adapt(
    places: Places,
    output: options.ModelFile,
    where: options.Where = None,
    features: options.Features = None,
    relevance: Relevance = 100.0,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Adapt a model to your own microphones, by recordings of whoever speaks: several people, best other than enrolled.

    The result is another model: speakers are enrolled again with it.
    """
    from speechgmm.speakers import System, adapt_system

    if len(places) > 2:
        options.usage("give one MODEL and one folder or list of RECORDINGS, or RECORDINGS alone")
    check_writable(output, kind_of(System))
    recordings = options.load_corpus(places[-1], where, label=None, features=features)
    system = options.model_for(places[0] if len(places) == 2 else None, sounds=recordings)
    with progress() as report:
        done = adapt_system(system, recordings, relevance=relevance, n_threads=threads, on_progress=report)
    done.system.save(output)
    emit_training(as_json, done, done.system, output)
