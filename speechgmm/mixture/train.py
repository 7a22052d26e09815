"""From frames to a trained mixture in one call: initialize, then EM. Symbols: N frames, K components, D dimensions."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, instance, refuse
from speechgmm.mixture.accelerate import SETTLED, check_acceleration, momentum
from speechgmm.mixture.blocks import as_blocks, sample_frames
from speechgmm.mixture.covariance import Covariance, covariance_type
from speechgmm.mixture.em import Fit, Notes, Stop, StopRule, Update, fit, statistics_of
from speechgmm.mixture.initialize import initialize, sample_size_of
from speechgmm.mixture.maximize import Floor, maximize
from speechgmm.mixture.missing import impute, observed_statistics
from speechgmm.mixture.model import GMM
from speechgmm.mixture.selection import Numbered, Selection, Visitor
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import Threads, own_threads


def fit_gmm(
    blocks: ArrayLike | Iterable[ArrayLike],
    n_components: int,
    *,
    init: str | GMM | Fit[GMM] | None = None,
    covariance: str | type[Covariance] = "diag",
    seed: int | np.random.Generator = 0,
    stop: StopRule | None = None,
    floor: Floor = Floor(),
    missing: bool = False,
    selection: Selection | None = None,
    accelerated: bool = False,
    on_fit: Callable[[Fit[GMM]], None] | None = None,
    n_threads: Threads = None,
    on_iteration: Callable[[int, float, Notes], None] | None = None,
) -> Fit[GMM]:
    """Train a mixture of `n_components` on frames.

    Parameters
    ----------
    blocks : array_like (N, D), or re-iterable blocks of these, with weights or without
    n_components : int
        K.
    init : str, GMM or Fit, optional
        A method of `initialize`, which says what the default is, or the start itself, or what was handed to `on_fit`:
        EM then goes on from there, to the same bits. With a `selection` it cannot. Of millions of frames,
        `stepwise_passes` makes a better start.
    covariance : str or Covariance class
        "diag", "spherical", "tied" or "full", or another kind of covariance itself; a start that is given has its own.
    seed : int or numpy.random.Generator
    stop : StopRule, optional
        When EM ends. Default: ``Stop()``, once an iteration brings less than 1e-3 nats per frame; accelerated, whose
        iterations bring more each, ``Stop(4e-3)``: on speech it ended above plain EM in 51 of 52 runs.
    floor : Floor
        What keeps components from collapsing.
    missing : bool
        Take NaN for values that were not observed (see `Incomplete`) instead of refusing it. Every feature must be
        observed somewhere; rows without any value are left out.
    selection : Selection, optional
        Gaussian selection: most iterations visit only the components that matter to a frame. It costs memory (two
        bytes per frame for each component on its list) and likelihood, which the notes of the
        result report as "selection_loss". Worth it from about 500 components. Blocks must come in the same order each
        time and have no weights. Default: every iteration is exact.
    accelerated : bool
        Whether EM has `momentum`: each iteration begins farther along the way of the one before, unless that is worse,
        for covariances of independent features. On speech the likelihood of plain EM is there after a fifth to half
        of the iterations (`recipes/benchmarks/em.py --accelerated`). Default: plain EM, whose numbers stay as they
        were.
    on_fit : callable, optional
        Called after each iteration with what there is so far.
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. A selection keeps its lists in this
        process, and so takes threads.
    on_iteration : callable, optional
        Called with the iteration, the objective (nats per frame) and the notes of its M-step.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> fit_gmm(x, 2).model.means.round(0).ravel() + 0.0
    array([ 0., 10.])
    """
    data = as_blocks(blocks, missing=missing)
    rng = np.random.default_rng(seed)
    given = init.model if isinstance(init, Fit) else init
    if isinstance(init, Fit):
        instance(given, "what EM goes on from", GMM)
    sample = data if not missing or isinstance(given, GMM) else _imputed(data, n_components, covariance, rng, floor)
    begin = functools.partial(initialize, sample, n_components, seed=rng, covariance=covariance, floor=floor)
    start = begin(method=given, n_threads=n_threads)
    m_step: Callable[[Statistics, GMM], Update[GMM]] = functools.partial(maximize, floor=floor)
    e_step: Callable[[GMM, Any], Statistics] = observed_statistics if missing else statistics_of
    if accelerated:
        check_acceleration(start.covariance)
    if selection is not None:
        _check_selection(init, missing=missing, accelerated=accelerated)
        visitor = Visitor(selection, m_step)
        data, m_step, e_step = Numbered(data), visitor.m_step, visitor.e_step
        n_threads = own_threads(n_threads)
    if stop is None:
        stop = SETTLED if accelerated else Stop()
    run = functools.partial(fit, stop=stop, e_step=e_step, n_threads=n_threads, on_iteration=on_iteration)
    begun = init if isinstance(init, Fit) else start
    return run(begun, data, m_step, accelerate=momentum if accelerated else None, on_fit=on_fit)


def _check_selection(init: str | GMM | Fit[GMM] | None, *, missing: bool, accelerated: bool) -> None:
    """Refuse what Gaussian selection cannot be combined with."""
    if isinstance(init, Fit):
        refuse("a selection", "begin with EM, for its lists are not kept", "a fit to go on from")
    if missing:
        refuse("selection", "not be combined with missing values", "both")
    if accelerated:
        refuse("selection", "not be combined with accelerated EM, which must know every objective", "both")


def _imputed(
    data: Iterable[Any], k: int, covariance: str | type[Covariance], rng: np.random.Generator, floor: Floor
) -> Array:
    """Return complete frames for a start: drawn, given what was observed, from one Gaussian of all frames."""
    x = sample_frames(data, sample_size_of(k), rng, missing=True).astype(np.float64)
    seen = ~np.isnan(x)
    if not seen.any(axis=0).all():
        rule = "have every feature observed in some of the frames"
        refuse("frames", rule, f"none of feature {int(seen.any(axis=0).argmin())}", "Leave that feature out.")
    x = x[seen.any(axis=1)]
    kind = covariance_type(covariance)
    variance = np.maximum(np.nanvar(x, axis=0), floor.minimum(np.nanvar(x, axis=0)))
    gaussian = GMM(np.ones(1), np.nanmean(x, axis=0)[None], kind.of(np.maximum(variance, np.finfo(float).tiny)[None]))
    m_step = functools.partial(maximize, floor=floor)
    # what is drawn from it only has to look like the data: EM begins there
    found = fit(gaussian, [x[:2000]], m_step, stop=Stop(0.0, 8), e_step=observed_statistics, n_threads=1)
    return impute(found.model, x, seed=rng)
