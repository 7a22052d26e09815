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
# # 5. Mixtures beyond speech
#
# A Gaussian mixture knows nothing of sound. The same few functions find kinds of flowers, fill in what was not
# measured, draw new data, and follow balls through a video.
#
# * **Time:** 90 minutes with the exercises.
# * **You need:** lesson 2, or to know what EM does; a covariance matrix.
# * **After it you can** cluster, choose the number of clusters, impute, sample and track, and say what may go wrong.

# %%
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as ScikitLearnMixture

from speechgmm import GaussianMixture
from speechgmm.mixture import Diagonal, Floor, Incomplete, choose, fit_gmm, impute
from speechgmm.plot import plot_choice, plot_mixture, plot_tracks
from speechgmm.tracking import track

# %% [markdown]
# ## Flowers
#
# 150 irises of three species, and four lengths of each in centimeters: sepals and petals, long and wide (Fisher, 1936).
# We know the species, and do not tell them.

# %%
iris = load_iris()
x = iris.data
fitted = GaussianMixture(n_components=3, random_state=0).fit(x)
labels = fitted.predict(x)
print(f"adjusted Rand index {adjusted_rand_score(iris.target, labels):.3f} (1: components are species, 0: chance)")
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained", sharey=True)
plot_mixture(None, x, labels=iris.target, names=list(iris.target_names), features=(2, 3), ax=axes[0])
axes[0].set(title="The species, which nobody told", xlabel="petal length (cm)", ylabel="petal width (cm)")
species = np.array([np.bincount(iris.target[labels == k]).argmax() for k in range(3)])
plot_mixture(fitted.mixture_, x, identities=species, features=(2, 3), ax=axes[1])
axes[1].set(title="What three Gaussians found", xlabel="petal length (cm)")
plt.show()
# > adjusted Rand index 0.904 (1: components are species, 0: chance)
# > [picture] The species, which nobody told; What three Gaussians found

# %% [markdown]
# ## The same as scikit-learn
#
# `speechgmm.GaussianMixture` has scikit-learn's names, so that it can take the place of
# `sklearn.mixture.GaussianMixture`. From one start both must reach the same likelihood.

# %%
start = {"means_init": x[[0, 50, 100]], "n_components": 3, "tol": 1e-8, "max_iter": 2000, "random_state": 0}
ours, theirs = GaussianMixture(**start).fit(x), ScikitLearnMixture(**start).fit(x)
print(f"speechgmm    {ours.score(x):.4f} nats per flower")
print(f"scikit-learn {theirs.score(x):.4f} nats per flower")
print(f"the same flowers together: {adjusted_rand_score(ours.predict(x), theirs.predict(x)):.2f}")
# > speechgmm    -1.2012 nats per flower
# > scikit-learn -1.2012 nats per flower
# > the same flowers together: 1.00

# %% [markdown]
# ## How many kinds, and of which shape?
#
# The likelihood always asks for more components. The Bayesian information criterion charges each of the $P$ parameters
# half the logarithm of the number of points $N$; we look for the least
#
# $$ \mathrm{BIC} = P \ln N - 2 \sum_{n=1}^{N} \ln p(x_n). $$
#
# `choose` tries counts and kinds of covariance: circles, axis-parallel ellipses, one ellipse for all, free ellipses.

# %%
choice = choose(x, range(1, 7), starts=3)
for candidate in choice.ranked()[:4]:
    print(f"K = {candidate.n_components} {candidate.covariance:9s} BIC {candidate.bic:.1f}")
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
plot_choice(choice, ax=ax)
ax.set_title("BIC of Iris: two free ellipses, closely followed by three")
plt.show()
# > K = 2 full      BIC 574.0
# > K = 3 full      BIC 580.8
# > K = 4 tied      BIC 591.4
# > K = 6 tied      BIC 599.0
# > [picture] BIC of Iris: two free ellipses, closely followed by three

