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
# # 2. What EM does, step by step
#
# Nobody says which component a point comes from, and without that nobody can say what the components are. Expectation
# maximization (EM) breaks the circle. You write it in twelve lines of numpy, watch it, and check every number against
# `fit_gmm`.
#
# * **Time:** 90 minutes with the exercises.
# * **You need:** numpy, the normal distribution in two dimensions, sums over an index.
# * **After it you can** write EM, read its objective, and say when it fails and why it works on any amount of data.
#
# Symbols, here and everywhere in speechgmm: $N$ points (frames), $K$ components, $D$ dimensions.

# %%
import numpy as np
from matplotlib import pyplot as plt

from speechgmm.mixture import GMM, Diagonal, Floor, Stop, fit_gmm, initialize, maximize
from speechgmm.plot import plot_mixture

NO_FLOOR = Floor(relative=0.0, absolute=1e-12)

# %% [markdown]
# ## The data
#
# Three clusters, drawn from a mixture that we know. EM will see the points alone, not their colors.

# %%
truth = GMM(
    [0.5, 0.3, 0.2],
    [[0.0, 0.0], [4.0, 1.0], [1.0, 4.0]],
    Diagonal([[1.0, 1.0], [1.5, 0.4], [0.4, 1.5]]),
)
drawn = truth.sample(600, seed=3)
x = drawn.frames
N, D = x.shape
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
plot_mixture(truth, x, labels=drawn.components, ax=axes[0])
axes[0].set_title("How the points were made")
axes[1].plot(*x.T, ".", color="#777777", markersize=3)
axes[1].set_title("What EM is given")
plt.show()
# > [picture] How the points were made; What EM is given

# %% [markdown]
# ## The model
#
# A point is likely if any component makes it likely:
#
# $$ p(x) = \sum_{k=1}^{K} w_k \, \mathcal{N}(x \mid \mu_k, \sigma_k^2), $$
#
# $$ \ln \mathcal{N}(x \mid \mu, \sigma^2) = -\tfrac{1}{2} \sum_{d=1}^{D} \left( \ln 2 \pi \sigma_d^2
# + \frac{(x_d - \mu_d)^2}{\sigma_d^2} \right). $$
#
# The function returns $\ln w_k + \ln \mathcal{N}(x_n \mid \mu_k, \sigma_k^2)$ for all $n$ and $k$ at once.


# %%
def log_joint(x, weights, means, variances):
    """Return ln(w_k N(x_n | k)), shape (N, K)."""
    distance = (x[:, None] - means) ** 2 / variances
    return np.log(weights) - 0.5 * (np.log(2 * np.pi * variances) + distance).sum(axis=2)


# %% [markdown]
# ## The E-step: who is responsible?
#
# If we knew the components, Bayes' rule would say how probably each of them has made a point. These **posteriors**
# (responsibilities) of a point sum to 1:
#
# $$ \gamma_{nk} = \frac{w_k \, \mathcal{N}(x_n \mid k)}{\sum_j w_j \, \mathcal{N}(x_n \mid j)}. $$
#
# The denominator is $p(x_n)$; the mean of its logarithm is the **objective** of EM, the log-likelihood per point,
#
# $$ L = \frac{1}{N} \sum_{n=1}^{N} \ln p(x_n). $$
#
# All is computed with logarithms, so that points far away do not become 0 divided by 0.


# %%
def e_step(x, weights, means, variances):
    """Return the posteriors (N, K), and the log-likelihood in nats per point."""
    joint = log_joint(x, weights, means, variances)
    top = joint.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    return np.exp(joint - total), total.mean()


# %% [markdown]
# ## The M-step: means of what each is responsible for
#
# If we knew the responsibilities, the components would be easy: count, mean and variance, where each point counts as
# much as it belongs to the component.
#
# $$ n_k = \sum_n \gamma_{nk}, \qquad w_k = \frac{n_k}{N}, $$
#
# $$ \mu_k = \frac{1}{n_k} \sum_n \gamma_{nk} x_n, \qquad
# \sigma_k^2 = \frac{1}{n_k} \sum_n \gamma_{nk} (x_n - \mu_k)^2. $$


# %%
def m_step(x, gamma):
    """Return weights, means and variances that are best for these posteriors."""
    count = gamma.sum(axis=0)
    means = gamma.T @ x / count[:, None]
    variances = (gamma[:, :, None] * (x[:, None] - means) ** 2).sum(axis=0) / count[:, None]
    return count / len(x), means, variances


# %% [markdown]
# ## Round and round
#
# We know neither, so we start anywhere and do both in turn. Here all three start at points of one cluster.

