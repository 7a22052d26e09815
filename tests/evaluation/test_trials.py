"""Tables of trials and scores: the file formats byte by byte, exact round trips, and every refusal."""

import dataclasses
import os
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import (
    Failures,
    Scores,
    Trials,
    evaluate,
    join,
    read_scores,
    read_trials,
    write_scores,
    write_trials,
)
from speechgmm.evaluation.trials import columns

TRIALS = Trials(["ann", "bob", "ann"], ["x.wav", "x.wav", "y.wav"], [1, 0, 0])
VOXCELEB = "1 ann x.wav\n0 bob x.wav\n0 ann y.wav\n"
KALDI = "ann x.wav target\nbob x.wav nontarget\nann y.wav nontarget\n"

PLAIN = Scores(["ann", "bob", "cid"], ["x.wav", "x.wav", "x.wav"], [0.1, -2.0, 1e-300], [1, 0, -1])
PLAIN_TEXT = "speaker\ttest\tscore\ttarget\nann\tx.wav\t0.1\t1\nbob\tx.wav\t-2.0\t0\ncid\tx.wav\t1e-300\t\n"
FULL = Scores(
    ["ann", "bob"],
    ["a b.wav", "a b.wav"],
    [0.1, 3.0],
    [1, 0],
    test_speaker=["ann", ""],
    session=["", "day 2"],
    enroll_seconds=[30.5, np.nan],
    test_seconds=[np.nan, 0.0],
)
FULL_TEXT = (
    "speaker\ttest\tscore\ttarget\ttest_speaker\tsession\tenroll_seconds\ttest_seconds\n"
    "ann\ta b.wav\t0.1\t1\tann\t\t30.5\t\n"
    "bob\ta b.wav\t3.0\t0\t\tday 2\t\t0.0\n"
)


def assert_same(a, b):
    assert type(a) is type(b)
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        assert (x is None) == (y is None), field.name
        if field.name == "conditions":
            assert {n: c.tolist() for n, c in x.items()} == {n: c.tolist() for n, c in y.items()}
        elif field.name == "failures" and x is not None:
            assert x.lists.keys() == y.lists.keys()
            for what, trials in x.lists.items():
                assert_same(trials, y.lists[what])
        elif x is not None:
            assert x.dtype.kind == y.dtype.kind
            np.testing.assert_array_equal(x, y, err_msg=field.name)
            if x.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(x), np.signbit(y))


