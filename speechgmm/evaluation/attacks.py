"""How many attacks on the recognizer are accepted: replayed, synthetic, converted voices, and what else there is.

The words of ISO/IEC 30107-3 [1]_. An attack presentation claims to be an enrolled speaker by an artificial voice or a
recording; attacks that are made in one way are a species. A bona fide presentation is somebody's own voice.

* APCER, the attack presentation classification error rate: the share of the attack presentations of one species that
  are taken for bona fide ones. The highest over species is what counts: an attacker chooses the way.
* BPCER, the bona fide presentation classification error rate: the share of bona fide presentations that are rejected as
  attacks.
* IAPAR, the impostor attack presentation accept rate (IAPMR in the edition of 2017): of a whole system that verifies
  speakers, the share of the attack presentations of one species that it accepts.

The standard means APCER and BPCER for a part of the system that detects attacks. Here is none: the recognizer alone
decides, so that an attack is taken for bona fide where it is accepted, and whoever is rejected is rejected once. APCER
then is the IAPAR, and BPCER the share of target trials that are missed (`p_miss`). A rejected impostor without any
artifice is rejected rightly, and counts in neither. Of a system that also detects attacks, a table that has its final
scores gives the same figures of the whole.

Both are taken at one threshold, and where they are traded: BPCER10, BPCER20 and BPCER100 are the BPCER at the least
threshold at which at most 10, 5 and 1 % of the attacks of each species are accepted. Presentations that gave no score
are in none of these rates; they are counted beside them.

Whatever the label of an attack, it is neither a target nor a nontarget trial, and no other figure knows of it. The
label says one thing: a test with a row that is labeled 1 imitates that speaker, and its other rows, against other
models, are no presentations. Where no row of a test is labeled 1, each row is one.

References
----------
.. [1] ISO/IEC 30107-3:2023, Biometric presentation attack detection, part 3: testing and reporting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array, number_of
from speechgmm.evaluation.chosen_trials import bona_fide
from speechgmm.evaluation.conditions import column_called, divided_by
from speechgmm.evaluation.false_accepts import people_of
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler
from speechgmm.evaluation.shares import Attempts, accepted_share
from speechgmm.evaluation.threshold_errors import trial_rates
from speechgmm.evaluation.trials import Scores, Trials, attack_rows, columns, places_among

ONE_IN = (10, 20, 100)
"""Of so many attacks one is accepted at the points of the trade-off."""
_NONE = 3
"""Where none of n independent attacks is accepted, the rate is below this share of n, 19 times in 20."""


@dataclass(frozen=True)
class SpeciesRate:
    """How many attacks of one species are accepted.

    Parameters
    ----------
    species : str
    presentations : int
        How many attacks have a score.
    speakers : int
        How many people these claim to be.
    failed : int
        How many attacks beside these have no score, because a recording could not be used.
    apcer : float
        Share of the presentations that reach the threshold.
    interval : Interval or None
        Of that, by leaving out each person whom they claim to be; None where it was not asked for, or where these are
        fewer than five.
    rule_of_three : float
        3 / presentations, at most 1: the rate that could not be told from none, if all presentations were independent.
    """

    species: str
    presentations: int
    speakers: int
    failed: int
    apcer: float
    interval: Interval | None
    rule_of_three: float


@dataclass(frozen=True)
class AttackTradeOff:
    """What it costs to accept few attacks.

    Parameters
    ----------
    name : str
        "BPCER10", "BPCER20" or "BPCER100".
    apcer : float
        So large a share of the attacks of each species is accepted at most.
    threshold : float
        The least one at which this holds.
    bpcer : float
        Share of the target trials that are then rejected.
    doubt : str
        Which species have too few presentations for such a share, so that none of them is accepted; "" for none.
    """

    name: str
    apcer: float
    threshold: float
    bpcer: float
    doubt: str


@dataclass(frozen=True)
class AttackCondition:
    """The attacks of one condition.

    Parameters
    ----------
    column, value : str
        The column, and what it says: a word, or a range of the numbers of attacks.
    species : str
        The one of which most are accepted.
    presentations : int
        How many attacks of this species there are in the condition.
    apcer : float
        Share of these that reach the threshold.
    """

    column: str
    value: str
    species: str
    presentations: int
    apcer: float


@dataclass(frozen=True, kw_only=True)
class AttackErrors:
    """Error rates under attack, between 0 and 1.

    Parameters
    ----------
    threshold : float
        The least score that is accepted.
    apcer : float
        The highest share of attacks of one species that are accepted.
    worst : str
        That species; of several the first by name.
    bpcer : float
        Share of the target trials that are rejected.
    bpcer_interval : Interval or None
        By leaving out speakers; None where it was not asked for, or where fewer than five have target trials.
    presentations, bona_fide : int
        How many attacks have a score, and how many target trials there are.
    species : tuple of SpeciesRate
        In the order of their names.
    trade_offs : tuple of AttackTradeOff
        BPCER10, BPCER20, BPCER100.
    conditions : tuple of AttackCondition
        The worst species for each value of some columns.
    """

    threshold: float
    apcer: float
    worst: str
    bpcer: float
    bpcer_interval: Interval | None
    presentations: int
    bona_fide: int
    species: tuple[SpeciesRate, ...]
    trade_offs: tuple[AttackTradeOff, ...]
    conditions: tuple[AttackCondition, ...]


@dataclass(frozen=True, eq=False)
class _Presentations:
    """A presentations: species, scores, and persons whom they claim to be, each (A,); species of those that failed."""

    species: NDArray[np.str_]
    score: Array
    claimed: NDArray[np.intp]
    failed: NDArray[np.str_]

    def of(self, species: str) -> NDArray[np.bool_]:
        """Return which are of one species (A,)."""
        return self.species == species


def attack_errors(
    scores: Scores,
    threshold: float,
    *,
    by: Sequence[str] = (),
    level: float | None = 0.95,
) -> tuple[AttackErrors | None, list[str]]:
    """Return the error rates under attack at a threshold, None without attacks, and what was left out.

    Parameters
    ----------
    scores : Scores
        With trials of attacks and bona fide ones: targets and nontargets, all of these labeled.
    threshold : float
        The least score that is accepted.
    by : sequence of str
        Columns whose conditions are taken apart.
    level : float or None
        Of the intervals; None: without them.

    Raises
    ------
    InvalidInput
        If every trial is of an attack, or for a column of `by` that the table does not have or that has more than 50
        different words.
    """
    if "attack" not in columns(scores):
        return None, []
    genuine = bona_fide(scores)
    people = people_of(genuine)
    rows, attacks, left_out = _presentations(scores, genuine, people)
    if not len(rows):
        return None, [*left_out, "attacks: the column attack names none that has a score"]
    species = tuple(_rate(attacks, name, threshold, level) for name in np.unique(attacks.species).tolist())
    worst = max(species, key=lambda s: s.apcer)  # of several the first
    missed = trial_rates(genuine, people, threshold, level=level or 0.95)["p_miss"]
    of_targets = genuine.score[genuine.target == 1]
    conditions = [c for column in by for c in _conditions(scores, column, rows, attacks, threshold)]
    few = [s.species for s in species if level and s.interval is None]
    if few:
        least = f"fewer than {Resampler.LEAST_SPEAKERS} speakers are attacked"
        left_out.append(f"attacks: intervals of {', '.join(few)}: {least}")
    return AttackErrors(
        threshold=threshold,
        apcer=worst.apcer,
        worst=worst.species,
        bpcer=missed.estimate,
        bpcer_interval=missed if level and people.speakers() >= Resampler.LEAST_SPEAKERS else None,
        presentations=len(rows),
        bona_fide=len(of_targets),
        species=species,
        trade_offs=tuple(_trade_off(attacks, of_targets, one_in) for one_in in ONE_IN),
        conditions=tuple(conditions),
    ), left_out


def _presentations(
    scores: Scores, genuine: Scores, people: Resampler
) -> tuple[NDArray[np.int64], _Presentations, list[str]]:
    """Return the rows that are attack presentations, these, and what was left out."""
    lost = [] if scores.failures is None else list(scores.failures.lists.values())
    tables: list[Scores | Trials] = [scores, *lost]
    own = [attack_rows(table) & (table.target == 1) for table in tables]
    imitating = np.concatenate([t.tests.take(np.flatnonzero(some)).names for t, some in zip(tables, own, strict=True)])
    chosen = []
    for table, some in zip(tables, own, strict=True):
        of_nobody = ~np.isin(table.tests.names, imitating)[table.tests.codes]
        chosen.append(np.flatnonzero(some | (attack_rows(table) & of_nobody)))
    rows = chosen[0]
    place = places_among(scores.speakers, genuine.speakers)[rows]
    of_others = people.persons + scores.speakers.codes[rows]  # of whom there is no bona fide trial
    claimed = np.where(place >= 0, people.enrolled[np.maximum(place, 0)], of_others).astype(np.intp)
    failed = [_species(table, some) for table, some in zip(tables[1:], chosen[1:], strict=True)]
    attacks = _Presentations(_species(scores, rows), scores.score[rows], claimed, np.concatenate([*failed, [""]])[:-1])
    left_out = []
    if others := int(attack_rows(scores).sum()) - len(rows):
        whom = "against other models than that of the speaker whom their test imitates (target 1)"
        left_out.append(f"attacks: {number_of(others, 'trial')} {whom}")
    if unscored := sorted(set(attacks.failed.tolist()) - set(attacks.species.tolist())):
        left_out.append(f"attacks: none of {', '.join(unscored)} has a score")
    return rows, attacks, left_out


def _species(table: Scores | Trials, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the species of some rows."""
    told = columns(table).get("attack")
    return np.array([], dtype=str) if told is None else told.take(rows).full


