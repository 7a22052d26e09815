"""The commands export-onnx, export-c, export-kaldi and export-htk: mixtures and scorers for other programs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from speechgmm.cli import options
from speechgmm.cli.output import emit, facts
from speechgmm.errors import IncompatibleModel

if TYPE_CHECKING:
    from speechgmm.interchange import ExportedScorer
    from speechgmm.mixture import GMM

Model = Annotated[str, options.argument("MODEL", "Model or mixture.")]
SomeModel = Annotated[
    str | None,
    options.argument(
        "MODEL", "Model, classifier or mixture; default: the packaged model, of the store if there is one."
    ),
]
Store = Annotated[
    str | None,
    options.option("--store", "STORE", "Export its speakers in place of the background: SQLite file or database URL."),
]
Prefix = Annotated[
    str | None,
    options.option("--prefix", "NAME", "What the names in the header begin with; default: the name of the file."),
]
Graph = Annotated[str, options.output("ONNX", "Graph, such as gmm.onnx.")]
Header = Annotated[str, options.output("HEADER", "C header, such as gmm.h.")]
KaldiFile = Annotated[str, options.output("DUBM", "Kaldi's text, such as final.dubm.")]
HTKFile = Annotated[str, options.output("MMF", "HTK's text, such as gmm.mmf.")]


def export_onnx(
    output: Graph,
    model: SomeModel = None,
    store: Store = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Write a mixture, enrolled speakers or classes as an ONNX graph: from frames to densities, LLRs or posteriors.

    The front end is not in it: its settings stand in the metadata.
    """
    from speechgmm.files import check_writable
    from speechgmm.interchange import write_onnx
    from speechgmm.interchange.onnx_graph import GRAPH_FILE

    check_writable(output, GRAPH_FILE)
    _export(model, output, store, key_file, lambda thing: write_onnx(thing, output), as_json)


def export_c(
    output: Header,
    model: SomeModel = None,
    store: Store = None,
    key_file: options.KeyFile = None,
    prefix: Prefix = None,
    as_json: options.Json = False,
) -> None:
    """Write a mixture, enrolled speakers or classes as one C header: constants, and a scorer in plain C99.

    The front end is not in it.
    """
    from speechgmm.files import check_writable
    from speechgmm.interchange import write_c_header
    from speechgmm.interchange.c_header import HEADER_FILE, prefix_of

    named = options.asked(lambda: prefix_of(output, prefix))
    check_writable(output, HEADER_FILE)
    write = lambda thing: write_c_header(thing, output, prefix=named)  # noqa: E731
    _export(model, output, store, key_file, write, as_json)


def export_kaldi(model: Model, output: KaldiFile, as_json: options.Json = False) -> None:
    """Write the background model as a mixture in Kaldi's text format."""
    from speechgmm.interchange import write_kaldi

    _export_mixture(model, output, "Kaldi", write_kaldi, as_json)


def export_htk(model: Model, output: HTKFile, as_json: options.Json = False) -> None:
    """Write the background model as a mixture in HTK's text format."""
    from speechgmm.interchange import write_htk

    _export_mixture(model, output, "HTK", write_htk, as_json)


def _export(
    model: str | None,
    output: str,
    store: str | None,
    key_file: str | None,
    write: "Callable[[Any], ExportedScorer]",
    as_json: bool,
) -> None:
    """Write a model, or the speakers of its store, and say what was written."""
    damaged = None
    if store is None:
        exported = write(options.model_for(None) if model is None else _loaded(model))
    else:
        from speechgmm.speakers import Scorer

        system = options.model_for(model, store, key_file=key_file)
        with options.open_store(store, key_file, system) as opened:
            scorer = Scorer.of(system, opened)
        damaged = scorer.models.damaged
        exported = write(scorer)
    first = exported.models[0]
    document = {
        "output": output,
        "fingerprint": exported.facts["fingerprint"],
        "outputs": list(exported.outputs),
        "labels": list(exported.labels),
        "dimensions": exported.n_dimensions,
        "components": sum(part.n_components for part in first),
    }
    shown: dict[str, object] = document | {
        "outputs": ", ".join(exported.outputs),
        "labels": len(exported.labels) or "none",
    }
    emit(as_json, document, facts(shown), damaged=damaged)


def _export_mixture(model: str, output: str, toolkit: str, write: "Callable[[GMM, str], None]", as_json: bool) -> None:
    """Write the one mixture of a model, and say what was written."""
    from speechgmm.checks import refuse
    from speechgmm.mixture import GMM
    from speechgmm.mixture.covariance import COVARIANCES

    thing = _loaded(model)
    mixture = thing if isinstance(thing, GMM) else getattr(thing, "ubm", None)
    if not isinstance(mixture, GMM):
        found = "several" if mixture is None else f"{len(mixture.parts)}, an ensemble"
        advice = "Train it with one front end and one number of components: --preset speech --components 64."
        refuse(model, f"hold one mixture for {toolkit}", found, advice, error=IncompatibleModel)
    write(mixture, output)
    kinds = {kind: name for name, kind in COVARIANCES.items()}
    document = {
        "output": output,
        "toolkit": toolkit,
        "components": mixture.n_components,
        "dimensions": mixture.n_dimensions,
        "covariance": kinds.get(type(mixture.covariance), type(mixture.covariance).__name__),
    }
    emit(as_json, document, facts(document))


def _loaded(path: str) -> Any:
    """Read a model, a classifier, or a mixture by itself."""
    from speechgmm.mixture import GMM, Ensemble
    from speechgmm.mixture.covariance import COVARIANCES
    from speechgmm.storage import load, read_header

    alone = {kind.__name__: kind for kind in (GMM, Ensemble)}
    if (kind := alone.get(read_header(path)["$type"])) is not None:
        return load(path, kind, GMM, *COVARIANCES.values())
    return options.load_model_or_classifier(path)
