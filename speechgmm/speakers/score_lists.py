"""Scores of whole test lists: every test of a corpus against every enrolled speaker, or the pairs of a trial list."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechgmm.checks import choice, refuse
from speechgmm.errors import Skipped, UnknownSpeaker
from speechgmm.evaluation import Scores, Trials
from speechgmm.features import Recording, extract_all
from speechgmm.parallel import Progress
from speechgmm.speakers.score import Scorer
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System


@dataclass(frozen=True, eq=False)
class ScoreList:
    """The `scores`, and the recordings that were left out with the reason for each."""

    scores: Scores
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Test:
    """What a test is called, and whose and of which session it is; empty where not known."""

    name: str
    speaker: str
    session: str = field(compare=False)


def score_corpus(
    system: System,
    store: SpeakerStore,
    recordings: Iterable[Recording],
    *,
    by: str = "file",
    n_threads: int | None = None,
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
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be scored; the first reason is given.
    """
    choice(by, "by", ("file", "session"))
    scorer = Scorer.of(system, store)
    groups: dict[_Test, list[Recording]] = {}
    for r in recordings:
        name = f"{r.speaker}/{r.session_name}" if by == "session" else r.name
        groups.setdefault(_Test(name, r.speaker, r.session or ""), []).append(r)
    names = scorer.models.names
    rows = [(test, i, int(test.speaker == name)) for test in groups for i, name in enumerate(names)]
    return _score(scorer, groups, rows, n_threads, on_progress)


def score_trials(
    system: System,
    store: SpeakerStore,
    trials: Trials,
    recordings: Iterable[Recording] | None = None,
    *,
    folder: str | Path = ".",
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> ScoreList:
    """Score the pairs of a trial list.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    trials : Trials
        Tests are names of `recordings` or, without these, paths relative to `folder`.
    recordings : iterable of Recording, optional
    folder : path
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    UnknownSpeaker
        If a speaker of the list is not enrolled.
    InvalidInput
        If a test is not among the recordings, or none could be scored.
    """
    scorer = Scorer.of(system, store)
    place = {name: i for i, name in enumerate(scorer.models.names)}
    if lost := sorted(set(trials.speaker.tolist()) - set(place)):
        found = f"{lost[0]!r} ({len(lost)} in all)"
        refuse("the speakers of a trial list", "be enrolled", found, "Enroll them first.", error=UnknownSpeaker)
    names = list(dict.fromkeys(trials.test.tolist()))
    if recordings is None:
        wanted = [Recording(str(Path(folder) / n), "", n) for n in names]
    else:
        known = {r.name: r for r in recordings}
        if missing := [n for n in names if n not in known]:
            found = f"{missing[0]!r} ({len(missing)} in all)"
            refuse("the tests of a trial list", "be recordings of the manifest", found)
        wanted = [known[n] for n in names]
    made = {r.name: _Test(r.name, r.speaker, r.session or "") for r in wanted}
    table = zip(trials.speaker.tolist(), trials.test.tolist(), trials.target.tolist(), strict=True)
    rows = [(made[test], place[speaker], target) for speaker, test, target in table]
    return _score(scorer, {made[r.name]: [r] for r in wanted}, rows, n_threads, on_progress)


def _score(
    scorer: Scorer,
    groups: dict[_Test, list[Recording]],
    rows: list[tuple[_Test, int, int]],
    n_threads: int | None,
    on_progress: Progress | None,
) -> ScoreList:
    """Score the recordings of each group as one test, and give a line for each (test, index of speaker, label).

    A test without a usable recording is left out, as are columns of which nothing is known.
    """
    wanted = [(test, r) for test, group in groups.items() for r in group]
    extracted = extract_all(
        scorer.system.frontend, [r for _, r in wanted], n_threads=n_threads, on_progress=on_progress
    )
    parts = itertools.groupby(zip(wanted, extracted, strict=True), lambda pair: pair[0][0])
    tests = {test: scorer.score_test(e for _, e in pairs) for test, pairs in parts}
    skipped = tuple(s for test in tests.values() for s in test.skipped)
    usable = {test: (found.scores, found.speech_seconds) for test, found in tests.items() if found.scores is not None}
    if not usable:
        found = f"none of {len(skipped)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        refuse("tests", "be at least one recording that can be scored", found)
    rows = [row for row in rows if row[0] in usable]
    index = np.array([i for _, i, _ in rows])
    speakers, sessions = [t.speaker for t, *_ in rows], [t.session for t, *_ in rows]
    scores = Scores(
        speaker=np.array(scorer.models.names)[index],
        test=np.array([t.name for t, *_ in rows]),
        score=np.array([usable[t][0][i] for t, i, _ in rows]),
        target=np.array([label for *_, label in rows], dtype=np.int8),
        test_speaker=np.array(speakers) if any(speakers) else None,
        session=np.array(sessions) if any(sessions) else None,
        enroll_seconds=scorer.models.speech_seconds[index],
        test_seconds=np.array([usable[t][1] for t, *_ in rows]),
    )
    return ScoreList(scores, skipped)