@pytest.fixture
def file(tmp_path):
    def make(content, name="some.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def refused(message):
    return pytest.raises(InvalidInput, match=message)


# Values


def test_columns_have_fixed_types_and_are_read_only_copies():
    score = np.array([1, 2], dtype=np.float32)
    scores = Scores(
        np.array(["a", "b"], dtype=object), ["x", "x"], score, np.array([True, False]), test_seconds=[1, np.nan]
    )
    assert [scores.speaker.dtype.kind, scores.score.dtype, scores.target.dtype, scores.test_seconds.dtype] == [
        "U",
        np.float64,
        np.int8,
        np.float64,
    ]
    score[0] = 9
    assert scores.score[0] == 1
    assert scores.session is None
    with pytest.raises(ValueError, match="read-only"):
        scores.score[0] = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.score = score


def test_length_is_the_number_of_rows():
    assert (len(TRIALS), len(FULL)) == (3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": ["x"]}, r"test must be one-dimensional, of the length of speaker \(2\); got shape \(1,\)"),
        ({"score": [[1.0, 2.0]]}, r"score must be one-dimensional, .*; got shape \(1, 2\)"),
        ({"session": ["x"]}, r"session must be one-dimensional, of the length of"),
        (
            {"score": [1.0, np.nan]},
            r"score must be finite; got 1 NaN or infinite of 2 entries, the first at index \(1,\)",
        ),
        ({"score": ["1", "2"]}, "score must hold real numbers"),
        ({"target": [1, 2]}, r"target must be 1 \(target\), 0 \(nontarget\) or -1 .*; got 2 in row 1"),
        ({"target": [1, 257]}, "target must be .*; got 257 in row 1"),
        ({"target": [1.0, 0.0]}, "target must be .* as whole numbers; got an array of type float64"),
        ({"target": ["1", "0"]}, "target must be .*; got an array of type <U1"),
        ({"speaker": [1, 2]}, "speaker must hold text; got an array of type int64"),
        ({"test_speaker": np.array(["a", None])}, "test_speaker must hold text; got an array of type object"),
        ({"speaker": "a"}, "speaker must hold text; got one value, 'a'"),
        ({"test": 3}, "test must hold text; got one value, 3"),
        ({"speaker": ["a", ""]}, "speaker must hold no empty names; got '' in row 1"),
        ({"test": ["", "x"]}, "test must hold no empty names; got '' in row 0"),
        ({"test_seconds": [1, -1]}, "test_seconds must be finite and at least 0 s, or NaN .*; got -1.0 in row 1"),
        ({"enroll_seconds": [np.inf, 1]}, "enroll_seconds must be finite and at least 0 s, .*; got inf in row 0"),
        ({"speaker": ["a", "a"]}, "scores must hold each pair .* once; got speaker 'a' with test 'x' in rows 0 and 1"),
        ({"conditions": {"room": ["hall"]}}, r"the condition 'room' must be one-dimensional, .*; got shape \(1,\)"),
        ({"conditions": {"room": [b"x", b"y"]}}, "the condition 'room' must hold text; got an array of type"),
        ({"conditions": {"Score": ["x", "y"]}}, "a condition must have a name .*; got 'Score'. These do: .*, failed"),
        ({"conditions": {" ": ["x", "y"]}}, "a condition must have a name without tabs .*; got ' '"),
        (
            {"failures": Failures(tests=Trials(["b"], ["x"], [0]))},
            "a trial that failed must have no score; got one for speaker 'b' with test 'x'",
        ),
    ],
)
def test_bad_scores_are_refused(change, message):
    good = {"speaker": ["a", "b"], "test": ["x", "x"], "score": [1.0, 2.0], "target": [1, 0]}
    Scores(**good)
    with refused(message):
        Scores(**{**good, **change})


def test_empty_tables_are_refused():
    with refused("scores must hold at least one row; got none"):
        Scores([], [], [], [])
    with refused("trials must hold at least one row; got none"):
        Trials([], [], [])


def test_repeated_trials_are_refused():
    with refused("trials must hold each pair of speaker and test once; got speaker 'a' with test 'x' in rows 0 and 2"):
        Trials(["a", "b", "a"], ["x", "x", "x"], [1, 0, 0])


# Trials in files


@pytest.mark.parametrize(("style", "text"), [("voxceleb", VOXCELEB), ("kaldi", KALDI)])
def test_trials_in_both_styles(tmp_path, style, text):
    path = tmp_path / "trials.txt"
    write_trials(TRIALS, path, style=style)
    assert path.read_bytes() == text.encode()
    assert_same(read_trials(path), TRIALS)
    assert os.listdir(tmp_path) == ["trials.txt"]


def test_voxceleb_is_the_default_style(tmp_path):
    write_trials(TRIALS, str(tmp_path / "trials.txt"))
    assert (tmp_path / "trials.txt").read_text() == VOXCELEB


def test_blank_lines_tabs_and_foreign_line_ends_are_no_matter(file):
    assert_same(read_trials(file("\ufeff\r\n1\tann  x.wav \r\n \n0 bob x.wav\n\n0 ann y.wav")), TRIALS)


@pytest.mark.parametrize(
    ("text", "speakers", "targets"),
    [
        ("1 x target\n0 x nontarget\n", ["1", "0"], [1, 0]),  # speakers named like labels: either style fits
        ("1 x target\nann x nontarget\n", ["1", "ann"], [1, 0]),
        ("1 ann target\n0 ann y.wav\n", ["ann", "ann"], [1, 0]),  # a test named like a label
    ],
)
def test_the_whole_file_decides_the_style(file, text, speakers, targets):
    trials = read_trials(file(text))
    assert trials.speaker.tolist() == speakers
    assert trials.target.tolist() == targets


