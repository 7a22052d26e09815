"""Intervals of shares by counting again without each person, at every threshold: slow, by other ways than `shares`."""

from __future__ import annotations

import math

from scipy.stats import t as student

Attempt = tuple[int, dict[int, float]]
"""Who is tested, and by whose model how far above the threshold; below 0 is nobody's model, who is never left out."""


def share_interval(attempts: list[Attempt], level: float = 0.95) -> tuple[float, float, float]:
    """Return the share of attempts that reach 0, and the ends of its interval."""
    total, hits = len(attempts), sum(max(by.values()) >= 0 for _, by in attempts)
    people = {who for who, _ in attempts} | {max(by, key=lambda m: by[m]) for _, by in attempts if max(by) >= 0}
    people = {p for p in people if p >= 0}
    widths = {0: 0.0}
    for cut in {max(by.values()) for _, by in attempts}:
        reach = sum(max(by.values()) >= cut for _, by in attempts)
        widths[reach] = total * half_width(attempts, sorted(people), cut, level)
    above = crossing(hits, [k for k in sorted(widths) if k > hits], widths)
    below = crossing(hits, [k for k in sorted(widths, reverse=True) if 0 < k < hits], widths)
    high = total if above is None else hits + above
    if below is not None:
        return hits / total, (hits - below) / total, high / total
    least = min((k for k in widths if 0 < k <= hits), default=1)
    # x + slope sqrt(x) = hits, where a variance in proportion to x is that of the least number
    slope = widths.get(least, 0.0) / math.sqrt(least)
    low = ((math.sqrt(slope**2 + 4 * hits) - slope) / 2) ** 2
    return hits / total, low / total, high / total


def half_width(attempts: list[Attempt], people: list[int], cut: float, level: float) -> float:
    """Return Student's quantile times the deviation of the share that reaches a threshold."""
    total, n, whole, twice = len(attempts), len(people), share(attempts, cut), 0.0
    left = [share(without(attempts, p), cut, otherwise=whole) for p in people]
    middle = math.fsum(left) / n
    squares = [(x - middle) ** 2 for x in left]
    variance = (n - 1) / n * sum(squares)
    for who in people:
        own = [a for a in attempts if a[0] == who and max(a[1].values()) >= cut]
        for model in set(people) - {who}:
            turned = sum(max((v for m, v in by.items() if m != model), default=-math.inf) < cut for _, by in own)
            twice += (turned / total) ** 2
    spread = sum(s**2 for s in squares) - sum(squares) ** 2 / n
    freedom = min(n - 1, max(1.0, 2 * sum(squares) ** 2 / spread)) if spread > 1e-40 else n - 1
    return float(student.ppf((1 + level) / 2, freedom) * math.sqrt(max(variance - twice / 2, variance / 2)))


def without(attempts: list[Attempt], person: int) -> list[Attempt]:
    """Return the attempts of others at models of others."""
    kept = [(who, {m: v for m, v in by.items() if m != person}) for who, by in attempts if who != person]
    return [(who, by) for who, by in kept if by]


def share(attempts: list[Attempt], cut: float, otherwise: float = math.nan) -> float:
    """Return the share of attempts that reach a threshold."""
    return sum(max(by.values()) >= cut for _, by in attempts) / len(attempts) if attempts else otherwise


def crossing(hits: int, tried: list[int], widths: dict[int, float]) -> float | None:
    """Return how far from the hits the half width is first as long as the way back, on lines between counts."""
    last, gap = hits, -widths.get(hits, 0.0)
    for k in tried:
        after = abs(k - hits) - widths[k]
        if after >= 0 and gap == 0:
            return widths[k] ** 2 / abs(k - hits)
        if after >= 0:
            return abs(last - hits) + abs(k - last) * gap / (gap - after)
        last, gap = k, after
    return None
