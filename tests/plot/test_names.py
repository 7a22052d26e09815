"""Names in pictures are short, different and drawable."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.plot import plot_mixture, plot_scores
from speechgmm.plot.names import LONGEST, families, name_ticks, shown, width
from tests.plot.scores import matrix


@given(st.lists(st.text(max_size=60), max_size=6, unique=True))
def test_different_names_stay_different_and_short(names):
    texts = shown(names)
    assert len(set(texts)) == len(names)
    assert all(width(t) <= LONGEST + len(" (6)") for t in texts)
    assert all(t.isprintable() for t in texts)


def test_names_that_fit_are_as_they_are():
    assert shown(["ann", "Zoë", "$x$", "…"]) == ["ann", "Zoë", "$x$", "…"]


def test_what_long_names_share_gives_way_first():
    files = [f"/data/corpus/speakers/2026/session-{i}/take.wav" for i in range(3)]
    assert shown(files) == ["…0…", "…1…", "…2…"]
    assert shown(["a" * 30, "b" * 29 + "c"]) == ["a" * 12 + "…" + "a" * 11, "b" * 12 + "…" + "b" * 10 + "c"]
    assert shown(["long" * 9] * 2) == ["longlonglong…onglonglong"] * 2
    assert shown(["x" * 40, "x" * 41]) == ["x" * 12 + "…" + "x" * 11 + f" ({i})" for i in (1, 2)]


def test_letters_that_no_font_has_are_written_as_numbers(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", [])
    assert shown(["你好", "ab"]) == [r"\u4f60\u597d", "ab"]
    assert shown(["a\nb\u202ec"]) == [r"a\nb\u202ec"]
    assert shown(["你好世界" * 5]) == [r"\u4f60\u597d…\u754c"]
    with mpl.rc_context({"svg.fonttype": "none"}):
        assert shown(["你好", "a\nb"]) == ["你好", r"a\nb"]


def test_another_font_of_the_machine_helps_out(monkeypatch):
    class Entry:
        name, fname = "Helper", "/fonts/helper.ttf"

    letters = {"/fonts/helper.ttf": frozenset("你好")}
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", [Entry])
    monkeypatch.setattr("speechgmm.plot.names._letters", lambda path: letters.get(path, frozenset("abc")))
    assert families(["abc"]) == ["sans-serif"]
    assert families(["你好"]) == ["sans-serif", "Helper"]


@pytest.mark.parametrize(("n", "room", "size", "named"), [(4, 200, 10, 4), (20, 200, 8, 20), (100, 200, 7, 20)])
def test_as_many_names_as_can_be_read(n, room, size, named):
    ax = plt.subplots()[1]
    name_ticks(ax.yaxis, [f"n{i}" for i in range(n)], room)
    labels = ax.get_yticklabels()
    assert (len(labels), labels[1].get_fontsize()) == (named, size)
    assert [t.get_text() for t in labels] == [f"n{round(y)}" for y in ax.get_yticks()]


def test_tests_and_groups_may_have_any_name(tmp_path):
    for prefix in ("名前 \U0001f600 " + "long " * 40, "$a_{", "s"):
        ax = plot_scores(matrix(enrolled=4, strangers=0, tests=2, prefix=prefix))
        ax.figure.savefig(tmp_path / "s.png")  # warnings are errors
        assert ax.get_window_extent().width > ax.figure.bbox.width / 3
    ax = plot_mixture(None, [[0.0, 1.0], [1.0, 0.0]], labels=[0, 1], names=["$a_{", "好" * 100])
    ax.figure.savefig(tmp_path / "m.png")