STYLE = r"must read '1\|0 enroll test' or 'enroll test target\|nontarget', in one style throughout the file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"some\.txt must hold at least a trial; got an empty file"),
        ("\n \n", r"some\.txt must hold at least a trial; got an empty file"),
        ("1 a x\n\n1 a\n", r"some\.txt, line 3, must hold 3 fields; got 2 in '1 a'"),
        ("1 a x y\n", r"line 1, must hold 3 fields; got 4 in '1 a x y'"),
        ("1 a x\n2 b x\n", f"line 2, {STYLE}; got '2 b x'"),
        ("1 a x\na y target\n", f"line 2, {STYLE}; got 'a y target'"),
        ("a y target\n1 a x\n", f"line 2, {STYLE}; got '1 a x'"),
        ("a x target\nb x Target\n", f"line 2, {STYLE}; got 'b x Target'"),
        ("a x yes\n", f"line 1, {STYLE}; got 'a x yes'"),
        (
            "1 a x\n\n0 b x\n0 a x\n",
            r"line 4, must hold a pair .* no other line holds; got speaker 'a' with test 'x', which line 1 holds too",
        ),
        (b"1 a \xff\n", r"some\.txt must be UTF-8 text; got this: "),
    ],
)
def test_bad_files_of_trials_are_refused(file, text, message):
    with refused(message):
        read_trials(file(text))


@pytest.mark.parametrize(
    ("read", "name"), [(read_trials, "nowhere"), (read_scores, "nowhere"), (read_scores, "nowhere.npz")]
)
def test_missing_files_are_refused(tmp_path, read, name):
    with refused(f"{name} must be a readable file; got this: No such file or directory"):
        read(tmp_path / name)


def test_unwritable_trials_are_refused(tmp_path):
    path = tmp_path / "t"
    with refused("style must be one of 'voxceleb', 'kaldi'; got 'nist'"):
        write_trials(TRIALS, path, style="nist")
    with refused("target must be 1 or 0 in a file of trials; got 1 of 2 trials without a label"):
        write_trials(Trials(["a", "b"], ["x", "x"], [1, -1]), path)
    for name in ("a b", " a", "a\n", "a\u00a0b", " "):
        with refused("names in a file of trials must be free of spaces and line ends; got " + re.escape(repr(name))):
            write_trials(Trials(["a", "a"], ["x", name], [1, 0]), path)
    with refused("names in a text file must be valid Unicode"):
        write_trials(Trials(["a"], ["x\udcff"], [1]), path)
    assert os.listdir(tmp_path) == []


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5)
pairs = st.lists(st.tuples(words, words), min_size=1, max_size=8, unique=True)


@given(pairs=pairs, style=st.sampled_from(["voxceleb", "kaldi"]), data=st.data())
def test_trials_come_back_from_a_file(tmp_path_factory, pairs, style, data):
    trials = Trials(*zip(*pairs, strict=True), [data.draw(st.integers(0, 1)) for _ in pairs])
    path = tmp_path_factory.mktemp("trials") / "t"
    write_trials(trials, path, style=style)
    assert_same(read_trials(path), trials)


# Scores in files


@pytest.mark.parametrize(("scores", "text"), [(PLAIN, PLAIN_TEXT), (FULL, FULL_TEXT)], ids=["plain", "full"])
def test_scores_as_text(tmp_path, scores, text):
    path = tmp_path / "scores.tsv"
    write_scores(scores, path)
    assert path.read_bytes() == text.encode()
    assert_same(read_scores(path), scores)
    assert os.listdir(tmp_path) == ["scores.tsv"]


@pytest.mark.parametrize("scores", [PLAIN, FULL], ids=["plain", "full"])
def test_scores_as_arrays(tmp_path, scores):
    path = tmp_path / "scores.npz"
    write_scores(scores, str(path))
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == set(columns(scores))
        np.testing.assert_array_equal(arrays["speaker"], scores.speaker)
    assert_same(read_scores(path), scores)
    first = path.read_bytes()
    write_scores(scores, path)
    assert path.read_bytes() == first
    assert os.listdir(tmp_path) == ["scores.npz"]


def test_columns_may_stand_in_any_order_and_lines_be_blank(file):
    text = "\ufeffscore\ttarget\ttest\tspeaker\r\n\r\n0.1\t1\tx.wav\tann\r\n-2\t0\tx.wav\tbob\n\n1e-300\t\tx.wav\tcid"
    assert_same(read_scores(file(text)), PLAIN)


