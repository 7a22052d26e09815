"""Options that several commands share, and what is read from them."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer

from speechgmm.checks import number_of, refuse
from speechgmm.cli.output import complain, say_waiting
from speechgmm.errors import DamagedSessionWarning, IncompatibleModel, InvalidInput

if TYPE_CHECKING:
    from speechgmm.classification import AudioClassifier
    from speechgmm.evaluation import Rule, Scores
    from speechgmm.features import Corpus as Recordings
    from speechgmm.features import OwnFeatures, Sound
    from speechgmm.parallel import Threads as Work
    from speechgmm.speakers import SpeakerStore, System

T = TypeVar("T")

_NAMED = 20
"""How many missing files are named before the work begins."""

PresetName = Literal["speech", "linear", "both", "word", "sound", "kaldi", "htk"]
"""Front ends by name."""


def argument(metavar: str, text: str) -> Any:
    """Return an argument that is shown without a default."""
    return typer.Argument(metavar=metavar, help=text, show_default=False)


def option(name: str, metavar: str, text: str) -> Any:
    """Return an option that takes a text."""
    return typer.Option(name, metavar=metavar, help=text)


def output(metavar: str, text: str) -> Any:
    """Return the option of the file to write."""
    return typer.Option("--output", "-o", metavar=metavar, help=text)


def corpus(labels: str) -> str:
    """Return what a corpus may be."""
    return (
        f"CSV with the columns path,{labels}; folder with one subfolder for each {labels}; Kaldi directory; folders of "
        "VoxCeleb or LibriSpeech; or manifest of lhotse."
    )


Corpus = Annotated[str, argument("CORPUS", corpus("speaker"))]
Manifest = Annotated[str | None, option("--manifest", "CORPUS", corpus("speaker"))]
Where = Annotated[
    list[str] | None, option("--where", "COLUMN=VALUE", "Keep these rows; repeat: all columns, any value of one.")
]
FILES = "Recordings; or features, in .npy files or as names in --features, for a model that was trained on such."
Files = Annotated[list[str], argument("FILE", FILES)]
SomeFiles = Annotated[list[str] | None, argument("FILE", FILES)]
Features = Annotated[
    str | None,
    option(
        "--features", "FEATS", "Features under the recordings' names: Kaldi's .scp or .ark, or a folder of .npy files."
    ),
]
HopLength = Annotated[
    float | None,
    typer.Option(
        "--hop-length",
        metavar="SECONDS",
        help="Of features: from frame to frame; default: as frame_shift beside --features says, else 0.01.",
        show_default=False,
    ),
]
Model = Annotated[str | None, option("--model", "MODEL", "Model file; default: the packaged one of the store.")]
ModelFile = Annotated[str, output("MODEL", "Model file.")]
PRESET = "Front end: for speech (mel or linear bands, or both), words said alone, any sound; as Kaldi or HTK have it."
Preset = Annotated[PresetName | None, typer.Option("--preset", help=PRESET, show_default="speech; none for features")]
Store = Annotated[str, option("--store", "STORE", "Enrolled speakers: SQLite file or database URL.")]
KeyFile = Annotated[
    str | None,
    typer.Option(
        "--key-file",
        metavar="KEY",
        envvar="SPEECHGMM_KEY_FILE",
        help="Of an encrypted store: file of 32 random bytes or more. A new store is encrypted by it.",
    ),
]
SCORES = "Table with the columns speaker, test, score and target; Kaldi's lines 'enroll test score'; or arrays (.npz)."
ScoresFile = Annotated[str, argument("SCORES", SCORES)]
TRIALS = "Which scores count, and their labels: lines '1|0 enroll test' or 'enroll test target|nontarget'."
TrialsFile = Annotated[str | None, option("--trials", "TRIALS", TRIALS)]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Default: all cores. Results do not depend on it.")
]
MaxFailures = Annotated[
    int | None,
    typer.Option(
        "--max-failures", min=0, metavar="N", help="Stop once more recordings cannot be used. Default: never."
    ),
]
Dask = Annotated[
    str | None,
    option("--dask", "ADDRESS", "Instead of --threads: work on the Dask cluster whose scheduler is there (host:port)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Top = Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many candidates to show.")]
Far = Annotated[
    float | None,
    option(
        "--far", "RATE", "Share of strangers accepted, above 0 and below 1; default 0.05. Assured from 5 enrolled on."
    ),
]
Prior = Annotated[
    float | None,
    option("--prior", "P", "Probability that somebody enrolled speaks, above 0 and below 1; costs decide."),
]
CostMiss = Annotated[float | None, option("--cost-miss", "COST", "With --prior: of a miss, above 0; default 1.")]
CostFa = Annotated[float | None, option("--cost-fa", "COST", "With --prior: of a false accept, above 0; default 1.")]


def usage(message: str) -> NoReturn:
    """Leave with exit status 2."""
    raise typer.BadParameter(message)


@contextmanager
def workers(threads: int | None, dask: str | None) -> "Iterator[Work]":
    """Give who does the work: so many threads, or the cluster at an address, to which this stays connected."""
    from speechgmm.parallel import connected

    if dask is None:
        yield threads
        return
    if threads is not None:
        usage("give --threads or --dask, not both")
    with connected(dask) as cluster:
        yield cluster


def asked(make: Callable[[], T]) -> T:
    """Return what is made of options; what is refused of them is wrong usage."""
    try:
        return make()
    except InvalidInput as error:
        usage(str(error))


def open_store(
    location: str, key_file: str | None, system: "System | None" = None, *, create: bool = False
) -> "SpeakerStore":
    """Open enrolled speakers by the key in a file, if they are encrypted; with a model, refuse those of another one."""
    from speechgmm.speakers import SpeakerStore, read_key

    warnings.simplefilter("ignore", DamagedSessionWarning)  # commands tell it in words of their own
    key = None if key_file is None else read_key(key_file)
    store = SpeakerStore(location, system, create=create, key=key, on_wait=say_waiting)
    if store.migrated:
        complain(f"{location} was a store of a former format: it is one of this version now, and of no earlier one")
    return store


def model_for(
    path: str | None,
    store: str | None = None,
    sounds: "Iterable[Sound]" = (),
    *,
    key_file: str | None = None,
    create: bool = False,
) -> "System":
    """Read the model at a path; without one, the packaged model of the store or, where there is none, of the sounds.

    Parameters
    ----------
    path : str or None
    store : str, optional
        Whose fingerprint says of which packaged model it is.
    sounds : iterable of paths, signals or recordings
        Whose lowest rate decides for a store that is still to be made, and where there is none.
    key_file : str, optional
        Of an encrypted store.
    create : bool
        Whether the store may be still to be made. One that is there and cannot be opened is refused when it is used.
    """
    from speechgmm.speakers import default_system, load_system, packaged_rate, packaged_with

    if path is not None:
        return load_system(path)
    opened = None if store is None else _open_if_there(store, key_file, create)
    if opened is None:
        return default_system(packaged_rate(sounds))
    opened.close()
    if (system := packaged_with(opened.fingerprint)) is None:
        rule, found = "be of a packaged model where no --model is given", f"one of {opened.fingerprint}"
        advice = "Give --model with the file that it was made with; if that came with another version, enroll again."
        refuse(f"the store {opened.location}", rule, found, advice, error=IncompatibleModel)
    return system


def _open_if_there(store: str, key_file: str | None, create: bool) -> "SpeakerStore | None":
    """Open a store, or return None where it may be still to be made and cannot be opened."""
    try:
        return open_store(store, key_file)
    except InvalidInput:
        if create:
            return None
        raise


def load_model_or_classifier(path: str | None, sounds: "Iterable[Sound]" = ()) -> "System | AudioClassifier":
    """Read a model of speakers or of classes, whichever it is; without a path, the packaged model for the sounds."""
    from speechgmm.classification import load_classifier
    from speechgmm.storage import read_header

    if path is None or read_header(path)["$type"] != "AudioClassifier":
        return model_for(path, sounds=sounds)
    return load_classifier(path)


def load_corpus(
    source: str, where: list[str] | None, *, label: str | None = "speaker", features: str | None = None
) -> "Recordings":
    """Read a corpus and keep the rows asked for; a CSV must have the column `label`, if any.

    Say how the place was understood, where that is not told by its columns, and which files are not there. Features
    take the place of sounds where they are given.
    """
    from speechgmm.features import read_corpus, with_features

    conditions: dict[str, list[str]] = {}
    for condition in where or []:
        column, equals, value = condition.partition("=")
        if not equals or not column:
            usage(f"--where takes COLUMN=VALUE; got {condition!r}")
        conditions.setdefault(column, []).append(value)
    corpus = read_corpus(source, label=label).where(**{k: v[0] if len(v) == 1 else v for k, v in conditions.items()})
    if label is not None and corpus.layout != "a CSV":
        people = number_of(len(set(corpus.speakers) - {""}), "speaker")
        complain(f"{source} is {corpus.layout}: {number_of(len(corpus), 'recording')} of {people}")
    corpus = with_features(corpus, features) if features else corpus
    _say_missing(corpus)
    return corpus


def named(
    files: list[str], features: str | None = None, *, speaker: str = "", session: str | None = None
) -> "Recordings":
    """Return files, or the features of such names, as recordings of one speaker, or of nobody known."""
    from speechgmm.features import Corpus, recordings_of

    if features is None:
        return Corpus.from_files(files, speaker=speaker, session=session)
    return recordings_of(files, features, speaker=speaker, session=session)


def files_or_manifest(
    files: list[str] | None,
    manifest: str | None,
    where: list[str] | None,
    features: str | None,
    *,
    label: str | None = None,
) -> "Recordings":
    """Return files, or the recordings of a manifest, whichever of the two is given; see `load_corpus`."""
    if bool(files) == (manifest is not None) or (files and where):
        usage("give files, or --manifest with --where as you like")
    if manifest is not None:
        return load_corpus(manifest, where, label=label, features=features)
    return named(files or [], features)


def features_frontend(recordings: "Recordings", features: str | None, hop_length: float | None) -> "OwnFeatures | None":
    """Return the front end of recordings that are features, None of sound, for which no step may be asked."""
    from speechgmm.features import OwnFeatures, listed_hop_length, own_frontend

    if features is None and os.path.isdir(recordings.source):
        features = recordings.source  # a Kaldi directory of features
    usual = OwnFeatures.hop_length if features is None else listed_hop_length(features)
    found = own_frontend(recordings, hop_length=usual if hop_length is None else hop_length)
    if found is None and hop_length is not None:
        usage("--hop-length is of features; these are sounds")
    return found


def _say_missing(corpus: "Recordings") -> None:
    """Say which files of a corpus are not there, before the work begins; what is left out then is told at its end."""
    from speechgmm.features import missing

    lost = missing(corpus)
    if 0 < len(lost) < len(corpus):  # of none that is there the command itself says so
        places = [r.place for r in lost[:_NAMED]] + [f"and {len(lost) - _NAMED} more"] * (len(lost) > _NAMED)
        complain(f"{len(lost)} of {number_of(len(corpus), 'file')} of {corpus.source} missing: {', '.join(places)}")


def say_in_other_splits(background: "Recordings") -> None:
    """Say who of a background is in another split of its corpus too, before the work begins."""
    from speechgmm.features import in_other_splits

    if both := in_other_splits(background):
        places = [f"{b.speaker} ({b.place}; {other.columns['split']}: {other.place})" for b, other in both[:_NAMED]]
        places += [f"and {len(both) - _NAMED} more"] * (len(both) > _NAMED)
        known = "whoever the background knows is no stranger to it, and rates that are measured on them flatter"
        complain(f"{number_of(len(both), 'background speaker')} in another split too; {known}: {', '.join(places)}")


def load_scores(scores: str, trials: str | None) -> "tuple[Scores, list[str]]":
    """Read scores, and keep those that a list of trials names; say how many others there are, if any."""
    from speechgmm.evaluation import join, read_scores, read_trials

    every = read_scores(scores)
    if not trials:
        return every, []
    listed = read_trials(trials)
    with of_file(scores):
        kept = join(every, listed)
    others = len(every) - len(kept)
    return kept, [f"left out: {others} of {len(every)} scores, which {trials} does not list"] if others else []


@contextmanager
def of_file(path: str) -> Iterator[None]:
    """Let what is refused name the file that it comes from."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None


def rule_of(far: Far, prior: Prior, cost_miss: CostMiss, cost_fa: CostFa, threshold: float | None = None) -> "Rule":
    """Return when to accept, or say which options do not go together."""
    from speechgmm.evaluation import Rule

    costs = {n: cost for n, cost in (("cost_miss", cost_miss), ("cost_fa", cost_fa)) if cost is not None}
    if sum((far is not None, threshold is not None, prior is not None or bool(costs))) > 1:
        usage("give --threshold, or --far, or --prior with costs")
    if costs and prior is None:
        usage("--cost-miss and --cost-fa need --prior")
    return asked(lambda: Rule(far, prior, threshold=threshold, **costs))
