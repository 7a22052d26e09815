"""The models of everybody in a store as they are scored, in blocks, so that a change makes a block anew and no other.

Of thousands of speakers what float32 frames are scored with is all that is held, four bytes for each mean. The means
follow from that, rounded to float32, where somebody asks for them. A speaker whose means float32 cannot hold, or whose
mixtures have features that depend on each other, is held by means in float64. Each is so by themselves, so that
no score depends on who shares a block. Symbols: S speakers, K components, D dimensions, P mixtures.
"""

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture import UBM, Ensemble
from speechgmm.mixture.covariance import Independent
from speechgmm.parallel import threads, workers
from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.models import GROUP, SpeakerModels, Terms, laid_out, quadratic_terms, shared_terms


@dataclass(frozen=True, eq=False)
class BlockLayout:
    """How the models of speakers who are adapted from a background model are laid out."""

    ubm: UBM

    @functools.cached_property
    def shared(self) -> tuple[tuple[Array, Array], ...]:
        """What the models of each mixture share, nothing where features are not independent: see `shared_terms`."""
        parts = self.ubm.parts
        return tuple(map(shared_terms, parts)) if all(isinstance(p.covariance, Independent) for p in parts) else ()

    @functools.cached_property
    def quadratic(self) -> tuple[Array, ...]:
        """The coefficients (D, K) in y squared of each mixture, float32."""
        return tuple(quadratic_terms(precisions, np.float32) for precisions, _ in self.shared)

    @functools.cached_property
    def _largest(self) -> tuple[Array, ...]:
        return tuple(precisions.max(axis=1) for precisions, _ in self.shared)

    def empty(self, n: int) -> tuple[Array, ...]:
        """Return room for the background model and n others in each mixture, (n + 1, D + 1, K)."""
        return tuple(np.empty((n + 1, p.means.shape[1] + 1, len(p.means)), np.float32) for p in self.ubm.parts)

    def lay_out(self, linear: tuple[Array, ...], row: int, means: Array, *, checked: bool = True) -> bool:
        """Write a model from its means (K, D), relative to the origin; False where float32 cannot hold them."""
        largest = self._largest if checked else [None] * len(self.shared)
        every = zip(linear, self.split(means), self.shared, largest, strict=bool(self.shared))
        return bool(self.shared) and all(laid_out(x[row], own, *shared, most) for x, own, shared, most in every)

    @functools.cached_property
    def single(self) -> bool:
        """Whether float32 holds the background model."""
        return self.lay_out(self.empty(0), 0, self.ubm.offsets)

    def split(self, means: Array) -> list[Array]:
        """Return the means (K, D) of each mixture."""
        return self.ubm.split(means) if isinstance(self.ubm, Ensemble) else [means]

    def blocks(
        self, names: Sequence[str], speech_seconds: Sequence[float], means: Iterable[Array]
    ) -> "list[ModelBlock]":
        """Return speakers in one block or in two, from their adapted means (K, D), relative to the origin."""
        linear, compact, exact = self.empty(len(names) if self.single else 0), list[int](), dict[int, Array]()
        for i, own in enumerate(means):
            if self.single and self.lay_out(linear, len(compact) + 1, own):
                compact.append(i)
            else:
                exact[i] = own

        def told(some: Iterable[int]) -> tuple[tuple[str, ...], Array]:
            return tuple(names[i] for i in some), np.array([speech_seconds[i] for i in some])

        found: list[ModelBlock] = []
        if compact:
            self.lay_out(linear, 0, self.ubm.offsets)
            held = linear if not exact else tuple(x[: len(compact) + 1].copy() for x in linear)
            found.append(CompactBlock(*told(compact), held))
        if exact:
            found.append(ExactBlock(*told(exact), np.stack(list(exact.values()))))
        return found


@dataclass(frozen=True, eq=False)
class ModelBlock(ABC):
    """The models of n speakers: their `names` and `speech_seconds` (n,)."""

    names: tuple[str, ...]
    speech_seconds: Array

    @abstractmethod
    def ratios(self, layout: BlockLayout, part: int, x: Array) -> Array:
        """Return the ratios (n,) of frames (N, D) under one mixture."""

    @abstractmethod
    def means(self, layout: BlockLayout, row: int) -> Array:
        """Return the adapted means (K, D) of one of them, relative to the origin."""

    @abstractmethod
    def take(self, rows: Sequence[int]) -> Self:
        """Return some of them."""

    @abstractmethod
    def part(self, layout: BlockLayout, number: int) -> Self:
        """Return their models under one mixture."""

    @classmethod
    @abstractmethod
    def together(cls, blocks: "Sequence[Any]") -> Self:
        """Return one block of several."""