# %%
start = (np.ones(3) / 3, x[drawn.components == 0][:3], np.ones((3, 2)))
history, objective = [start], []
for _ in range(60):
    gamma, likelihood = e_step(x, *history[-1])
    objective.append(likelihood)
    history.append(m_step(x, gamma))
for step in (0, 1, 2, 5, 10, 20, 40, 59):
    print(f"after {step:2d} steps: {objective[step]:.10f} nats per point")
# > after  0 steps: -5.5368937962 nats per point
# > after  1 steps: -3.9705528282 nats per point
# > after  2 steps: -3.9099347809 nats per point
# > after  5 steps: -3.7299608262 nats per point
# > after 10 steps: -3.5909594728 nats per point
# > after 20 steps: -3.5604099056 nats per point
# > after 40 steps: -3.5603866340 nats per point
# > after 59 steps: -3.5603866340 nats per point

# %%
figure, axes = plt.subplots(2, 3, figsize=(8, 5.4), layout="constrained", sharex=True, sharey=True)
for ax, step in zip(axes.flat, (0, 1, 3, 6, 10, 40), strict=True):
    weights, means, variances = history[step]
    plot_mixture(GMM(weights, means, Diagonal(variances)), x, ax=ax)
    ax.set_title(f"after {step} steps")
figure.suptitle("Three components leave one cluster and find the others")
plt.show()
# > [picture] Three components leave one cluster and find the others

# %% [markdown]
# ## It never falls
#
# Each step raises the likelihood or leaves it as it is (Dempster, Laird and Rubin, 1977). This is the best test of any
# EM program: a likelihood that falls by more than rounding means a mistake in the code.

# %%
print(f"every step rises, but for rounding: {np.diff(objective).min() > -1e-12}")
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
axes[0].plot(objective, ".-")
axes[0].axhline(truth.log_density(x).mean(), color="#777777", linestyle="--")
axes[0].set(title="It rises to (here: above) the dashed truth", xlabel="step", ylabel="nats per point")
axes[1].semilogy(np.diff(objective)[:30], ".-")
axes[1].set(title="Each rise is a fixed part of the last one", xlabel="step", ylabel="rise in nats")
plt.show()
# > every step rises, but for rounding: True
# > [picture] It rises to (here: above) the dashed truth; Each rise is a fixed part of the last one

# %% [markdown]
# The fit is *better* than the truth on these points: it also describes their accidents. Once it is near the end EM
# converges linearly, the slower the more components overlap.
#
# ## The same by speechgmm, to ten digits
#
# `fit_gmm` from the same start, without a floor under the variances, must go through the same numbers.

# %%
weights, means, variances = start
settings = {"init": GMM(weights, means, Diagonal(variances)), "stop": Stop(0.0, 60), "floor": NO_FLOOR}
fit = fit_gmm(x, 3, **settings)
print(f"the objective is equal to 1e-12: {np.allclose(fit.objective[:60], objective, rtol=0, atol=1e-12)}")
print(f"the means are equal to 1e-12: {np.allclose(fit.model.means, history[60][1], rtol=0, atol=1e-12)}")
# > the objective is equal to 1e-12: True
# > the means are equal to 1e-12: True

# %% [markdown]
# What is left is rounding, which differs between machines.
#
# ## Statistics that add
#
# The M-step needs no points. It needs three sums for each component, the **sufficient statistics**:
#
# $$ n_k = \sum_n \gamma_{nk}, \qquad f_k = \sum_n \gamma_{nk} x_n, \qquad s_k = \sum_n \gamma_{nk} x_n^2. $$
#
# Sums of halves add to the sum of the whole. So EM runs over blocks of any size, on many processors or machines, and a
# recording can be added to a speaker, and taken away again. All of speechgmm rests on this line.

# %%
model = settings["init"]
whole = model.statistics(x)
halves = model.statistics(x[:300]) + model.statistics(x[300:])
print(f"counts of the whole:       {whole.counts.round(6)}")
print(f"counts of halves, summed:  {halves.counts.round(6)}")
step = maximize(halves, model, floor=NO_FLOOR).model
print(f"one step from the sum is the first step above: {np.allclose(step.means, history[1][1])}")
# > counts of the whole:       [167.266885 274.990864 157.742251]
# > counts of halves, summed:  [167.266885 274.990864 157.742251]
# > one step from the sum is the first step above: True

# %% [markdown]
# ## Local optima
#
# EM climbs the hill that it stands on, which need not be the highest. Nine clusters in a grid, nine components, and 20
# starts from nine points each that are drawn at random: we see where each ends.