# %% [markdown]
# BIC says *two*. Two of the three species overlap so much that, without names, 150 flowers do not prove that they are
# two. A criterion answers "how many Gaussians does this table support", which is not "how many species are there".
#
# ## Missing values
#
# Rulers get lost. We remove a fifth of all entries at random. Rows with a hole need not be thrown away: a mixture
# integrates over what is missing, and knows what to expect there from what *is* known,
#
# $$ \mathrm{E}[x_m \mid x_o] = \sum_{k=1}^{K} \gamma_k(x_o)
# \left( \mu_{k,m} + \Sigma_{k,mo} \Sigma_{k,oo}^{-1} (x_o - \mu_{k,o}) \right), $$
#
# where $o$ are the observed and $m$ the missing features, and $\gamma_k(x_o)$ is the posterior given what was observed.

# %%
hole = np.random.default_rng(1).random(x.shape) < 0.2
given = np.where(hole, np.nan, x)
print(f"{np.isnan(given).any(axis=1).mean():.0%} of the flowers lack something")
fit = fit_gmm(given, 2, covariance="full", missing=True, floor=Floor(relative=0.01))
filled = impute(fit.model, given)
by_mean = np.where(hole, np.nanmean(given, axis=0), x)
for name, guess in (("mean of the column", by_mean), ("mixture", filled)):
    print(f"{name:20s}error {np.sqrt(np.mean((guess - x)[hole] ** 2)):.3f} cm (root mean square)")
groups = Incomplete(fit.model).labels(given)
print(f"{np.mean(groups == fit.model.labels(x)):.0%} of the flowers go to the same component as without holes")
# > 57% of the flowers lack something
# > mean of the column  error 1.012 cm (root mean square)
# > mixture             error 0.477 cm (root mean square)
# > 99% of the flowers go to the same component as without holes

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
changed = hole[:, [0, 2]].any(axis=1)
for ax, guess, name in zip(axes, (by_mean, filled), ("the mean of its column", "what a mixture expects"), strict=True):
    ax.plot(*guess[~changed][:, [0, 2]].T, ".", color="#0b6e99", label="as measured")
    ax.plot(*guess[changed][:, [0, 2]].T, ".", color="#c8553d", label="filled in")
    ax.set(title=f"Filled in by {name}", xlabel="sepal length (cm)")
axes[0].set_ylabel("petal length (cm)")
axes[0].legend(frameon=False)
plt.show()
# > [picture] Filled in by the mean of its column; Filled in by what a mixture expects

# %% [markdown]
# The mean of a column draws a cross through the picture: flowers that do not exist. (Two components, as BIC says; three
# fill in as well.)
#
# ## New flowers
#
# A density can be sampled: choose a component by its weight, and draw from it. Were the model perfect, nobody could
# tell the new flowers from the old.

# %%
drawn = ours.mixture_.sample(150, seed=2).frames
for name, flowers in (("measured", x), ("drawn", drawn)):
    correlation = np.corrcoef(flowers[:, 2], flowers[:, 3])[0, 1]
    print(f"{name:9s}petals {flowers[:, 2].mean():.2f} cm long, correlation of length and width {correlation:.3f}")
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained", sharex=True, sharey=True)
for ax, flowers, name in zip(axes, (x, drawn), ("150 flowers that grew", "150 flowers that were drawn"), strict=True):
    ax.plot(flowers[:, 2], flowers[:, 3], ".", color="#0b6e99")
    ax.set(title=name, xlabel="petal length (cm)")
axes[0].set_ylabel("petal width (cm)")
plt.show()
# > measured petals 3.76 cm long, correlation of length and width 0.963
# > drawn    petals 3.70 cm long, correlation of length and width 0.970
# > [picture] 150 flowers that grew; 150 flowers that were drawn

# %% [markdown]
# ## Something that does not belong
#
# The same density says how unusual a point is. A flower whose petals are as wide as they are long is none of these.

