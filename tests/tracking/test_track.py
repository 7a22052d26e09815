"""Tracking: identities stay with their objects, statistics fade as they should, every kind of frame has its rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Covariance, Diagonal, Full, Spherical, Statistics, Tied, maximize
from speechgmm.tracking import Tracked, WeightedPoints, track

KINDS: tuple[Covariance, ...] = (
    Diagonal([[1.0, 1.0]]),
    Spherical([1.0]),
    Tied(np.eye(2)),
    Full([np.eye(2)]),
)
BOX = [[-60.0, -60.0], [60.0, 60.0]]


def cloud(n: int = 60, seed: int = 0) -> np.ndarray:
    """WeightedPoints of mean exactly 0 and deviation about 1."""
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return x - x.mean(axis=0)


def moving(*paths: Callable[[int], tuple[float, float] | None], frames: int = 40, noise: int = 0) -> list[np.ndarray]:
    """Frames of clouds that follow paths (None: not there), with specks anywhere in the box."""
    rng, result = np.random.default_rng(1), []
    for t in range(frames):
        parts = [cloud(seed=i) + path(t) for i, path in enumerate(paths) if path(t) is not None]
        result.append(np.concatenate([np.zeros((0, 2)), *parts, rng.uniform(-60, 60, (noise, 2))]))
    return result


def places(result: Tracked) -> dict[int, np.ndarray]:
    """Where each identity is."""
    assert result.mixture is not None
    return dict(zip(result.identities.tolist(), result.mixture.means, strict=True))


def standing(*means: tuple[float, float]) -> GMM:
    """Objects at these places."""
    k = len(means)
    return GMM(np.full(k, 1 / k), np.array(means, dtype=float), Diagonal(np.ones((k, 2))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda c: type(c).__name__)
def test_identities_stay_through_a_crossing_for_every_covariance(kind: Covariance) -> None:
    paths = (lambda t: (-20.0 + t, 0.0), lambda t: (20.0 - t, 1.0), lambda t: (0.0, 20.0 - t))
    results = list(track(kind, moving(*paths, noise=5), region=BOX))
    assert results[0].mixture is None
    assert results[1].births == (0, 1, 2)
    who = {i: int(np.argmin([np.hypot(*(place - p(1))) for p in paths])) for i, place in places(results[1]).items()}
    assert sorted(who.values()) == [0, 1, 2]
    for t, result in enumerate(results[1:], start=1):
        assert result.identities.tolist() == [0, 1, 2]
        if not 15 <= t <= 25:  # near the crossing the places are those of prediction
            for i, place in places(result).items():
                assert np.hypot(*(place - paths[who[i]](t))) < 0.8, (t, i)
    assert all(r.deaths == () for r in results)


def test_the_prediction_is_what_keeps_them_apart() -> None:
    paths = (lambda t: (-20.0 + t, 0.0), lambda t: (20.0 - t, 0.0))
    results = list(track(standing((-20, 0), (20, 0)), moving(*paths), region=BOX, births=False))
    last = places(results[-1])
    assert last[0][0] == pytest.approx(19, abs=0.5)
    assert last[1][0] == pytest.approx(-19, abs=0.5)
    np.testing.assert_allclose(results[-1].velocities, [[1, 0], [-1, 0]], atol=0.1)


def test_an_object_hidden_for_a_while_comes_back_as_itself() -> None:
    frames = moving(lambda t: None if 15 <= t < 25 else (-20.0 + t, 3.0), lambda t: (0.0, -10.0))
    results = list(track(Diagonal([[1.0, 1.0]]), frames, region=BOX))
    assert results[-1].identities.tolist() == [0, 1]
    mine = next(i for i, place in places(results[5]).items() if place[1] > 0)
    assert [bool(r.visible[mine]) for r in results[14:27]] == [True] + [False] * 10 + [True] * 2
    assert places(results[20])[mine] == pytest.approx([0.0, 3.0], abs=0.3), "it is expected where it would be"
    assert places(results[-1])[mine] == pytest.approx([19.0, 3.0], abs=0.3)


@pytest.mark.parametrize("hidden", [1, 3, 8])
def test_who_was_hidden_comes_back_with_the_velocity_of_the_time_between(hidden: int) -> None:
    """It went faster behind something: what it is ahead of its expected place took as many frames as it was away."""
    gone, slow, fast = 15, 0.5, 0.9

    def path(t: int) -> tuple[float, float] | None:
        back = gone + hidden
        return None if gone <= t < back else (slow * min(t, gone - 1) + fast * max(t - gone + 1, 0), 0.0)

    results = list(track(standing((0, 0)), moving(path, frames=gone + hidden + 1), region=BOX, births=False))
    assert results[gone - 1].velocities[0, 0] == pytest.approx(slow, abs=0.01)
    assert results[-1].visible.tolist() == [True]
    # all of its points are new, but those that are remembered count as one frame beside as many as it was away
    share = (hidden + 1) / (hidden + 2)
    assert results[-1].velocities[0, 0] == pytest.approx(slow + share * (fast - slow), abs=0.02)


@pytest.mark.parametrize(("step", "turn"), [(0.5, 0.1), (0.25, 0.02)])
def test_an_accelerating_object_is_followed_at_the_distance_of_an_alpha_beta_filter(step: float, turn: float) -> None:
    """Where the lag has settled, the velocity gains in each frame what the object gains: its share of what is left."""
    frames = moving(lambda t: (0.5 * turn * t**2, 0.0), frames=60)
    last = list(track(standing((0, 0)), frames, step=step, noise=1e-6, region=BOX, births=False))[-1]
    left = turn * (2 - step) / step**2  # Benedict and Bordner 1962: beta = alpha**2 / (2 - alpha)
    true = 0.5 * turn * 59**2
    assert true - last.mixture.means[0, 0] == pytest.approx((1 - step) * left, rel=0.05)
    # the expected place of the next frame lags by all that is left
    expected = last.mixture.means[0, 0] + last.velocities[0, 0]
    assert 0.5 * turn * 60**2 - expected == pytest.approx(left, rel=0.05)


def test_the_noise_that_is_assumed_at_the_start_is_forgotten() -> None:
    frames = moving(lambda t: (0.3 * t, 0.0), frames=25)
    little, much = (list(track(standing((0, 0)), frames, region=BOX, noise=noise)) for noise in (1e-4, 0.8))
    assert little[0].noise < 1e-4 < 1e-3 < much[0].noise
    assert max(little[-1].noise, much[-1].noise) < 1e-4
    found, expected = (r[-1].mixture.covariance.parameters for r in (much, little))
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_where_an_object_is_first_seen_tells_nothing_of_its_velocity() -> None:
    first, *_, last = track(standing((0, 0)), moving(lambda t: (1.5, 0.0)), region=BOX, births=False)
    assert places(first)[0][0] > 0.7
    assert first.velocities.tolist() == [[0.0, 0.0]]
    assert places(last)[0] == pytest.approx([1.5, 0.0], abs=0.01)


@pytest.mark.parametrize("visible", [True, False])
def test_an_object_that_is_nearly_covered_moves_on_and_learns_nothing_from_its_rim(visible: bool) -> None:
    """From 8 of 60 points, those at its rear, it would learn to be slow; a third of all of them tells where it is."""
    frames = moving(lambda t: (-20.0 + t, 0.0), frames=20)
    for t in range(15, 20):
        order = np.argsort(frames[t][:, 0])
        frames[t] = frames[t][order[1::3] if visible else order[:8]]
    results = list(track(standing((-20, 0)), frames, region=BOX, births=False))
    assert results[14].visible.all()
    assert [bool(r.visible[0]) for r in results[15:]] == [visible] * 5
    assert results[-1].velocities[0, 0] == pytest.approx(1.0, abs=0.05)
    assert places(results[-1])[0] == pytest.approx([-1.0, 0.0], abs=0.2)


@pytest.mark.parametrize(
    ("hidden", "off", "itself"), [(2, 4.5, True), (2, 7.0, False), (8, 7.0, True), (8, 10.0, False)]
)
def test_the_longer_an_object_is_hidden_the_farther_it_is_looked_for(hidden: int, off: float, itself: bool) -> None:
    """Where it may be grows with the time, but not so far that anything which appears is taken for it."""

    def path(t: int) -> tuple[float, float] | None:
        return None if 10 <= t < 10 + hidden else (-20.0 + t, off * (t >= 10))

    last = list(track(standing((-20, 0)), moving(path, frames=14 + hidden), region=BOX))[-1]
    assert [i for i, seen in zip(last.identities.tolist(), last.visible, strict=True) if seen] == [0 if itself else 1]


@pytest.mark.parametrize("apart", [5.0, 7.0])
def test_two_that_appear_side_by_side_are_two(apart: float) -> None:
    frames = moving(lambda t: (0.3 * t, 0.0), lambda t: (0.3 * t, apart), frames=8)
    last = list(track(Diagonal([[1.0, 1.0]]), frames, region=BOX))[-1]
    assert sorted(place[1] for place in places(last).values()) == pytest.approx([0.0, apart], abs=0.2)


def test_an_object_that_stays_away_dies_and_its_number_is_not_used_again() -> None:
    frames = moving(lambda t: (5.0, 5.0) if t < 5 or t > 20 else None, lambda t: (-9.0, 0.0), frames=30)
    results = list(track(standing((5, 5), (-9, 0)), frames, region=BOX, patience=4))
    assert [(t, r.deaths) for t, r in enumerate(results) if r.deaths] == [(9, (0,))]
    assert [(t, r.births) for t, r in enumerate(results) if r.births] == [(22, (2,))]
    assert results[-1].identities.tolist() == [1, 2]
    assert list(track(standing((5, 5), (-9, 0)), frames, region=BOX, births=False, patience=4))[
        -1
    ].identities.tolist() == [1]


def test_all_may_vanish_and_others_come() -> None:
    frames = moving(lambda t: (0.0, 0.0) if t < 3 or t >= 9 else None, frames=12)
    results = list(track(standing((0, 0)), frames, patience=2))
    assert [None if r.mixture is None else r.identities.tolist() for r in results] == [
        [0], [0], [0], [0], [0], None, None, None, None, None, [1], [1],
    ]  # fmt: skip
    assert results[5].deaths == (0,)


def test_specks_pull_nobody_and_are_no_objects() -> None:
    results = list(track(standing((0, 0)), moving(lambda t: (0.0, 0.0), noise=30), region=BOX))
    assert {i for r in results for i in r.identities.tolist()} == {0}
    assert max(np.abs(places(r)[0]).max() for r in results) < 0.15
    assert np.mean([r.noise for r in results]) == pytest.approx(1 / 3, abs=0.02)


def test_one_frame_is_the_m_step_on_statistics_that_fade() -> None:
    start = standing((-8, 0), (8, 0))
    x = np.concatenate([cloud(seed=1) - np.array([8.5, -0.2]), cloud(30, seed=2) * 1.3 + np.array([8.0, 1.0])])
    result = next(iter(track(start, [x], step=0.25, noise=1e-6, births=False, region=BOX))).mixture
    past = Statistics(start.origin, start.weights, start.weights[:, None] * start.offsets,
                      start.covariance.imagined(start.offsets, start.weights), 0.0, 1.0)  # fmt: skip
    # the first frame counts for half: of the start, as much is known as of one frame
    expected = maximize(90 * 0.5 * past + 0.5 * start.statistics(x), start).model
    assert result is not None
    np.testing.assert_allclose(result.means, expected.means, atol=1e-3)
    np.testing.assert_allclose(result.weights, expected.weights, atol=1e-3)
    np.testing.assert_allclose(result.covariance.parameters, expected.covariance.parameters, rtol=1e-3)


def test_points_of_weight_zero_are_as_if_not_there() -> None:
    frames = moving(lambda t: (0.3 * t, 0.0), frames=6)
    more = [WeightedPoints(np.concatenate([f, cloud() + 20.0]), np.repeat([1.0, 0.0], 60)) for f in frames]
    plain, padded = (list(track(Diagonal([[1.0, 1.0]]), given, region=BOX)) for given in (frames, more))
    assert plain[-1].identities.tolist() == [0]
    for a, b in zip(plain, padded, strict=True):
        assert a.identities.tolist() == b.identities.tolist()
        assert a.births == b.births
        if a.mixture is not None:
            np.testing.assert_allclose(a.mixture.means, b.mixture.means, atol=1e-9)
    blank = [WeightedPoints(cloud(), np.zeros(60))] * 3
    assert [r.mixture for r in track(Diagonal([[1.0, 1.0]]), blank)] == [None] * 3


def test_a_step_of_one_forgets_the_past() -> None:
    paths = (lambda t: (np.sin(t), 0.5 * t), lambda t: (30.0, -0.3 * t))
    results = track(standing((0, 0), (30, 0)), moving(*paths, frames=12), step=1.0, region=BOX)
    for t, result in enumerate(results):
        if t:  # the first frame counts for half
            np.testing.assert_allclose(result.mixture.means, [p(t) for p in paths], atol=0.02)
            np.testing.assert_allclose(result.mixture.weights, 0.5, atol=0.01)


@pytest.mark.parametrize("iterations", [1, 3])
def test_objects_that_jump_farther_than_expected_are_followed(iterations: int) -> None:
    frames = moving(lambda t: (2.0 * (t >= 5), 0.0), lambda t: (0.0, 12.0), frames=12)
    results = list(track(standing((0, 0), (0, 12)), frames, iterations=iterations, region=BOX))
    assert {i for r in results for i in r.identities.tolist()} == {0, 1}
    np.testing.assert_allclose(places(results[-1])[0], [2.0, 0.0], atol=0.4)
    np.testing.assert_allclose(places(results[-1])[1], [0.0, 12.0], atol=0.1)


def test_weights_count_points_several_times() -> None:
    frames = moving(lambda t: (0.3 * t, 0.0), lambda t: (0.0, 9.0), frames=6)
    doubled = [np.concatenate([f, f[:60]]) for f in frames]
    weighted = [WeightedPoints(f, np.where(np.arange(len(f)) < 60, 2.0, 1.0)) for f in frames]
    for a, b in zip(track(standing((0, 0), (0, 9)), doubled), track(standing((0, 0), (0, 9)), weighted), strict=True):
        np.testing.assert_allclose(a.mixture.means, b.mixture.means, atol=1e-9)
        np.testing.assert_allclose(a.mixture.weights, b.mixture.weights, atol=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_an_offset_of_the_positions_changes_nothing(shift: float) -> None:
    frames = moving(lambda t: (t / 2, 0.0), lambda t: (20.0 - t / 2, 2.0), noise=3, frames=15)
    near = list(track(Full([np.eye(2)]), frames))
    far = list(track(Full([np.eye(2)]), (f + shift for f in frames)))
    for a, b in zip(near[1:], far[1:], strict=True):
        assert a.identities.tolist() == b.identities.tolist()
        np.testing.assert_allclose(b.mixture.means - shift, a.mixture.means, atol=1e-6)


def test_streams_are_read_one_by_one_and_the_start_is_not_changed() -> None:
    seen = []

    def stream():
        for t in range(5):
            seen.append(t)
            yield cloud() + t

    start = standing((0, 0))
    results = track(start, stream())
    assert not seen
    first = next(results)
    assert seen == [0]
    assert first.identities.tolist() == [0]
    assert start.means.tolist() == [[0.0, 0.0]]
    assert len(list(results)) == 4


def test_empty_frames_and_few_points() -> None:
    empty = np.zeros((0, 2))
    assert list(track(standing((0, 0)), [])) == []
    nothing = list(track(Diagonal([[1.0, 1.0]]), [empty, empty]))
    assert [r.mixture for r in nothing] == [None, None]
    assert nothing[0].noise == 0.0
    late = list(track(standing((0, 0)), [empty, empty, cloud(), cloud()]))
    assert [r.visible.tolist() for r in late] == [[False], [False], [True], [True]]
    few = list(track(Diagonal([[1.0, 1.0]]), [cloud(5)] * 4, least=10.0))
    assert all(r.mixture is None for r in few), "five points are no object where ten are asked for"
    assert list(track(Diagonal([[1.0, 1.0]]), [cloud(5)] * 4, least=4.0))[1].births == (0,)
    same = list(track(standing((0, 0)), [np.zeros((20, 2))] * 10))
    assert same[-1].mixture.covariance.deviations() == pytest.approx(0.1), (
        "no object is thinner than a tenth of a new one"
    )


def test_a_component_of_weight_zero_finds_its_object() -> None:
    start = GMM([1.0, 0.0], [[0.0, 0.0], [9.0, 0.0]], Diagonal(np.ones((2, 2))))
    results = list(track(start, moving(lambda t: (0.0, 0.0), lambda t: (9.0, 0.0), frames=12)))
    assert results[-1].mixture.weights == pytest.approx([0.5, 0.5], abs=0.02)
    assert results[-1].identities.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 0.0}, r"step must be above 0 and at most 1; got 0"),
        ({"step": 1.5}, r"step must be above 0 and at most 1; got 1.5"),
        ({"iterations": 0}, r"iterations must be at least 1; got 0"),
        ({"patience": -1}, r"patience must be at least 0; got -1"),
        ({"least": 0.0}, r"least must be above 0; got 0"),
        ({"reach": 0.0}, r"reach must be above 0 deviations; got 0 deviations"),
        ({"noise": 1.0}, r"noise must be at least 1e-06 and at most 0.9; got 1"),
        ({"region": [[0, 0], [0, 5]]}, r"region must be a lowest and a highest corner"),
        ({"region": [0, 5]}, r"region must be a matrix"),
    ],
)
def test_bad_settings_are_refused_before_the_first_frame(changes: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        track(standing((0, 0)), [], **changes)
    with pytest.raises(InvalidInput, match=r"model must be a GMM, or a Covariance that a new object has; got list"):
        track([0.0], [])
    with pytest.raises(
        InvalidInput, match=r"frames must be iterable, one matrix of points for each video frame; got int"
    ):
        track(standing((0, 0)), 5)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.zeros((5, 3))], r"frame 0 must have points of 2 dimensions.*; got shape \(5, 3\)"),
        ([cloud(), np.zeros(4)], r"frame 1 must be a matrix of shape"),
        ([cloud(), [[np.nan, 0.0]]], r"frame 1 must be finite; got 1 NaN"),
        ([np.array([["a", "b"]])], r"frame 0 must hold real numbers"),
        ([WeightedPoints(np.zeros((5, 3)))], r"frame 0 must have points of 2 dimensions"),
    ],
)
def test_bad_frames_are_refused_by_number(frames: list, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        list(track(standing((0, 0)), frames))


def test_bad_points_and_regions_of_other_dimensions_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"the weights of points must have shape \(3,\), as the positions say; got"):
        WeightedPoints(np.zeros((3, 2)), [1.0])
    with pytest.raises(InvalidInput, match=r"the weights of points must be at least 0; got -1"):
        WeightedPoints(np.zeros((1, 2)), [-1.0])
    with pytest.raises(InvalidInput, match=r"the weights of points must be finite"):
        WeightedPoints(np.zeros((1, 2)), [np.inf])
    for kind in KINDS:
        if not isinstance(kind, Spherical):  # one variance is good for any number of dimensions
            with pytest.raises(InvalidInput, match=r"frame 0 must have points of as many dimensions as the cov.*got 3"):
                list(track(kind, [np.zeros((5, 3))]))
    with pytest.raises(InvalidInput, match=r"region must have corners of 2 dimensions"):
        list(track(standing((0, 0)), [cloud()], region=[[0.0], [1.0]]))


def test_objects_are_born_where_points_weigh_most() -> None:
    rng = np.random.default_rng(0)
    faint, strong = rng.normal(size=(100, 2)), rng.normal([40.0, 0.0], size=(20, 2))
    frame = WeightedPoints(np.concatenate([faint, strong]), np.repeat([0.05, 1.0], [100, 20]))
    last = list(track(Diagonal([[1.0, 1.0]]), [frame] * 3, region=BOX))[-1]
    assert list(places(last)) == [0]
    np.testing.assert_allclose(places(last)[0], strong.mean(axis=0), atol=0.5)