HEAD = "speaker\ttest\tscore\ttarget"
COLUMNS = "must have the columns speaker, test, score, and each column under a name of its own"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"some\.txt must hold at least a header and a row; got an empty file"),
        (HEAD + "\n", r"some\.txt must hold at least one row below the header; got none"),
        ("speaker\ttarget\na\t1\n", rf"some\.txt {COLUMNS}; got missing 'test', 'score'\. Lines 'enroll test score'"),
        ("a x 1\nb y one\n", r"some\.txt, line 2: score must be a finite number; got 'one'"),
        ("a x 1\n\nb y 1 1\n", r"some\.txt, line 3, must hold 3 fields; got 4 in 'b y 1 1'"),
        ("a x 1\na x 2\n", r"line 2, must hold a pair .* speaker 'a' with test 'x', which line 1 holds too"),
        ("a x nan\n", rf"some\.txt {COLUMNS}; got missing"),
        ("speaker;test;score\na;x;1.5\nb;x;2;3\n", "line 3, must hold 3 fields divided by semicolons"),
        (HEAD + "\t\na\tx\t1\t1\t9\n", rf"some\.txt {COLUMNS}; got unnamed ''"),
        (HEAD + "\ttest\na\tx\t1\t1\tx\n", rf"some\.txt {COLUMNS}; got repeated 'test'"),
        (HEAD + "\na\tx\t1\t1\n\nb\tx\t1\n", "line 4, must hold 4 fields divided by tabs, as the header does; got 3"),
        (HEAD + "\na x 1 1\n", "line 2, must hold 4 fields divided by tabs, as the header does; got 1"),
        (HEAD + "\na\tx\t1\t1\nb\tx\t1,5\t1\n", r"some\.txt, line 3: score must be a finite number; got '1,5'"),
        (HEAD + "\na\tx\tnan\t1\n", "line 2: score must be a finite number; got 'nan'"),
        (HEAD + "\na\tx\t\t1\n", "line 2: score must be a finite number; got ''"),
        (HEAD + "\na\tx\t1\ttarget\n", "line 2: target must be 1, 0 or empty; got 'target'"),
        (HEAD + "\na\tx\t1\t-1\n", "line 2: target must be 1, 0 or empty; got '-1'"),
        (HEAD + "\n\tx\t1\t1\n", "line 2: speaker must not be empty; got ''"),
        (HEAD + "\n\t\t\t\n", "line 2: speaker must not be empty; got ''"),
        (HEAD + "\na\t\t1\t1\n", "line 2: test must not be empty; got ''"),
        (
            HEAD + "\ttest_seconds\na\tx\t1\t1\t-3\n",
            "line 2: test_seconds must be a finite number of seconds, at least 0, or empty; got '-3'",
        ),
        (HEAD + "\tenroll_seconds\na\tx\t1\t1\tinf\n", "line 2: enroll_seconds must be a finite number of seconds"),
        (
            HEAD + "\na\tx\t1\t1\nb\tx\t1\t1\na\tx\t2\t0\n",
            "line 4, must hold a pair .* no other line holds; got speaker 'a' with test 'x', which line 2 holds too",
        ),
        (b"\xff\xfe", r"some\.txt must be UTF-8 text; got this: "),
    ],
)
def test_bad_files_of_scores_are_refused(file, text, message):
    with refused(message):
        read_scores(file(text))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_tables_of_spreadsheets(file, delimiter):
    text = "\ufeff" + PLAIN_TEXT.replace("speaker", "Speaker").replace("score", "SCORE").replace("\t", delimiter)
    assert_same(read_scores(file(text.replace(".", "," if delimiter == ";" else ".").replace("x,wav", "x.wav"))), PLAIN)


@pytest.mark.parametrize("text", ["ann x.wav 0.1\nbob x.wav -2\n", "\n\nann\tx.wav   0.1\r\n \t\nbob\tx.wav -2e0"])
def test_lines_of_kaldi_and_the_trials_beside_them(file, text):
    scores = read_scores(file(text, "scores"))
    assert (scores.speaker.tolist(), scores.score.tolist()) == (["ann", "bob"], [0.1, -2.0])
    assert scores.target.tolist() == [-1, -1]
    labeled = join(scores, read_trials(file("bob x.wav nontarget\nann x.wav target\n", "trials")))
    assert labeled.target.tolist() == [0, 1]


