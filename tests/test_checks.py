"""Validation at the door: what comes through, and the words of every refusal."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm import checks, errors
from speechgmm.errors import IncompatibleModel, InvalidInput, MissingExtra, SpeechGMMError


def test_every_refusal_has_one_style():
    with pytest.raises(InvalidInput, match=r"^n must be odd; got 2\.$"):
        checks.refuse("n", "be odd", 2)
    with pytest.raises(IncompatibleModel, match=r"^n must be odd; got 2\. Add one\.$"):
        checks.refuse("n", "be odd", 2, "Add one.", error=IncompatibleModel)


def test_every_error_has_one_root():
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) == 15
    for error in found:
        assert issubclass(error, errors.SpeechGMMWarning if issubclass(error, Warning) else SpeechGMMError)
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(MissingExtra, ImportError)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u8", "bool", "g"])
def test_float32_stays_and_all_else_becomes_float64(dtype):
    x = np.array([[0, 1], [1, 0]], dtype)
    a = checks.matrix(x)
    assert a.dtype == (np.float32 if dtype == "f4" else np.float64)
    np.testing.assert_array_equal(a, [[0.0, 1.0], [1.0, 0.0]])


def test_a_good_matrix_is_not_copied():
    for dtype in (np.float32, np.float64):
        x = np.ones((3, 2), dtype)
        assert checks.matrix(x) is x


def test_lists_are_taken_and_no_frames_where_allowed():
    np.testing.assert_array_equal(checks.matrix([[1, 2.5]]), [[1.0, 2.5]])
    assert checks.matrix(np.zeros((0, 2)), minimum=0).shape == (0, 2)
    assert checks.numeric(3, "x").shape == ()
    assert checks.finite(np.array(1.0), "x") == 1.0


MATRICES = {
    "vector": (
        [1.0, 2.0],
        {},
        "x must be a matrix of shape (frames, dimensions); got an array of shape (2,). Use x[:, ",
    ),
    "cube": (np.zeros((1, 1, 1)), {}, "got an array of shape (1, 1, 1)"),
    "ragged": ([[1.0], [1.0, 2.0]], {}, "x must be a rectangular array of numbers; got rows of different lengths."),
    "text": ([["a"]], {}, "x must hold real numbers; got an array of type <U1."),
    "complex": ([[1j]], {}, "x must hold real numbers; got an array of type complex128."),
    "object": (np.array([[None]]), {}, "x must hold real numbers; got an array of type object."),
    "dates": (np.zeros((1, 1), "M8[s]"), {}, "x must hold real numbers; got an array of type datetime64[s]."),
    "no frames": (np.zeros((0, 2)), {}, "x must hold at least 1 frame(s) of at least one feature; got shape (0, 2)."),
    "few frames": (np.zeros((2, 2)), {"minimum": 3}, "at least 3 frame(s) of at least one feature; got shape (2, 2)."),
    "no features": (np.zeros((2, 0)), {"minimum": 0}, "of at least one feature; got shape (2, 0)."),
    "features": (
        np.zeros((2, 3)),
        {"dimensions": 4},
        "x must have 4 features per frame, as the model has; got shape (2, 3).",
    ),
    "NaN": (
        [[0.0, 1.0], [np.nan, -np.inf]],
        {},
        "x must be finite; got 2 NaN or infinite of 4 entries, the first at index (1, 0).",
    ),
}


@pytest.mark.parametrize(("x", "settings", "words"), MATRICES.values(), ids=MATRICES.keys())
def test_matrices_refused(x, settings, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        checks.matrix(x, "x", **settings)


@given(st.floats(-1, 1), st.sampled_from([float, np.float64, np.float32, np.float16]))
def test_numbers_come_back_as_float(value, kind):
    got = checks.number(kind(value), "x", minimum=-1.0, maximum=1.0)
    assert type(got) is float
    assert got == float(kind(value))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, float])
def test_bounds_are_compared_in_double_precision(kind):
    assert checks.number(kind(2), "x", maximum=1e308) == 2.0
    third = float(kind(1 / 3))
    assert checks.number(kind(1 / 3), "x", minimum=third, maximum=third) == third
    with pytest.raises(InvalidInput, match="x must be at least"):
        checks.number(kind(1 / 3), "x", minimum=float(np.nextafter(third, 1)))


@pytest.mark.parametrize("value", [0, 1.0, -0.5, float("nan"), np.inf])
def test_a_probability_lies_between_0_and_1(value):
    assert checks.probability(np.float32(0.5), "p") == 0.5
    assert checks.probability(np.nextafter(1.0, 0.0), "p") < 1
    with pytest.raises(InvalidInput, match=re.escape(f"p must be above 0 and below 1; got {value:g}.")):
        checks.probability(value, "p")


def test_bounds_belong_to_the_range_unless_above():
    assert checks.number(0, "x", minimum=0.0) == 0.0
    assert checks.number(np.int8(3), "x", maximum=3.0) == 3.0
    assert checks.number(1e-300, "x", minimum=0.0, above=True) == 1e-300
    assert checks.number(np.inf, "x") == np.inf
    assert checks.integer(2, "n", minimum=2, maximum=2) == 2
    assert type(checks.integer(np.uint8(7), "n", minimum=1)) is int


NUMBERS = {
    "low": (-1, {"minimum": 0.0}, "x must be at least 0; got -1."),
    "high": (3, {"minimum": 0.0, "maximum": 2.5}, "x must be at least 0 and at most 2.5; got 3."),
    "not above": (0, {"minimum": 0.0, "above": True}, "x must be above 0; got 0."),
    "not below": (1, {"minimum": 0.0, "maximum": 1.0, "below": True}, "x must be at least 0 and below 1; got 1."),
    "unit": (0.5, {"minimum": 1.0, "maximum": 9.0, "unit": " Hz"}, "be at least 1 Hz and at most 9 Hz; got 0.5 Hz."),
    "advice": (-1, {"minimum": 0.0, "advice": "Think."}, "x must be at least 0; got -1. Think."),
    "NaN": (float("nan"), {"minimum": 0.0}, "x must be at least 0; got nan."),
    "infinite": (np.inf, {"minimum": 0.0, "maximum": 1.0}, "x must be at least 0 and at most 1; got inf."),
    "bool": (True, {}, "x must be a number; got True."),
    "numpy bool": (np.True_, {}, "x must be a number; got np.True_."),
    "text": ("1", {"advice": "Think."}, "x must be a number; got '1'. Think."),
    "none": (None, {}, "x must be a number; got None."),
    "array": (np.array([1.0]), {}, "x must be a number; got array([1.])."),
    "complex": (1j, {}, "x must be a number; got 1j."),
}


@pytest.mark.parametrize(("value", "settings", "words"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_refused(value, settings, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        checks.number(value, "x", **settings)


INTEGERS = {
    "low": (0, {}, "n must be at least 1; got 0."),
    "high": (9, {"maximum": 8}, "n must be at least 1 and at most 8; got 9."),
    "float": (2.0, {}, "n must be a whole number; got 2.0."),
    "bool": (True, {}, "n must be a whole number; got True."),
    "text": ("2", {"advice": "Think."}, "n must be a whole number; got '2'. Think."),
    "advice": (np.int64(-3), {"advice": "Think."}, "n must be at least 1; got -3. Think."),
}


@pytest.mark.parametrize(("value", "settings", "words"), INTEGERS.values(), ids=INTEGERS.keys())
def test_integers_refused(value, settings, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        checks.integer(value, "n", minimum=1, **settings)


@pytest.mark.parametrize("value", ["c", "", None, 1, ["a"]])
def test_choices(value):
    assert checks.choice("a", "kind", ("a", "b")) == "a"
    with pytest.raises(InvalidInput, match=re.escape(f"kind must be one of 'a', 'b'; got {value!r}.")):
        checks.choice(value, "kind", ("a", "b"))


def test_extras_are_imported_or_named(monkeypatch):
    assert checks.extra("json.decoder", "any") is sys.modules["json.decoder"]
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    words = "matplotlib must be installed for this; it was not found. Install it with: "
    words += "python -m pip install 'speechgmm[plot]'"
    with pytest.raises(MissingExtra, match=re.escape(words)):
        checks.extra("matplotlib.figure", "plot")


def test_what_is_surely_in_range() -> None:
    good = np.array([[1.0, -2.0], [1e100, -1e151]])
    assert checks.surely_in_range(good[:1])
    for bad in (np.nan, np.inf, -np.inf, 1e152):
        assert not checks.surely_in_range(np.array([[1.0, bad]]))
    assert not checks.surely_in_range(np.array([[1.0, np.inf]], dtype=np.float32))
    assert not checks.surely_in_range(good[:, :1])  # not in one piece: it cannot tell
    assert checks.surely_in_range(np.full((1, 2), 1e30, dtype=np.float32))
    assert checks.matrix(np.full((1, 2), 1e30, dtype=np.float32), tiny=True).dtype == np.float32