def _rate(attacks: _Presentations, species: str, threshold: float, level: float | None) -> SpeciesRate:
    """Return how many attacks of a species are accepted."""
    rows = attacks.of(species)
    score, claimed = attacks.score[rows], attacks.claimed[rows]
    n, speakers = len(score), len(np.unique(claimed))
    interval = None
    if level is not None and speakers >= Resampler.LEAST_SPEAKERS:
        alone, one = np.full(n, -np.inf), np.ones(n, dtype=np.intp)
        interval = accepted_share(Attempts(claimed, score, alone, claimed, one), threshold, level=level)
    accepted = float((score >= threshold).mean())
    failed = int((attacks.failed == species).sum())
    return SpeciesRate(species, n, speakers, failed, accepted, interval, min(1.0, _NONE / n))


def _trade_off(attacks: _Presentations, targets: Array, one_in: int) -> AttackTradeOff:
    """Return the least threshold at which at most one attack of so many of each species is accepted."""
    highest, few = -np.inf, []
    for species in np.unique(attacks.species).tolist():
        score = np.sort(attacks.score[attacks.of(species)])[::-1]
        allowed = len(score) // one_in
        highest = max(highest, float(score[allowed]))  # this one, and what is equal to it, must not be accepted
        if not allowed:
            few.append(f"{len(score)} of {species}")
    share = f"cannot show {100 / one_in:g} %: none is accepted"
    doubt = f"{', '.join(few)} {share}" if few else ""
    threshold = float(np.nextafter(highest, np.inf))
    return AttackTradeOff(f"BPCER{one_in}", 1 / one_in, threshold, float((targets < threshold).mean()), doubt)


def _conditions(
    scores: Scores, column: str, rows: NDArray[np.int64], attacks: _Presentations, threshold: float
) -> list[AttackCondition]:
    """Return the worst species for each value of a column, where there are attacks."""
    name, held = column_called(scores, column)
    values, of_trial = divided_by(name, held.take(rows))
    found = []
    for i, value in enumerate(values):
        inside = of_trial == i
        of_value = _Presentations(
            attacks.species[inside], attacks.score[inside], attacks.claimed[inside], attacks.failed
        )
        rates = [_rate(of_value, species, threshold, None) for species in np.unique(of_value.species).tolist()]
        worst = max(rates, key=lambda s: s.apcer)
        found.append(AttackCondition(name, value, worst.species, worst.presentations, worst.apcer))
    return found
