# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. Thresholds and strangers
#
# A score is not an answer. Somebody has to decide from which score on a voice is accepted, which mistakes that makes,
# and what happens when a person comes whom nobody knows. Most programs that recognize voices fail here, not at the
# models.
#
# * **Time:** 90 minutes with the exercises.
# * **You need:** lesson 1; conditional probabilities.
# * **After it you can** read a DET curve, choose a threshold for a purpose, say what a stated rate of false accepts
#   means, and judge how far a small test can be trusted.

# %%
import dataclasses
import tempfile
import textwrap
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import speechgmm
from speechgmm.evaluation import calibrate_scores, cllr, eer, evaluate, roc_points, wilson
from speechgmm.plot import plot_calibration, plot_det, plot_histograms

HERE = Path.cwd()
DATA = next(p / "data" for p in (HERE, *HERE.parents) if (p / "data" / "manifest.csv").is_file())
kept = tempfile.TemporaryDirectory()
FOLDER = Path(kept.name)

# %% [markdown]
# ## Trials
#
# A **trial** asks: is this recording spoken by that person? A *target* trial is one where it is, all others are
# *nontarget* trials. We train on the background, enroll the ten voices of lesson 1, and cut the tests into pieces of
# half a second, so that it is hard enough to make mistakes.

# %%
corpus = speechgmm.read_corpus(DATA / "manifest.csv")
test = corpus.where(split="test")
system = speechgmm.train_system(corpus.where(split="ubm"), n_components=64).system


def cut(recordings, seconds):
    """Return the pieces of recordings, of so many seconds each."""
    pieces = []
    for r in recordings:
        for start in np.arange(0.0, float(r.columns["duration_s"]) - seconds, seconds):
            name = f"{r.name} from {start:.1f} s"
            pieces.append(dataclasses.replace(r, name=name, start=float(start), end=float(start + seconds)))
    return pieces


with speechgmm.SpeakerStore(FOLDER / "ten.db", system, create=True) as store:
    speechgmm.enroll(system, store, corpus.where(split="enroll"))
    scores = speechgmm.score_corpus(system, store, cut(test, 0.5)).scores
    longer = speechgmm.score_corpus(system, store, cut(test, 1.0)).scores
targets, others = scores.score[scores.target == 1], scores.score[scores.target == 0]
print(f"{len(targets)} target trials, {len(others)} nontarget trials")
# > 205 target trials, 1845 nontarget trials

# %% [markdown]
# ## Scores of both kinds
#
# speechgmm's scores are **log-likelihood ratios** (LLRs), in nats: how much more probable the recording is if the
# person speaks than if somebody else does,
#
# $$ \mathrm{LLR} = \ln \frac{p(\text{recording} \mid \text{the person})}
# {p(\text{recording} \mid \text{somebody else})}. $$
#
# By Bayes' rule they move what you believed before to what you should believe after: log odds *after* = log odds
# *before* + LLR. An LLR of 0 changes nothing; one of 3 makes odds 20 times as high.

# %%
print(f"the person:    {targets.mean():+.1f} on average, from {targets.min():+.1f} to {targets.max():+.1f}")
print(f"somebody else: {others.mean():+.1f} on average, from {others.min():+.1f} to {others.max():+.1f}")
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
plot_histograms(scores, threshold=0.0, ax=ax)
ax.set_title("Two hills that overlap: any threshold makes mistakes of both kinds")
plt.show()
# > the person:    +4.4 on average, from -0.6 to +10.9
# > somebody else: -3.6 on average, from -9.8 to +4.3
# > [picture] Two hills that overlap: any threshold makes mistakes of both kinds

# %% [markdown]
# ## Two kinds of mistakes
#
# Who accepts from a threshold on **misses** a share of the owners and **falsely accepts** a share of the others. Move
# the threshold, and one falls while the other rises.

# %%
for threshold in (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0):
    missed, accepted = np.mean(targets < threshold), np.mean(others >= threshold)
    print(f"from {threshold:+.0f} on: {missed:5.1%} missed, {accepted:5.1%} falsely accepted")
# > from -2 on:  0.0% missed, 16.5% falsely accepted
# > from -1 on:  0.0% missed,  7.6% falsely accepted
# > from +0 on:  1.5% missed,  2.9% falsely accepted
# > from +1 on:  9.3% missed,  1.2% falsely accepted
# > from +2 on: 18.0% missed,  0.5% falsely accepted
# > from +3 on: 35.1% missed,  0.2% falsely accepted