# %%
strange = np.array([[5.5, 3.0, 3.0, 3.0]])
limit = np.quantile(ours.mixture_.log_density(x), 0.01)
density = ours.mixture_.log_density(strange)[0]
print(f"one flower in a hundred lies below {limit:.1f} nats; the strange one has {density:.1f}")
# > one flower in a hundred lies below -5.6 nats; the strange one has -38.3

# %% [markdown]
# ## Balls
#
# In a video, each frame gives points (pixels that differ from the backdrop) and no names. One component for each ball;
# the mixture of a frame is the start of the next. Old statistics fade, so that the mixture follows,
#
# $$ S_t = (1 - \eta)\, S_{t-1} + \eta\, S(\text{frame } t), $$
#
# which is EM again, with a memory. We throw three balls into a box of 100 by 60, with a pillar that hides them.


# %%
def thrown(n_frames=160, seed=0):
    """Return the centers of three bouncing balls, shape (T, 3, 2), and the points that are seen in each frame."""
    rng = np.random.default_rng(seed)
    place = np.array([[10.0, 50.0], [90.0, 40.0], [30.0, 20.0]])
    speed = np.array([[1.1, 0.0], [-0.8, 0.4], [0.9, 0.9]]) + rng.normal(0, 0.15, (3, 2))
    centers, frames = [], []
    for _ in range(n_frames):
        speed[:, 1] -= 0.02
        place = place + speed
        beyond = (place < 3.0) | (place > [97.0, 57.0])
        speed, place = np.where(beyond, -speed, speed), np.clip(place, 3.0, [97.0, 57.0])
        points = (place[:, None] + rng.normal(0, 1.2, (3, 40, 2))).reshape(-1, 2)
        centers.append(place)
        frames.append(points[(points[:, 0] < 46.0) | (points[:, 0] > 54.0)])
    return np.array(centers), frames


centers, frames = thrown()
tracked = list(track(Diagonal([[1.5, 1.5]]), frames, region=[[0.0, 0.0], [100.0, 60.0]]))
born = sorted({int(i) for moment in tracked for i in moment.identities})
print(f"{len(born)} objects were found in {len(frames)} frames")
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
axes[0].plot(*np.concatenate(frames[:40]).T, ".", color="#777777", markersize=1)
axes[0].set(title="The points of 40 frames, and no names", xlim=(0, 100), ylim=(0, 60))
plot_tracks(tracked, ax=axes[1])
axes[1].axvspan(46, 54, color="#dddddd", zorder=0)
axes[1].set(title="Paths: dotted behind the pillar", xlim=(0, 100), ylim=(0, 60))
plt.show()
# > 3 objects were found in 160 frames
# > [picture] The points of 40 frames, and no names; Paths: dotted behind the pillar

# %% [markdown]
# ## Is everybody still who they were?
#
# For each frame we ask which identity lies nearest to each ball, and compare with the one that it had first.


# %%
def kept(centers, tracked):
    """Return the share of balls and frames in which the nearest identity is the ball's first."""
    nearest = [m.identities[((m.mixture.means[:, None] - c) ** 2).sum(axis=2).argmin(axis=0)]
               for m, c in zip(tracked[1:], centers[1:], strict=True)]  # fmt: skip
    return np.mean(np.array(nearest) == nearest[0])


print(f"identities kept: {kept(centers, tracked):.0%}")
# > identities kept: 100%

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: other criteria
#
# What do AIC, ICL and cross-validation choose for Iris (`choice.ranked("aic")`; for the last `folds=3`)? Why does ICL
# never ask for more components than BIC here?
#
# ### Exercise 2: how sure is the mixture?
#
# `impute(model, x, seed=...)` draws from the conditional distribution instead of taking its mean. Impute 50 times. How
# wide do draws spread, and is that as wide as the errors are?
#
# ### Exercise 3: more holes
#
# Remove 10, 30, 50 and 70 % of all entries. When is the mixture no better than the mean of the column?
#
# ### Exercise 4: balls that meet
#
# Throw with the seeds 1 to 5. Then give `track` a patience of 3 frames instead of 15. What happens behind the pillar?