@dataclass(frozen=True, eq=False)
class CompactBlock(ModelBlock):
    """Speakers as float32 frames are scored.

    Parameters
    ----------
    linear : tuple of ndarray
        Of each mixture, `Terms.linear`: (n + 1, D + 1, K), those of the background first.
    """

    linear: tuple[Array, ...]

    def ratios(self, layout: BlockLayout, part: int, x: Array) -> Array:
        """Return the ratios (n,) of frames (N, D) under one mixture."""
        if x.dtype != np.float32:
            return ExactBlock(self.names, self.speech_seconds, self._means(layout, part)).alone(layout, part, x)
        terms = Terms(self.linear[part], layout.quadratic[part])
        total = terms.log_densities(x, layout.ubm.origin, slice(None))
        return np.asarray((total[1:] - total[0]) / len(x))

    def _means(self, layout: BlockLayout, part: int, rows: slice = slice(1, None)) -> Array:
        """Return adapted means (n, K, D) of one mixture."""
        return np.asarray(self.linear[part][rows, :-1].swapaxes(1, 2) / layout.shared[part][0])

    def means(self, layout: BlockLayout, row: int) -> Array:
        """Return the adapted means (K, D) of one of them, relative to the origin."""
        own = slice(row + 1, row + 2)
        return np.concatenate([self._means(layout, p, own)[0] for p in range(len(self.linear))])

    def take(self, rows: Sequence[int]) -> Self:
        """Return some of them."""
        held = [0, *(row + 1 for row in rows)]
        linear = tuple(x[held] for x in self.linear)
        return type(self)(tuple(self.names[i] for i in rows), self.speech_seconds[list(rows)], linear)

    def part(self, layout: BlockLayout, number: int) -> Self:
        """Return their models under one mixture."""
        return type(self)(self.names, self.speech_seconds, self.linear[number : number + 1])

    @classmethod
    def together(cls, blocks: Sequence[Any]) -> Self:
        """Return one block of several."""
        every = zip(*(b.linear for b in blocks), strict=True)
        linear = tuple(np.concatenate([own[0], *(x[1:] for x in own[1:])]) for own in every)
        return cls(*_told(blocks), linear)


@dataclass(frozen=True, eq=False)
class ExactBlock(ModelBlock):
    """Speakers by their adapted means.

    Parameters
    ----------
    offsets : ndarray, shape (n, K, D)
        Relative to the origin.
    """

    offsets: Array

    def ratios(self, layout: BlockLayout, part: int, x: Array) -> Array:
        """Return the ratios (n,) of frames (N, D) under one mixture."""
        return self.part(layout, part).alone(layout, part, x)

    def alone(self, layout: BlockLayout, part: int, x: Array) -> Array:
        """Return ratios where the means are those of one mixture."""
        ubm = layout.ubm.parts[part]
        return SpeakerModels(self.names, self.offsets, self.speech_seconds, ubm, "").ratios(x, n_threads=1)

    def means(self, layout: BlockLayout, row: int) -> Array:
        """Return the adapted means (K, D) of one of them, relative to the origin."""
        return np.asarray(self.offsets[row])

    def take(self, rows: Sequence[int]) -> Self:
        """Return some of them."""
        chosen = list(rows)
        return type(self)(tuple(self.names[i] for i in rows), self.speech_seconds[chosen], self.offsets[chosen])

    def part(self, layout: BlockLayout, number: int) -> Self:
        """Return their models under one mixture."""
        own = layout.split(self.offsets.swapaxes(0, 1))[number].swapaxes(0, 1)
        return type(self)(self.names, self.speech_seconds, own)

    @classmethod
    def together(cls, blocks: Sequence[Any]) -> Self:
        """Return one block of several."""
        return cls(*_told(blocks), np.concatenate([b.offsets for b in blocks]))


def _told(blocks: Sequence[ModelBlock]) -> tuple[tuple[str, ...], Array]:
    """Return the names of the speakers of several blocks, and how much they said."""
    return tuple(name for b in blocks for name in b.names), np.concatenate([b.speech_seconds for b in blocks])