# %% [markdown]
# ## The DET curve
#
# All thresholds at once: misses against false accepts. The axes are stretched so that two Gaussian hills give a
# straight line. The circle is where both rates are the same, the **equal error rate** (EER): one number for how well
# scores *separate*. It is no advice where to put the threshold.

# %%
for name, table in (("0.5 s", scores), ("1 s", longer)):
    print(f"{name:6s}EER {evaluate(table, replicates=0).eer:.1%}")
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
plot_det({"0.5 s": scores, "1 s": longer}, ax=ax)
ax.set_title("More speech moves the curve to the lower left")
plt.show()
# > 0.5 s EER 2.3%
# > 1 s   EER 0.8%
# > [picture] More speech moves the curve to the lower left

# %% [markdown]
# ## What a mistake costs
#
# A door that stays shut annoys; a door that opens for a thief costs more. With the costs of a miss $C_m$ and of a false
# accept $C_f$, and the probability $\pi$ that it is the person, the expected cost is least where
#
# $$ \mathrm{LLR} \ge \ln \frac{C_f\,(1 - \pi)}{C_m\,\pi}. $$
#
# That is the **Bayes threshold**. It needs no data at all, *if* the scores are true LLRs.

# %%
for what, prior, cost_fa in (("a phone that its owner unlocks", 0.99, 10.0), ("a bank account", 0.9, 1000.0)):
    threshold = np.log(cost_fa * (1 - prior) / prior)
    missed, accepted = np.mean(targets < threshold), np.mean(others >= threshold)
    print(f"{what}: accept from {threshold:+.1f} on; {missed:.0%} missed, {accepted:.1%} falsely accepted")
# > a phone that its owner unlocks: accept from -2.3 on; 0% missed, 20.5% falsely accepted
# > a bank account: accept from +4.7 on; 59% missed, 0.0% falsely accepted

# %% [markdown]
# ## Are they true?
#
# A score that says 3 should be right in $e^3 = 20$ of 21 cases, at even odds. $C_\mathrm{llr}$ measures it in bits: 0
# for scores that know everything, 1 for scores that say nothing, and *above* 1 for scores that do harm,
#
# $$ C_\mathrm{llr} = \frac{1}{2 T} \sum_{t=1}^{T} \log_2 (1 + e^{-s_t})
# + \frac{1}{2 U} \sum_{u=1}^{U} \log_2 (1 + e^{s_u}), $$
#
# over the scores $s_t$ of $T$ target trials and $s_u$ of $U$ others.
# Multiply all scores by 10: no ranking changes, the EER stays, and every statement is wrong.

# %%
boastful = scores.rescored(10.0 * scores.score)
for name, table in (("as they are", scores), ("times 10", boastful)):
    found = evaluate(table, replicates=0)
    print(f"{name:12s}EER {found.eer:.1%}  Cllr {found.cllr:.2f} bits, at best {found.min_cllr:.2f}")
# > as they are EER 2.3%  Cllr 0.14 bits, at best 0.08
# > times 10    EER 2.3%  Cllr 0.28 bits, at best 0.08

# %% [markdown]
# **Calibration** learns from labeled trials what scores are worth: a line $a s + b$ by logistic regression. It repairs
# what was boastful. (`calibrate_scores` takes the scores of any system, not only of this one.)

# %%
calibration = calibrate_scores(boastful, replicates=50)
repaired = calibration.llrs(boastful)
print(
    f"Cllr after calibration: {cllr(repaired.score[scores.target == 1], repaired.score[scores.target == 0]):.2f} bits"
)
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, table, name in zip(
    axes, (boastful, repaired), ("Boastful: flatter than the diagonal", "Calibrated"), strict=True
):
    plot_calibration(table, ax=ax)
    ax.set_title(name)
plt.show()
# > Cllr after calibration: 0.10 bits
# > [picture] Boastful: flatter than the diagonal; Calibrated

# %% [markdown]
# ## Strangers who search
#
# So far each trial named one person. A phone that knows ten people compares a stranger with *all ten*, and the best
# score counts. The more people are known, the higher a stranger's best score comes: with $S$ independent chances of
# $p$ each, somebody passes with probability $1 - (1 - p)^S$.

# %%
table = {}
for speaker, name, value, target in zip(scores.speaker, scores.test, scores.score, scores.target, strict=True):
    if not target:
        table.setdefault(str(name), {})[str(speaker)] = value
rows = np.array([list(row.values()) for row in table.values()])
threshold = np.quantile(rows, 0.98)
print(f"from {threshold:+.2f} on, 2 % of nontarget trials are accepted; of searches among")
for known in (1, 2, 4, 8):
    best = np.mean([rows[:, i : i + known].max(axis=1) >= threshold for i in range(len(rows[0]) - known + 1)])
    print(f"  {known}: {best:5.1%}  (if they were independent: {1 - 0.98**known:5.1%})")
