"""Tables read by blocks: the same in blocks of any size, whatever is in them, and refusals that name the line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores, read_scores, score_files, write_scores

HEADER = "speaker\ttest\tscore\ttarget\ttest_seconds\n"


def read(tmp_path, content):
    path = tmp_path / "s.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_scores(path)


def many(rows):
    return "".join(f"ann\tt{i}\t{i / 7!r}\t{i % 2}\t{i % 3 or ''}\n" for i in range(rows))


@pytest.fixture(params=[1, 40, 1 << 22], ids="block of {} bytes".format)
def block(request, monkeypatch):
    """Blocks from one line each to the whole file."""
    monkeypatch.setattr(score_files, "_BLOCK", request.param)


@given(st.lists(st.tuples(st.text("aäb \U0001f600", min_size=1, max_size=4), st.floats(-1e300, 1e300)), min_size=1))
def test_it_is_the_same_line_by_line(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t")
    content = HEADER + "".join(f"{name}\tt{i}\t{score!r}\t\t1.5\n" for i, (name, score) in enumerate(rows))
    with pytest.MonkeyPatch.context() as patch:
        quick = read(folder, content)
        patch.setattr(score_files, "_BLOCK", 1)
        slow = read(folder, content)
    for found in (quick, slow):
        assert found.speaker.tolist() == [name for name, _ in rows]
        assert found.score.tolist() == [score for _, score in rows]
        assert (found.target == -1).all()


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_and_line_ends_of_all_kinds(tmp_path, end):
    content = "\n  \n" + HEADER + "ann\ta\t1\t1\t\n\nbob\ta\t-2e-1\t0\t3\n   \n\n"
    found = read(tmp_path, content.replace("\n", end))
    assert found.speaker.tolist() == ["ann", "bob"]
    assert found.score.tolist() == [1.0, -0.2]
    np.testing.assert_array_equal(found.test_seconds, [np.nan, 3.0])


@pytest.mark.usefixtures("block")
def test_blocks_add_up(tmp_path):
    found = read(tmp_path, HEADER + many(50))
    assert found.score.tolist() == [i / 7 for i in range(50)]
    assert found.test.tolist() == [f"t{i}" for i in range(50)]


def test_a_mark_of_byte_order_and_a_last_line_without_an_end(tmp_path):
    assert len(read(tmp_path, b"\xef\xbb\xbf" + (HEADER + many(3)).rstrip("\n").encode())) == 3


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ann\tx\t1\t1", r"s\.tsv, line 22, must hold 5 fields divided by tabs, as the header does; got 4 in"),
        ("ann\tx\tone\t1\t", r"s\.tsv, line 22: score must be a finite number; got 'one'"),
        ("ann\tx\t\t1\t", r"s\.tsv, line 22: score must be a finite number; got ''"),
        ("ann\tx\tnan\t1\t", r"s\.tsv, line 22: score must be a finite number; got 'nan'"),
        ("ann\tx\t1\t2\t", r"s\.tsv, line 22: target must be 1, 0 or empty; got '2'"),
        ("ann\tx\t1\t1\t-3", r"s\.tsv, line 22: test_seconds must be a finite number of seconds, .*; got '-3'"),
        ("\tx\t1\t1\t", r"s\.tsv, line 22: speaker must not be empty; got ''"),
        (
            "ann\tt7\t1\t1\t",
            r"s\.tsv, line 22, must hold a pair .*'ann' with test 't7', which line 9 holds too",
        ),
    ],
)
def test_a_bad_line_among_good_ones_is_named(tmp_path, row, message):
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, HEADER + many(20) + row + "\n" + "bob\tlast\t0\t0\t\n")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"s\.tsv must be UTF-8 text"):
        read(tmp_path, HEADER.encode() + b"\xff\ta\t1\t1\t\n")


def test_names_are_written_out_only_when_asked_for(tmp_path):
    found = read(tmp_path, HEADER + many(5))
    assert not isinstance(vars(found)["speaker"], np.ndarray)
    assert found.speaker is found.speaker
    assert not found.speaker.flags.writeable


@pytest.mark.parametrize("kind", ["tsv", "npz"])
def test_both_formats_give_all_columns_back(tmp_path, kind):
    rng = np.random.default_rng(0)
    scores = Scores(
        np.repeat(["ann", "bob\u00e9"], 200), [f"t{i}" for i in range(200)] * 2, rng.normal(size=400),
        rng.integers(-1, 2, 400), test_speaker=["x", ""] * 200, session=[""] * 400,
        enroll_seconds=rng.uniform(1, 9, 400), test_seconds=[np.nan, 2.0] * 200,
    )  # fmt: skip
    write_scores(scores, tmp_path / f"s.{kind}")
    back = read_scores(tmp_path / f"s.{kind}")
    for name in ("speaker", "test", "score", "target", "test_speaker", "session", "enroll_seconds", "test_seconds"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scores, name), err_msg=name)