# %% [markdown]
# ## Answers
#
# ### Answer 1

# %%
folded = choose(x, range(1, 7), covariances=["full", "tied"], starts=2, folds=3)
for criterion in ("bic", "icl", "aic", "cross_validated"):
    best = folded.ranked(criterion)[0]
    print(f"{criterion:16s}K = {best.n_components} {best.covariance}")
# > bic             K = 2 full
# > icl             K = 2 full
# > aic             K = 6 full
# > cross_validated K = 2 full

# %% [markdown]
# AIC charges 1 per parameter instead of $\tfrac{1}{2} \ln 150 = 2.5$, and takes the most that it is offered: with few
# points it overfits. Cross-validation asks how well other flowers are predicted, and agrees with BIC here. ICL adds to
# BIC how undecided the posteriors are: components that overlap cost more, so that it counts clusters that stand apart.
#
# ### Answer 2

# %%
draws = np.array([impute(fit.model, given, seed=seed)[hole] for seed in range(50)])
spread = draws.std(axis=0)
error = np.sqrt(np.mean((filled - x)[hole] ** 2))
print(f"draws spread by {np.sqrt(np.mean(spread**2)):.2f} cm; errors are {error:.2f} cm")
low, high = np.quantile(draws, [0.1, 0.9], axis=0)
print(f"{np.mean((x[hole] > low) & (x[hole] < high)):.0%} of the true lengths lie in the middle 80 % of their draws")
# > draws spread by 0.36 cm; errors are 0.48 cm
# > 77% of the true lengths lie in the middle 80 % of their draws

# %% [markdown]
# The spread is about as wide as the errors: the mixture knows what it does not know. (It is a little too sure, for its
# own parameters are not known exactly either.) Filling in the mean alone would make every later analysis too sure.
#
# ### Answer 3

# %%
for share in (0.1, 0.3, 0.5, 0.7):
    gone = np.random.default_rng(2).random(x.shape) < share
    left = np.where(gone & ~gone.all(axis=1, keepdims=True), np.nan, x)
    gone = np.isnan(left)
    model = fit_gmm(left, 2, covariance="full", missing=True, floor=Floor(relative=0.01)).model
    errors = [(impute(model, left) - x)[gone], (np.nanmean(left, axis=0) - x)[gone]]
    mixture, mean = (np.sqrt(np.mean(e**2)) for e in errors)
    print(f"{share:.0%} removed: mixture {mixture:.2f} cm, mean of the column {mean:.2f} cm")
# > 10% removed: mixture 0.33 cm, mean of the column 1.12 cm
# > 30% removed: mixture 0.35 cm, mean of the column 1.08 cm
# > 50% removed: mixture 0.42 cm, mean of the column 1.05 cm
# > 70% removed: mixture 0.66 cm, mean of the column 1.05 cm

# %% [markdown]
# As long as a row has one or two lengths left, the mixture knows how large the flower is.
#
# ### Answer 4

# %%
for patience in (15, 3):
    shares = []
    for seed in range(1, 6):
        truth, seen = thrown(seed=seed)
        result = list(track(Diagonal([[1.5, 1.5]]), seen, region=[[0.0, 0.0], [100.0, 60.0]], patience=patience))
        shares.append(kept(truth, result))
    print(f"patience {patience:2d}: identities kept {np.mean(shares):.0%}")
# > patience 15: identities kept 91%
# > patience  3: identities kept 23%

# %% [markdown]
# Whoever is hidden for longer than the patience dies, and comes back under another number. Too much patience has a
# price as well: a ghost waits behind the pillar, and takes over the next ball that comes out.