def test_a_table_may_be_without_labels(file, tmp_path):
    text = PLAIN_TEXT.replace("\ttarget", "").replace("\t1\n", "\n").replace("\t0\n", "\n").replace("\t\n", "\n")
    assert (read_scores(file(text)).target == -1).all()
    assert (read_scores(arrays_file(tmp_path / "a.npz", target=None)).target == -1).all()


def arrays_file(path, **change):
    arrays = {"speaker": np.array(["a"]), "test": np.array(["x"]), "score": np.array([1.0]), "target": np.array([1])}
    arrays = {name: value for name, value in {**arrays, **change}.items() if value is not None}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": None}, rf"bad\.npz {COLUMNS}; got missing 'score'"),
        ({"age": np.array([1, 2])}, r"bad\.npz: the condition 'age' must be one-dimensional, .*; got shape \(2,\)"),
        ({"score": np.array([np.inf])}, r"bad\.npz: score must be finite"),
        ({"test": np.array(["x", "y"])}, r"bad\.npz: test must be one-dimensional"),
        ({"speaker": np.array(["a"], dtype=object)}, r"bad\.npz must be a readable \.npz file of plain arrays; got"),
    ],
)
def test_bad_files_of_arrays_are_refused(tmp_path, change, message):
    with refused(message):
        read_scores(arrays_file(tmp_path / "bad.npz", **change))


def test_files_that_are_no_archives_are_refused(tmp_path, file):
    message = r"\.npz must be a readable \.npz file of plain arrays; got this: "
    write_scores(PLAIN, tmp_path / "good.npz")
    good = (tmp_path / "good.npz").read_bytes()
    for content in (b"", PLAIN_TEXT, b"PK", b"PK\x03\x04 cut off", good[:-30], good[:50] + b"\xff" * 20 + good[70:]):
        with refused(message):
            read_scores(file(content, "bad.npz"))
    with open(tmp_path / "one.npz", "wb") as one:
        np.save(one, np.zeros(3))
    with refused(message + "File is not a zip file"):
        read_scores(tmp_path / "one.npz")


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb"])
def test_tabs_in_names_of_tests_are_refused_in_text_and_kept_in_arrays(tmp_path, name):
    scores = dataclasses.replace(FULL, test=np.array(["z", name]))
    with refused("test must be free of tabs and line ends in a text file; got .* Write a .npz file instead"):
        write_scores(scores, tmp_path / "scores.tsv")
    write_scores(scores, tmp_path / "scores.npz")
    assert_same(read_scores(tmp_path / "scores.npz"), scores)


@pytest.mark.parametrize("column", ["speaker", "test_speaker", "session"])
@pytest.mark.parametrize(
    ("name", "point"),
    [("a\tb", "0009"), ("a\u202eb", "202E"), ("a\u2066", "2066"), ("\ufeffa", "FEFF"), ("\udcff", "DCFF")],
)
def test_names_that_cannot_be_seen_are_refused(column, name, point):
    with refused(rf"{column} must hold no control or format characters; got U\+{point} \(.*\) in "):
        dataclasses.replace(FULL, **{column: np.array(["z", name])})


NFC, NFD = "Ren\u00e9", "Rene\u0301"


def test_two_spellings_are_one_speaker(tmp_path):
    scores = Scores([NFC, NFD, "bob"], list("xyx"), [1.0, 2.0, 3.0], [1, 0, 0], test_speaker=[NFD, "", NFC])
    assert scores.speaker.tolist() == [NFC, NFC, "bob"]
    assert scores.speakers.names.tolist() == [NFC, "bob"]
    assert scores.test_speaker.tolist() == [NFC, "", NFC]
    assert join(scores, Trials([NFD], ["y"], [1])).score.tolist() == [2.0]
    with refused("hold each pair of speaker and test once"):
        Trials([NFC, NFD], ["x", "x"], [1, 0])
    (tmp_path / "t").write_text(f"1 {NFD} {NFD}.wav\n", encoding="utf-8")
    found = read_trials(tmp_path / "t")
    assert (found.speaker.tolist(), found.test.tolist()) == ([NFC], [f"{NFD}.wav"])