# > from +0.46 on, 2 % of nontarget trials are accepted; of searches among
# >   1:  2.0%  (if they were independent:  2.0%)
# >   2:  4.0%  (if they were independent:  4.0%)
# >   4:  8.0%  (if they were independent:  7.8%)
# >   8: 15.4%  (if they were independent: 14.9%)

# %% [markdown]
# ## A stated rate
#
# This is why `identify` asks for a rate for *strangers*: `Rule(far=0.05)` means that of a hundred tests of strangers
# five may be accepted as anybody. The threshold then follows from how many people are enrolled. Five of our voices are
# enrolled; the other five are strangers, each test a second long.

# %%
people = corpus.where(split="enroll").speakers
seconds = cut(test, 1.0)


def shares(enrolled, far):
    """Return the answers for owners and for strangers in a store of some people."""
    place = tempfile.TemporaryDirectory(dir=FOLDER)
    with place as folder, speechgmm.SpeakerStore(Path(folder) / "some.db", system, create=True) as store:
        speechgmm.enroll(system, store, corpus.where(split="enroll", speaker=list(enrolled)))
        answers = speechgmm.identify(system, store, seconds, rule=speechgmm.Rule(far=far))
    own = [a for a, r in zip(answers, seconds, strict=True) if r.speaker in enrolled]
    return own, [a for a, r in zip(answers, seconds, strict=True) if r.speaker not in enrolled]


own, strangers = shares(people[:5], 0.05)
print(f"accepted from {own[0].threshold:+.2f} on")
for name, answers in (("owners", own), ("strangers", strangers)):
    print(f"{name:10s}{np.mean([a.status == 'accepted' for a in answers]):4.0%} of {len(answers)} are accepted")
# > accepted from +1.84 on
# > owners     54% of 46 are accepted
# > strangers   0% of 50 are accepted

# %% [markdown]
# No stranger passed, and almost half of the owners were turned away: a second of speech is little. Each answer says so
# beforehand: `missed` is the share of owners who would stay below the threshold with as much speech, and
# `wanted_seconds` is how much speech would bring it to one in ten. Both are learned from as few people, and are
# careful here.

# %%
answer = own[1]
print(f"{answer.name}: {answer.status}, {answer.speech_seconds:.1f} s of speech")
print(f"of owners {answer.missed:.0%} are missed with so little; {answer.wanted_seconds:.0f} s would do")
# > es_david/s2_1.flac from 1.0 s: unknown, 0.7 s of speech
# > of owners 97% are missed with so little; 5 s would do

# %% [markdown]
# ## What five people mean
#
# How high strangers come was learned from *five* people who were tested against each other, and a background of eight.
# Other five give another experience: here are four choices of five, asked for 5 %.

# %%
for choice in (people[:5], people[5:], people[::2], people[1::2]):
    own, strangers = shares(choice, 0.05)
    by_person = {}
    for a in strangers:
        by_person.setdefault(a.name.split("/")[0], []).append(a.status == "accepted")
    passed = [f"{np.mean(v):.0%}" for v in by_person.values()]
    total = np.mean([a.status == "accepted" for a in strangers])
    print(f"strangers accepted: {total:4.0%}; person by person {', '.join(passed)}")
# > strangers accepted:   0%; person by person 0%, 0%, 0%, 0%, 0%
# > strangers accepted:   9%; person by person 0%, 12%, 0%, 22%, 10%
# > strangers accepted:   6%; person by person 0%, 0%, 0%, 0%, 30%
# > strangers accepted:  38%; person by person 17%, 50%, 0%, 90%, 33%

# %% [markdown]
# Asked for 5 %, we got between 0 and 38 %: it depends on whether some of the strangers sound like somebody who is
# enrolled. Synthetic voices of one program are alike, more than people are, but the lesson holds:
#
# * **The unit is the person, not the recording.** Fifty tests of five strangers are five strangers.
# * With four people, and a background as small as ours, speechgmm decides nothing by a rate: it only ranks. With five
#   it begins to, and the more there are, the better it knows how high strangers come.
# * A background of hundreds of voices knows strangers. Eight voices do not; the training says so:

# %%
print(textwrap.fill(speechgmm.train_system(corpus.where(split="ubm"), n_components=8).warnings[0], 100))
# > not calibrated: of the background speakers fewer than 20 have speech enough to enroll and to test,
# > so that scores rank speakers and decide nothing before five people are enrolled; use more speakers

