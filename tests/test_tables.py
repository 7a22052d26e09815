"""Headers of tables: found by any delimiter, in any case and order, and never by two delimiters at once."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.tables import DELIMITERS, Header, divided, parse_header, reading

words = st.text(st.characters(categories=["L", "N", "P", "Zs"], max_codepoint=0x2FF), max_size=8)


@given(
    order=st.permutations(["path", "speaker", "session"]),
    others=st.lists(words, max_size=3),
    delimiter=st.sampled_from(list(DELIMITERS)),
    upper=st.booleans(),
)
def test_columns_are_found_whatever_divides_them(order, others, delimiter, upper):
    written = io.StringIO()
    row = [name.upper() if upper else name.title() for name in order] + others
    csv.writer(written, delimiter=delimiter).writerow(row)
    found = parse_header(written.getvalue(), ["path", "speaker"], ["session"])
    assert found.delimiter == delimiter
    assert list(found.names[:3]) == order
    known = {"path", "speaker", "session"}
    expected = [other.strip() for other in others]
    assert list(found.names[3:]) == [o.casefold() if o.casefold() in known else o for o in expected]


def test_names_that_come_twice_in_whatever_case():
    assert Header(("a", "b", "", ""), ",").repeated == []
    assert parse_header("a;B;A;b;c", ["a"]).repeated == ["a", "B", "b"]


def test_a_decimal_comma_goes_with_semicolons_alone():
    assert [Header((), d).with_point("1,5") for d in DELIMITERS] == ["1,5", "1.5", "1,5"]


def test_a_line_too_long_for_a_field_is_one_field():
    long = '"' + "x" * 200_000 + '",y'
    assert divided(long, ",") == [long]
    assert divided("", ",") == []


def test_files_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with (
        pytest.raises(InvalidInput, match=r"a must be UTF-8 text; got this: .*'CSV UTF-8'"),
        reading(tmp_path / "a") as f,
    ):
        f.read()
    with (
        pytest.raises(InvalidInput, match=r"b must be a readable file; got this: No such file"),
        reading(tmp_path / "b"),
    ):
        pass