def tidied(blocks: Iterable[ModelBlock]) -> list[ModelBlock]:
    """Return blocks of which small ones are put together; all others, those that are more than half full, stay."""
    given = [b for b in blocks if b.names]
    found = [b for b in given if len(b.names) > GROUP // 2]
    for kind in (CompactBlock, ExactBlock):
        small = [b for b in given if isinstance(b, kind) and len(b.names) <= GROUP // 2]
        full = [n // GROUP for n in itertools.accumulate(len(b.names) for b in small)]
        for _, some in itertools.groupby(zip(full, small, strict=True), key=lambda both: both[0]):
            own = [b for _, b in some]
            found.append(kind.together(own) if len(own) > 1 else own[0])
    return found


class BlockModels(SpeakerModels):
    """The models of S speakers in blocks; `offsets` and `terms` are made where they are asked for.

    Parameters
    ----------
    layout : BlockLayout
    blocks : sequence of ModelBlock
    fingerprint : str
        Of the system.
    damaged : tuple of DamagedSession
    names : sequence of str, optional
        The order of the speakers; default: sorted.
    """

    layout: BlockLayout
    blocks: tuple[ModelBlock, ...]
    order: Array

    def __init__(
        self,
        layout: BlockLayout,
        blocks: Sequence[ModelBlock],
        fingerprint: str,
        damaged: tuple[DamagedSession, ...] = (),
        names: Sequence[str] | None = None,
    ) -> None:
        places = {name: i for i, name in enumerate(name for block in blocks for name in block.names)}
        ordered = tuple(sorted(places) if names is None else names)
        order = np.array([places[name] for name in ordered], int)
        seconds = np.concatenate([np.empty(0), *(b.speech_seconds for b in blocks)])[order]
        vars(self).update(names=ordered, speech_seconds=seconds, ubm=layout.ubm, fingerprint=fingerprint)
        vars(self).update(damaged=damaged, layout=layout, blocks=tuple(blocks), order=order)

    @property
    def offsets(self) -> Array:
        """Adapted means, relative to the UBM's origin, (S, K, D): made of what is held, and not kept."""
        return np.stack([self.means_of(i) for i in range(len(self.names))])

    def means_of(self, i: int) -> Array:
        """Return the adapted means (K, D) of one speaker, relative to the UBM's origin."""
        block, rows = next(iter(self._within(np.array([i]))))
        return block.means(self.layout, rows[0])

    def _within(self, indices: Array) -> Iterable[tuple[ModelBlock, list[int]]]:
        """Yield the blocks in which some speakers are, and their rows there."""
        ends = np.cumsum([len(b.names) for b in self.blocks])
        places = self.order[indices]
        numbers = np.searchsorted(ends, places, side="right")
        for n in np.unique(numbers).tolist():
            block = self.blocks[n]
            yield block, (places[numbers == n] - (ends[n] - len(block.names))).tolist()

    def ratios(self, x: Array, n_threads: int | None = None) -> Array:
        """Return the mean log-likelihood ratios (S,) of frames that fit the UBM: see `log_likelihood_ratios`."""
        seen = self.ubm.seen(x)
        jobs = [(block, p) for p in range(len(seen)) for block in self.blocks]

        def score(job: tuple[ModelBlock, int]) -> Array:
            block, p = job
            return block.ratios(self.layout, p, seen[p])

        found = np.concatenate(list(threads(workers(n_threads, len(self.blocks)))(score, jobs)))
        return np.asarray(self.ubm.shares @ found.reshape(len(seen), -1)[:, self.order])

    @functools.cached_property
    def _split(self) -> tuple[SpeakerModels, ...]:
        found = []
        for p, ubm in enumerate(self.ubm.parts):
            blocks = [b.part(self.layout, p) for b in self.blocks]
            found.append(BlockModels(BlockLayout(ubm), blocks, self.fingerprint, self.damaged, self.names))
        return tuple(found)

    def take(self, indices: Array) -> SpeakerModels:
        """Return the models with these indices (n,)."""
        blocks = tidied(block.take(sorted(set(rows))) for block, rows in self._within(indices))
        names = [self.names[i] for i in indices.tolist()]
        return BlockModels(self.layout, blocks, self.fingerprint, self.damaged, names)

    def _terms(self, dtype: Any) -> Terms:
        if dtype != np.float32 or not all(isinstance(b, CompactBlock) for b in self.blocks):
            return super()._terms(np.float64)
        (linear,) = CompactBlock.together(self.blocks).linear
        return Terms(linear[np.concatenate([[0], self.order + 1])], self.layout.quadratic[0])