# %%
middles = 4.0 * np.array([[column, row] for row in range(3) for column in range(3)])
grid = GMM(np.ones(9) / 9, middles, Diagonal(np.full((9, 2), 0.5))).sample(900, seed=5).frames
rng = np.random.default_rng(0)
ends = []
for _ in range(20):
    model = GMM(np.ones(9) / 9, rng.permutation(grid)[:9], Diagonal(np.ones((9, 2))))
    ends.append(fit_gmm(grid, 9, init=model, stop=Stop(1e-6, 500)))
reached = np.array([end.objective[-1] for end in ends])
best, worst = ends[reached.argmax()], ends[reached.argmin()]
print(f"best {reached.max():.3f}, worst {reached.min():.3f} nats per point")
print(f"{np.mean(reached > reached.max() - 0.01):.0%} of the starts reach the best")
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained", sharey=True)
for ax, end, name in zip(axes, (best, worst), ("best", "worst"), strict=True):
    plot_mixture(end.model, grid, ax=ax)
    ax.set_title(f"The {name} end: {end.objective[-1]:.2f} nats")
plt.show()
# > best -4.312, worst -4.763 nats per point
# > 25% of the starts reach the best
# > [picture] The best end: -4.31 nats; The worst end: -4.76 nats

# %% [markdown]
# In the worst end several components share a cluster while another covers four, and no small step helps: a component
# would have to jump across. So a good start matters. `fit_gmm` takes k-means, which draws its first centers far apart.

# %%
good = fit_gmm(x, 3, stop=Stop(1e-9, 2000))
print(f"three clusters, from k-means: {good.objective[-1]:.4f} nats per point")
print(f"nine clusters, from k-means:  {fit_gmm(grid, 9).objective[-1]:.3f} nats per point")
# > three clusters, from k-means: -3.5604 nats per point
# > nine clusters, from k-means:  -4.312 nats per point

# %% [markdown]
# ## Components that collapse, and the floor
#
# A component that sits on one point and becomes ever narrower has a density that grows without bound: the highest
# "optimum" is infinite, and worthless. We see it happen: 8 components on the 12 first points.

# %%
few = x[:12]
parameters, grown = (np.ones(8) / 8, few[:8].copy(), np.full((8, 2), 1.0)), []
while parameters[2].min() > 1e-12:
    gamma, likelihood = e_step(few, *parameters)
    parameters = m_step(few, gamma)
    grown.append(likelihood)
print("numpy alone, step by step: " + ", ".join(f"{value:.1f}" for value in grown) + " nats per point, ...")
print(f"a variance is below 1e-12: {parameters[2].min() < 1e-12}; soon 0 is divided by 0")
held = fit_gmm(few, 8, init=GMM(np.ones(8) / 8, few[:8], Diagonal(np.ones((8, 2)))), floor=Floor(relative=0.01))
print(f"with a floor under the variances: {held.objective[-1]:.2f} nats per point")
print(f"variances that the floor holds: {held.notes[-1].get('floored', 0)} of 16")
# > numpy alone, step by step: -3.4, -2.8, -2.4 nats per point, ...
# > a variance is below 1e-12: True; soon 0 is divided by 0
# > with a floor under the variances: -1.16 nats per point
# > variances that the floor holds: 13 of 16

# %% [markdown]
# The floor of 0.01 says: no component is narrower than a tenth of the deviation of all points. Clipping at a *fixed*
# floor is the maximum under that bound, so that the objective still never falls.
#
# ## How many components?
#
# The likelihood of the points that were seen rises with each component. Points that were *not* seen tell when to stop.

# %%
fresh = truth.sample(2000, seed=4).frames
kinds = list(range(1, 13))
fits = [fit_gmm(x, k, covariance="full", stop=Stop(1e-6, 1000)).model for k in kinds]
seen = [model.log_density(x).mean() for model in fits]
unseen = [model.log_density(fresh).mean() for model in fits]
print(f"new points are explained best by K = {kinds[int(np.argmax(unseen))]}")
print(f"from K = 3 to 12 seen points gain {seen[11] - seen[2]:+.2f} nats, new ones {unseen[11] - unseen[2]:+.2f}")
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.plot(kinds, seen, "o-", label="the 600 points that it has learned from")
ax.plot(kinds, unseen, "o-", label="2000 new points")
ax.set(title="Seen points always ask for more; new points say when it is enough", xlabel="K", ylabel="nats per point")
ax.legend(frameon=False)
plt.show()
# > new points are explained best by K = 3
# > from K = 3 to 12 seen points gain +0.06 nats, new ones -0.09
# > [picture] Seen points always ask for more; new points say when it is enough

