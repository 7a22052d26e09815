"""Who speaks? And: is it this speaker? Answers with what they rest on.

With a calibration, scores are log-likelihood ratios (LLR) in nats against strangers, and decisions follow from a
`Rule`. Without, they are raw, in nats per frame: they rank speakers, and a decision needs a threshold that the caller
knows.
"""

import os
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from speechgmm.checks import integer
from speechgmm.evaluation.answers import Answers
from speechgmm.evaluation.calibration import posteriors
from speechgmm.evaluation.decision import Answer, Rule, decide, threshold_for
from speechgmm.features import Corpus, Recording, extract_all
from speechgmm.parallel import Progress
from speechgmm.speakers.index import SpeakerIndex
from speechgmm.speakers.score import CandidateLimits, ScoredTest, Scorer
from speechgmm.speakers.search import IndexScorer
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

TOGETHER = "all files together"
"""What a test of several files is called."""


def identify(
    system: System,
    store: SpeakerStore,
    files: Iterable[str | os.PathLike[str] | Recording],
    *,
    rule: Rule = Rule(),
    top: int = 5,
    index: SpeakerIndex | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Answers:
    """Rank the enrolled speakers for each file, and accept the best or nobody; a bad file is reported in its place.

    Damaged sessions of the store are left out, with a `DamagedSessionWarning`; ``store.damaged()`` names them.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    files : iterable of path or Recording
    rule : Rule
        When to accept the best; by default so that one stranger in twenty is accepted.
    top : int
        How many candidates to give.
    index : SpeakerIndex, optional
        Of the store, for many thousands of people: they are searched in two stages, of which the second gives the best
        thousand the scores that they have without it (`search`). Damaged sessions are named when it is written.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    InvalidInput
        If the rule needs a calibration, and the system has none, or no session of the store is whole.
    IncompatibleModel
        If the index is not of this system and store, as it is now.

    Examples
    --------
    Two voices of the corpus of a checkout, and a test of one of them in another session:

    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> (answer,) = identify(system, store, ["data/slt/s2_1.flac"])
    >>> answer.status, [c.name for c in answer.candidates]
    ('accepted', ['slt', 'rms'])
    >>> store.close()
    >>> folder.cleanup()
    """
    integer(top, "top", minimum=1)
    scorer: Scorer
    if index is None:
        scorer = Scorer.of(system, store, n_threads=n_threads)
    else:
        scorer = IndexScorer.within(system, store, index, n_threads=n_threads)
    threshold_for(scorer.limits(0.0), rule, len(scorer.models.names))  # refuses before any work
    answers = []
    for e in extract_all(system.frontend, Corpus.from_files(files), n_threads=n_threads, on_progress=on_progress):
        test = scorer.score_test([e])
        answers.append(_answer(scorer, rule, e.name, e.speech_seconds, test, top))
    return Answers(answers)


def verify(
    system: System,
    store: SpeakerStore,
    speaker: str,
    files: Iterable[str | os.PathLike[str] | Recording],
    *,
    rule: Rule = Rule(),
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Answer:
    """Score files, pooled into one test, against one speaker; those that cannot be used are left out and named.

    Of a speaker with damaged sessions the others count, with a `DamagedSessionWarning`: the score then rests on less
    speech, which the calibration knows.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    speaker : str
    files : iterable of path or Recording
    rule : Rule
        When to accept; by default so that one stranger in twenty is accepted, where there is a calibration.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Returns
    -------
    Answer
        Its one candidate is the speaker, left out where no file could be used; the status is "rejected" instead of
        "unknown".

    Raises
    ------
    UnknownSpeaker
        If the speaker is not enrolled.
    InvalidInput
        If the rule needs a calibration, and the system has none, or all sessions of the speaker are damaged.

    Examples
    --------
    Whether it is the voice slt:

    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> verify(system, store, "slt", ["data/slt/s2_1.flac"]).status
    'accepted'
    >>> store.close()
    >>> folder.cleanup()
    """
    scorer = Scorer.of(system, store, speaker, n_threads=n_threads)
    threshold_for(scorer.limits(0.0), rule, 1)  # refuses before any work
    corpus = Corpus.from_files(files)
    test = scorer.score_test(extract_all(system.frontend, corpus, n_threads=n_threads, on_progress=on_progress))
    name = TOGETHER if len(corpus) > 1 else corpus.recordings[0].name
    answer = _answer(scorer, rule, name, test.speech_seconds, test)
    status = "rejected" if answer.status == "unknown" else answer.status
    return replace(answer, status=status, skipped=test.skipped)


def _answer(
    scorer: Scorer, rule: Rule, name: str, speech_seconds: float, test: ScoredTest, top: int | None = None
) -> Answer:
    """Decide on a test, or say why there is nothing to decide on."""
    names, calibration = scorer.models.names, scorer.calibration
    best = None if test.scores is None else int(np.argmax(test.scores))
    limits = scorer.limits(test.speech_seconds, best)
    if test.scores is None:
        assert test.error is not None
        limit = threshold_for(limits, rule, len(names))
        return Answer.failed(name, test.error, rule, speech_seconds, limit)
    answer = decide(
        name,
        names,
        test.scores,
        rule,
        limits,
        speech_seconds=speech_seconds,
        posteriors=None if calibration is None else posteriors(test.scores, prior=rule.stated_prior)[:-1],
        least_seconds=0.0 if calibration is None else calibration.least_seconds,
        top=top,
    )
    answer = replace(answer, unfamiliar=test.unfamiliar)
    return answer if limits is None else _with_costs(answer, limits, rule, len(names))


def _with_costs(answer: Answer, limits: CandidateLimits, rule: Rule, searched: int) -> Answer:
    """Say what a decision costs: how many owners it misses, and whether the rate for strangers can be relied on."""
    missed = None if answer.threshold is None else limits.missed(answer.threshold)
    if rule.asked_far is None:
        return replace(answer, missed=missed)
    wanted = limits.wanted_seconds(rule.asked_far, searched)
    assured = limits.norm.assures(limits.tested) and not answer.unfamiliar
    return replace(answer, missed=missed, wanted_seconds=wanted, assured=assured)