# %% [markdown]
# ## How far can a small test be trusted?
#
# If 0 of 15 strangers pass, the true rate may still be 18 %: Wilson's interval of a share.

# %%
for passed, tests in ((0, 15), (0, 100), (5, 100), (50, 1000)):
    interval = wilson(passed, tests)
    print(f"{passed:2d} of {tests:4d}: between {interval.low:.1%} and {interval.high:.1%}")
# >  0 of   15: between 0.0% and 20.4%
# >  0 of  100: between 0.0% and 3.7%
# >  5 of  100: between 2.2% and 11.2%
# > 50 of 1000: between 3.8% and 6.5%

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: the equal error rate by hand
#
# Write a function that sorts all scores, goes through the thresholds, and returns the rate where misses and false
# accepts are nearest. Compare with `eer`, which takes the convex hull. Which is lower, and why never the other way
# round?
#
# ### Exercise 2: three attempts
#
# A stranger may try three times, an owner too. From the pieces of half a second, compute both error rates where the
# best of three successive scores counts. Is that the same as moving the threshold?
#
# ### Exercise 3: pool instead
#
# Take the *mean* of three successive scores instead of the best. What becomes of the EER? Why is that so much better?
#
# ### Exercise 4: a prior that is wrong
#
# A system is set for $\pi = 0.5$ and serves a place where only one caller in a hundred is who he says. Compute the
# share of those accepted who are impostors, at both Bayes thresholds.

# %% [markdown]
# ## Answers
#
# ### Answer 1

# %%
at = np.unique(scores.score)
missed = np.array([np.mean(targets < t) for t in at])
accepted = np.array([np.mean(others >= t) for t in at])
nearest = np.abs(missed - accepted).argmin()
print(f"by hand {(missed[nearest] + accepted[nearest]) / 2:.2%}, on the hull {eer(targets, others):.2%}")
print(f"the staircase has {len(roc_points(targets, others).p_fa)} points")
# > by hand 2.44%, on the hull 2.26%
# > the staircase has 2051 points

# %% [markdown]
# The hull lies below the staircase: who tosses a coin between two thresholds reaches every point of the line between
# them. So its EER is never higher.
#
# ### Answer 2


# %%
def in_threes(scores, merge):
    """Merge three successive pieces of each recording and each model; return target and nontarget scores."""
    rows = {}
    for speaker, name, value, target in zip(scores.speaker, scores.test, scores.score, scores.target, strict=True):
        rows.setdefault((name.split(" from ")[0], speaker, target), []).append(value)
    found = {0: [], 1: []}
    for (_, _, target), values in rows.items():
        found[int(target)] += [merge(values[i : i + 3]) for i in range(0, len(values) - 2, 3)]
    return np.array(found[1]), np.array(found[0])


best_targets, best_others = in_threes(scores, max)
for name, t, n in (("one attempt", targets, others), ("best of three", best_targets, best_others)):
    print(f"{name:14s}from 0 on: {np.mean(t < 0):5.1%} missed, {np.mean(n >= 0):5.1%} accepted; EER {eer(t, n):.1%}")
# > one attempt   from 0 on:  1.5% missed,  2.9% accepted; EER 2.3%
# > best of three from 0 on:  0.0% missed,  6.6% accepted; EER 0.7%

# %% [markdown]
# Owners profit, and strangers too: at one threshold false accepts more than double. Whoever allows three attempts must
# raise the threshold. The EER tells what is left of the gain after that.
#
# ### Answer 3

# %%
mean_targets, mean_others = in_threes(scores, np.mean)
print(f"mean of three: EER {eer(mean_targets, mean_others):.1%}")
# > mean of three: EER 0.2%

# %% [markdown]
# The best of three keeps the luckiest accident; the mean lets accidents cancel. Better still is to score all speech
# together, as `verify` does with several files.
#
# ### Answer 4

# %%
for assumed in (0.5, 0.01):
    threshold = np.log((1 - assumed) / assumed)
    good, bad = 0.01 * np.mean(targets >= threshold), 0.99 * np.mean(others >= threshold)
    owners = np.mean(targets >= threshold)
    print(f"set for {assumed}: {owners:.0%} of owners pass; {bad / (good + bad):.0%} of the accepted are impostors")
# > set for 0.5: 99% of owners pass; 74% of the accepted are impostors
# > set for 0.01: 43% of owners pass; 0% of the accepted are impostors

# %% [markdown]
# With the wrong prior most of those who are accepted are impostors, though only a few in a hundred of them pass: there
# are so many more of them. The right threshold repairs that, at the price of owners who need to speak longer.

# %%
kept.cleanup()