# %% [markdown]
# Criteria such as BIC say the same without new points: lesson 5.
#
# ## Exercises
#
# ### Exercise 1: k-means is EM in a hurry
#
# Replace the posteriors by 1 for the most probable component and 0 for the others, and hold all variances at 1 and
# weights at 1/3. Which algorithm is that? Compare its means with those of EM.
#
# ### Exercise 2: full covariances
#
# Turn the points by 45 degrees. What does that cost diagonal covariances, and what full ones? Say it first, then use
# `fit_gmm(..., covariance="full")`.
#
# ### Exercise 3: forget
#
# Take the statistics of all points under `good.model`, and those of the first 100. Subtract (speechgmm's statistics
# have no minus; take `counts`, `first` and `second`). Compare with the statistics of the other 500. Why is that a
# useful thing for a store of speakers?
#
# ### Exercise 4: a symmetric start
#
# Start all three components at the same place. What happens, and why does no step ever help?

# %% [markdown]
# ## Answers
#
# ### Answer 1

# %%
centers = start[1]
for _ in range(100):
    nearest = ((x[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    centers = np.array([x[nearest == k].mean(axis=0) for k in range(3)])
for k in np.argsort(centers[:, 0]):
    near = good.model.means[((good.model.means - centers[k]) ** 2).sum(axis=1).argmin()]
    print(f"k-means ({centers[k, 0]:5.2f}, {centers[k, 1]:5.2f})   EM ({near[0]:5.2f}, {near[1]:5.2f})")
# > k-means (-0.01,  0.10)   EM (-0.04,  0.08)
# > k-means ( 1.14,  4.30)   EM ( 1.14,  4.28)
# > k-means ( 4.03,  1.04)   EM ( 3.89,  1.05)

# %% [markdown]
# It is k-means: every point has one owner, and the owner moves to the mean of its points. It cuts off the tails where
# clusters overlap, which pushes the centers apart, and it knows no widths: that is what EM repairs.
#
# ### Answer 2

# %%
turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
for covariance in ("diag", "full"):
    before, after = (
        fit_gmm(data, 3, covariance=covariance, stop=Stop(1e-9, 2000)).objective[-1] for data in (x, x @ turn.T)
    )
    print(f"{covariance}: {before:.4f} nats as it was, {after:.4f} turned")
# > diag: -3.5604 nats as it was, -3.6410 turned
# > full: -3.5582 nats as it was, -3.5582 turned

# %% [markdown]
# Ellipses of diagonal covariances lie along the axes. Turned clusters need more of them, or full covariances, which do
# not notice that anything was turned. Cepstra are nearly uncorrelated, which is why speech does with diagonals.
#
# ### Answer 3

# %%
everything, some, rest = (good.model.statistics(part) for part in (x, x[:100], x[100:]))
for name in ("counts", "first", "second"):
    left = getattr(everything, name) - getattr(some, name)
    print(f"{name:7s} are those of the other 500 points: {np.allclose(left, getattr(rest, name), atol=1e-9)}")
# > counts  are those of the other 500 points: True
# > first   are those of the other 500 points: True
# > second  are those of the other 500 points: True

# %% [markdown]
# A store that keeps statistics can forget a recording as if it had never been there. (speechgmm keeps the statistics of
# each session and adds again what is left: differences of large sums lose digits.)
#
# ### Answer 4

# %%
same = GMM(np.ones(3) / 3, np.tile(x[0], (3, 1)), Diagonal(np.ones((3, 2))))
stuck = fit_gmm(x, 3, init=same, stop=Stop(0.0, 30))
print(f"means: {stuck.model.means.round(3).tolist()}")
print(f"{stuck.objective[-1]:.4f} nats per point; one Gaussian has {fit_gmm(x, 1).objective[-1]:.4f}")
started = initialize(x, 3, method="random", seed=1)
print(f"three different points to start from: {fit_gmm(x, 3, init=started, stop=Stop(1e-9, 2000)).objective[-1]:.4f}")
# > means: [[1.445, 1.128], [1.445, 1.128], [1.445, 1.128]]
# > -4.1028 nats per point; one Gaussian has -4.1028
# > three different points to start from: -3.5604

# %% [markdown]
# All components are equally responsible for each point, so all get the same mean, and stay equal. EM keeps every
# symmetry of its start: it stands on a saddle, where the slope is 0. A start must break symmetry.