@pytest.mark.parametrize("kind", [list, tuple, lambda names: np.array(names, dtype=object)])
def test_a_nul_is_refused_before_numpy_drops_it(tmp_path, kind):
    for names in ((["a", "a\0"], ["x", "x"]), (["a", "a"], ["x", "x\0"])):
        with refused(r"a name must hold no NUL characters; got '[ax]\\x00'"):
            Trials(*map(kind, names), [1, 0])
    (tmp_path / "t").write_text("1 a x\n1 a x\0\n")
    with refused("a name must hold no NUL characters"):
        read_trials(tmp_path / "t")
    (tmp_path / "s").write_text("speaker\ttest\tscore\ttarget\na\tx\t1\t1\na\0\tx\t1\t1\n")
    with refused("a name must hold no NUL characters"):
        read_scores(tmp_path / "s")


@pytest.mark.parametrize("name", ["s.tsv", "s.npz"])
def test_unwritable_places_are_refused_and_nothing_is_left_behind(tmp_path, name):
    with refused(rf"the file to write must be in a folder that exists; got .*{name}"):
        write_scores(PLAIN, tmp_path / "nowhere" / name)
    (tmp_path / name).mkdir()
    with refused(rf"the file to write must name a file that can be written; got .*{name} \(it is a folder\)"):
        write_scores(PLAIN, tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "s.tsv"
    write_scores(PLAIN, path)
    with refused("names in a text file must be valid Unicode"):
        write_scores(dataclasses.replace(PLAIN, test=np.array(["a\ud800", "b", "c"])), path)
    assert_same(read_scores(path), PLAIN)


labels = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=5)
names = labels.filter(bool).map(lambda name: unicodedata.normalize("NFC", name))
tests = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\0"), min_size=1, max_size=5)
seconds = st.one_of(st.just(np.nan), st.floats(0, 1e300))
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    pairs=st.lists(st.tuples(names, tests), min_size=1, max_size=6, unique=True),
    suffix=st.sampled_from(["tsv", "npz"]),
    data=st.data(),
)
def test_scores_come_back_exactly(tmp_path_factory, pairs, suffix, data):
    def column(values):
        return data.draw(st.lists(values, min_size=len(pairs), max_size=len(pairs)))

    def optional(values):
        return column(values) if data.draw(st.booleans()) else None

    scores = Scores(
        *zip(*pairs, strict=True),
        column(finite),
        column(st.sampled_from([1, 0, -1])),
        test_speaker=optional(labels),
        session=optional(labels),
        enroll_seconds=optional(seconds),
        test_seconds=optional(seconds),
    )
    path = tmp_path_factory.mktemp("scores") / f"s.{suffix}"
    write_scores(scores, path)
    assert_same(read_scores(path), scores)


# Join


def test_join_takes_order_and_labels_of_the_trials_and_all_columns():
    trials = Trials(["bob", "ann"], ["a b.wav", "a b.wav"], [1, -1])
    joined = join(FULL, trials)
    expected = Scores(
        ["bob", "ann"],
        ["a b.wav", "a b.wav"],
        [3.0, 0.1],
        [1, -1],
        test_speaker=["", "ann"],
        session=["day 2", ""],
        enroll_seconds=[np.nan, 30.5],
        test_seconds=[0.0, np.nan],
    )
    assert_same(joined, expected)


def test_join_leaves_scores_without_a_trial_out():
    assert join(PLAIN, Trials(["cid"], ["x.wav"], [0])).score.tolist() == [1e-300]


def test_join_names_the_first_trial_without_a_score():
    message = "scores must hold every trial; got 2 of 3 trials without a score, the first speaker 'ann' with test 'y'"
    with refused(message):
        join(PLAIN, Trials(["ann", "ann", "dan"], ["x.wav", "y", "z"], [1, 0, 0]))


def test_tests_that_are_left_out_are_not_counted():
    scores = Scores(["a", "b"] * 3, ["x", "x", "y", "y", "z", "z"], [1, 0, 0.5, 1, 2, 1], [1, 0, 1, 0, 0, 1])
    joined = join(scores, Trials(["a", "b", "a", "b"], ["x", "x", "z", "z"], [1, 0, 0, 1]))
    assert joined.tests.names.tolist() == ["x", "z"]
    assert joined.test.tolist() == ["x", "x", "z", "z"]
    found = evaluate(joined, replicates=0)
    assert (found.tests, found.identification_rate) == (2, 0.5)
