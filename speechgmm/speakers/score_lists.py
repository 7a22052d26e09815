"""Scores of whole test lists: every test of a corpus against every enrolled speaker, or the pairs of a trial list."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from speechgmm.checks import Array, choice, escaped, refuse
from speechgmm.errors import SameRecording, Skipped, UnknownSpeaker
from speechgmm.evaluation import Failures, Scores, Trials
from speechgmm.evaluation.chosen_trials import some_trials
from speechgmm.evaluation.name_index import NameIndex
from speechgmm.evaluation.trials import condition_name
from speechgmm.features import Extracted, FrontEnd, Recording, extract_all
from speechgmm.looks import Shown
from speechgmm.parallel import Progress, Threads, own_threads
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.recording_models import recording_models
from speechgmm.speakers.score import ScoredTest, Scorer
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

_ITSELF = (
    "the test must be another recording than the one that is enrolled; got the same samples in a trial of the list"
)


@dataclass(frozen=True, eq=False)
class ScoreList(Shown):
    """The `scores`, and the recordings that were left out with the reason for each.

    Trials for which a test or an enrolled recording was left out are the `failures` of the scores.
    """

    scores: Scores
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Test:
    """What a test is called, whose it is, empty where not known, and its session."""

    name: str
    speaker: str
    session: str = field(compare=False)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """T trials: the places of the model and of the test (T,), and the labels (T,)."""

    model: Array
    test: Array
    target: Array


def score_corpus(
    system: System,
    store: SpeakerStore,
    recordings: Iterable[Recording],
    *,
    by: str = "file",
    keep: Sequence[str] = (),
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> ScoreList:
    """Score every recording, or every session, against every enrolled speaker.

    The scores are calibrated log-likelihood ratios in nats, or raw ones, in nats per frame, without a calibration.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    recordings : iterable of Recording
        Their speakers say which trials are target trials; nobody needs to be enrolled for a recording to be a test.
    by : str
        "file", or "session" to pool all recordings of one (speaker, session): the mean over all their frames.
    keep : sequence of str
        Columns of the recordings (`Recording.columns`) that become conditions of the scores. Where those of one test
        differ, it has all their values, joined by "+". A column `attack` becomes that of the scores.
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. Workers of a cluster hold the models,
        read the recordings by the same paths and score them; where single recordings of speakers count, or make the
        models, they read them alone.
    on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be scored; the first reason is given. If no recording has a column of `keep`.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> tests = corpus.where(speaker=("slt", "rms"), split="test")
    >>> scores = score_corpus(system, store, tests).scores
    >>> len(scores.score), speechgmm.evaluate(scores).eer
    (12, 0.0)
    >>> store.close()
    >>> folder.cleanup()
    """
    choice(by, "by", ("file", "session"))
    scorer = Scorer.of(system, store, n_threads=own_threads(n_threads))
    groups: dict[_Test, list[Recording]] = {}
    for r in recordings:
        name = f"{r.speaker}/{r.session_name}" if by == "session" else escaped(r.name)
        groups.setdefault(_Test(name, r.speaker, r.session or ""), []).append(r)
    tests, names = list(groups), np.array(scorer.models.names)
    model, test = np.tile(np.arange(len(names)), len(tests)), np.repeat(np.arange(len(tests)), len(names))
    target = np.array([t.speaker for t in tests])[test] == names[model]
    return _score(scorer, groups, _Pairs(model, test, target), n_threads, on_progress, keep=keep)


def score_trials(
    system: System,
    store: SpeakerStore | None,
    trials: Trials,
    recordings: Iterable[Recording] | None = None,
    *,
    folder: str | Path = ".",
    keep: Sequence[str] = (),
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> ScoreList:
    """Score the pairs of a trial list: tests against enrolled speakers, or recordings against recordings.

    Each test is scored against those alone that the list pairs it with.

    Parameters
    ----------
    system : System
    store : SpeakerStore or None
        None: what the list calls the speaker is a recording too, and counts as if it had been enrolled alone. A
        recording is not tested against itself: such trials are left out.
    trials : Trials
        Recordings are names of `recordings` or, without these, paths relative to `folder`.
    recordings : iterable of Recording, optional
    folder : path
    keep, n_threads, on_progress
        See `score_corpus`; the columns are those of the tests.

    Raises
    ------
    UnknownSpeaker
        If a speaker of the list is not enrolled.
    InvalidInput
        If a recording of the list is not among those given, or none could be scored.

    Examples
    --------
    >>> import speechgmm
    >>> from speechgmm.evaluation import Trials
    >>> tests = ["data/slt/s2_2.flac", "data/rms/s2_1.flac"]
    >>> trials = Trials(["data/slt/s2_1.flac"] * 2, tests, [1, 0])
    >>> own, other = score_trials(speechgmm.default_system(), None, trials).scores.score
    >>> bool(own > other)
    True
    """
    known = None if recordings is None else {r.name: r for r in recordings}
    scorer = None if store is None else Scorer.of(system, store, n_threads=own_threads(n_threads))
    if scorer is not None:
        _check_enrolled(trials, scorer)
    wanted = _listed("tests", trials.tests, known, folder)
    digests: Sequence[str] | None = None
    lost: tuple[Skipped, ...] = ()
    if scorer is None:
        enrolled = _listed("enrolled recordings", trials.speakers, known, folder)
        made = recording_models(system, enrolled, n_threads=n_threads, on_progress=on_progress)
        calibration = system.calibration
        norm = None if calibration is None else calibration.levels.norm(len(made.digests))
        scorer = Scorer(system, made.models, calibration, norm, {}, by_recording=made.by_recording)
        digests, lost = made.digests, made.skipped
        wanted = [replace(r, speaker="", session=None) for r in wanted]  # models are called by recordings, not people
    place = {name: i for i, name in enumerate(scorer.models.names)}
    model = np.array([place.get(name, -1) for name in trials.speakers.names.tolist()])[trials.speakers.codes]
    kept = model >= 0  # not of a recording that could not be enrolled
    pairs = _Pairs(model[kept], trials.tests.codes[kept], trials.target[kept])
    groups = {_Test(r.name, r.speaker, r.session or ""): [r] for r in wanted}
    done = _score(scorer, groups, pairs, n_threads, on_progress, digests=digests, keep=keep)
    unenrolled, attack = some_trials(trials, ~kept), _conditions(list(groups.values()), keep).get("attack")
    if unenrolled is not None and attack is not None:
        unenrolled = replace(unenrolled, attack=attack[trials.tests.codes[~kept]])
    failures = replace(done.scores.failures or Failures(), speakers=unenrolled)
    return ScoreList(replace(done.scores, failures=failures), lost + done.skipped)


def _check_enrolled(trials: Trials, scorer: Scorer) -> None:
    """Refuse a list with speakers who are not enrolled."""
    if lost := sorted(set(trials.speakers.names.tolist()) - set(scorer.models.names)):
        found = f"{lost[0]!r} ({len(lost)} in all)"
        refuse("the speakers of a trial list", "be enrolled", found, "Enroll them first.", error=UnknownSpeaker)


def _listed(what: str, index: NameIndex, known: Mapping[str, Recording] | None, folder: str | Path) -> list[Recording]:
    """Return the recordings that a column of a trial list names."""
    names = index.names.tolist()
    if known is None:
        return [Recording(str(Path(folder) / n), "", n) for n in names]
    if missing := [n for n in names if n not in known]:
        found = f"{missing[0]!r} ({len(missing)} in all)"
        refuse(f"the {what} of a trial list", "be recordings of the manifest", found)
    return [known[n] for n in names]


def _score(
    scorer: Scorer,
    groups: dict[_Test, list[Recording]],
    pairs: _Pairs,
    n_threads: Threads,
    on_progress: Progress | None,
    *,
    digests: Sequence[str] | None = None,
    keep: Sequence[str] = (),
) -> ScoreList:
    """Score the recordings of each group as one test against the models that it is paired with.

    A test without a usable recording is left out, as are columns of which nothing is known and, where there are
    `digests` of the models, pairs of a recording with itself. Its trials failed, unless it is enrolled itself.
    """
    conditions = _conditions(list(groups.values()), keep)
    rows = np.split(
        np.argsort(pairs.test, kind="stable"), np.cumsum(np.bincount(pairs.test, minlength=len(groups)))[:-1]
    )
    parts = zip(groups.values(), rows, strict=False)  # of no tests, rows are one part
    asked = [_Asked(tuple(group), pairs.model[own]) for group, own in parts]
    score, seconds, skipped = np.full(len(pairs.test), np.nan), np.full(len(groups), np.nan), list[Skipped]()
    failed = np.zeros(len(score), dtype=bool)
    for i, result in enumerate(_tested(scorer, asked, digests, n_threads, on_progress)):
        own, test = rows[i][result.scored], result.test
        skipped += result.skipped
        if test is None:
            continue
        skipped += test.skipped
        if test.scores is not None:
            score[own], seconds[i] = test.scores, test.speech_seconds
        failed[own] = test.scores is None and not isinstance(test.error, SameRecording)
    if np.isnan(score).all():
        found = f"none of {len(groups)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        refuse("tests", "be at least one recording that can be scored", found)
    scores = _table(scorer.models, list(groups), pairs, score, seconds)
    attack, kept = conditions.pop("attack", None), pairs.test[~np.isnan(score)]
    of_trials = {name: column[kept] for name, column in conditions.items()}
    lost = _failed(scorer.models, list(groups), pairs, np.flatnonzero(failed))
    if attack is not None:
        scores = replace(scores, attack=attack[kept])
        lost = lost and replace(lost, attack=attack[pairs.test[failed]])
    return ScoreList(replace(scores, conditions=of_trials, failures=Failures(tests=lost)), tuple(skipped))


@dataclass(frozen=True, eq=False)
class _Asked:
    """The recordings of one test, and the places of the models (n,) that it is paired with."""

    recordings: tuple[Recording, ...]
    models: Array


@dataclass(frozen=True, eq=False)
class _Tested:
    """Which of these models were scored (n,), with what result, if any, and what of it was paired with itself."""

    scored: Array
    test: ScoredTest | None
    skipped: tuple[Skipped, ...]


def _tested(
    scorer: Scorer,
    asked: Sequence[_Asked],
    digests: Sequence[str] | None,
    n_threads: Threads,
    on_progress: Progress | None,
) -> Iterator[_Tested]:
    """Yield the results of tests in order; a cluster that reads the recordings scores them too, where it can."""
    score = functools.partial(_test, scorer, digests)
    every = [r for a in asked for r in a.recordings]
    if callable(n_threads) and scorer.by_recording is None and digests is None:  # what it needs lies in memory
        results = n_threads(functools.partial(_listen, score, scorer.system.frontend), asked)
        done = 0
        for result, a in zip(results, asked, strict=True):
            done += len(a.recordings)
            if on_progress:
                on_progress("recordings", done, len(every))
            yield result
        return
    extracted = extract_all(scorer.system.frontend, every, n_threads=n_threads, on_progress=on_progress)
    numbered = zip((i for i, a in enumerate(asked) for _ in a.recordings), extracted, strict=True)
    for i, heard in itertools.groupby(numbered, lambda pair: pair[0]):
        yield score(asked[i], [e for _, e in heard])


def _listen(score: Callable[[_Asked, list[Extracted]], _Tested], frontend: FrontEnd, asked: _Asked) -> _Tested:
    """Read the recordings of a test, and score it."""
    return score(asked, list(extract_all(frontend, asked.recordings, n_threads=1)))


def _test(scorer: Scorer, digests: Sequence[str] | None, asked: _Asked, sounds: list[Extracted]) -> _Tested:
    """Score one test; where there are `digests` of the models, a recording is not paired with itself."""
    scored, skipped = np.ones(len(asked.models), dtype=bool), tuple[Skipped, ...]()
    if digests is not None:
        heard = {e.digest for e in sounds}
        scored = np.array([digests[m] not in heard for m in asked.models.tolist()], dtype=bool)
        skipped = tuple(Skipped(e.name, _ITSELF) for e in sounds if not scored.all())
    if not scored.any():
        return _Tested(scored, None, skipped)
    return _Tested(scored, scorer.among(asked.models[scored]).score_test(sounds), skipped)


def _conditions(groups: Sequence[Sequence[Recording]], keep: Sequence[str]) -> dict[str, Array]:
    """Return what the recordings of each test have in some columns, (U,), by the name of the column in the corpus."""
    spelled = {c.casefold(): c for group in groups for r in group for c in r.columns}
    found = {}
    for name in keep:
        if (column := spelled.get(name.casefold())) is None:
            known = ", ".join(sorted(spelled.values())) or "they have none"
            refuse("a column that is kept", f"be one of the recordings: {known}", repr(name))
        values = ({v for r in group if (v := r.columns.get(column, ""))} for group in groups)
        spelling = "attack" if column.casefold() == "attack" else condition_name(column)
        found[spelling] = np.array(["+".join(sorted(several)) for several in values])
    return found


def _failed(models: SpeakerModels, tests: Sequence[_Test], pairs: _Pairs, rows: Array) -> Trials | None:
    """Return some pairs as a list of trials, None for none."""
    if not len(rows):
        return None
    names = np.array([t.name for t in tests])
    return Trials(
        np.array(models.names)[pairs.model[rows]], names[pairs.test[rows]], pairs.target[rows].astype(np.int8)
    )


def _table(models: SpeakerModels, tests: Sequence[_Test], pairs: _Pairs, score: Array, seconds: Array) -> Scores:
    """Return the table of the trials that have a score (T,); `seconds` are those of the tests (U,)."""
    kept = np.flatnonzero(~np.isnan(score))
    model, test = pairs.model[kept], pairs.test[kept]
    names, speakers, sessions = (
        np.array([getattr(t, of) for t in tests])[test] for of in ("name", "speaker", "session")
    )
    return Scores(
        speaker=np.array(models.names)[model],
        test=names,
        score=score[kept],
        target=pairs.target[kept].astype(np.int8),
        test_speaker=speakers if (speakers != "").any() else None,
        session=sessions if (sessions != "").any() else None,
        enroll_seconds=models.speech_seconds[model],
        test_seconds=seconds[test],
    )
