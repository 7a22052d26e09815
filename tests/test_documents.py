"""What README.md and the documentation show is what happens: every block is run, in the order of its page."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.agreement import agree
from tests.documents import (
    DOCS,
    ROOT,
    Reader,
    blocks,
    check,
    commands,
    corrected,
    materials_of,
    pages,
    pictures,
    wrong_places,
)
from tests.materials import MATERIALS, lay

NOT_RUN_AT_MOST = 5
"""Blocks of all pages that only say why they cannot be run here: clusters, servers, downloads."""

BLOCKS = {page: blocks(page.read_text(encoding="utf-8")) for page in pages()}
PAGES = [page for page, found in BLOCKS.items() if found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_what_happens(page, tmp_path):
    wrong = wrong_places(page, tmp_path / "page")
    again = f"python -m tests.documents --write {page.relative_to(ROOT)}"
    assert not wrong, "\n\n".join(map(str, wrong)) + f"\n\nLook at each, and then: {again}"


@pytest.mark.parametrize("page", BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_hides_code_in_an_indented_block(page):
    found = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    assert [token.content for token in found if token.type == "code_block"] == []


def test_few_blocks_are_not_run():
    assert len([block for found in BLOCKS.values() for block in found if block.not_run]) <= NOT_RUN_AT_MOST


def test_the_documentation_has_pages_that_run_something():
    assert DOCS / "getting_started.md" in PAGES
    assert {"console", "pycon"} <= {block.language for found in BLOCKS.values() for block in found}


def test_the_readme_fits_a_screen_or_two_and_leads_on():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def read(text, folder):
    """Return what a page says, in a folder."""
    return list(Reader(folder).read(text))


def problems(text, folder):
    return [said.problem or "differs" for said in read(text, folder) if not said.right]


def test_blocks_are_found_in_directives_and_lists_and_not_in_formulas():
    page = (
        "<!-- material: a, b -->\n````{note}\n```console\n$ one \\\n  two\n1\n$ three\n```\n````\n"
        "- item\n\n  ```pycon\n  >>> 1\n  1\n  ```\n```{math}\nx\n```\n"
        "<!-- not run: no server -->\n```python\nx = 1\n```\n"
    )
    assert materials_of(page) == ("a", "b")
    found = blocks(page)
    assert [(b.language, b.lines[0], b.first, b.not_run) for b in found] == [
        ("console", "$ one \\", 4, ""),
        ("pycon", ">>> 1", 13, ""),
        ("python", "x = 1", 21, "no server"),
    ]
    assert [(c.words.split(), c.shown, c.line, c.at) for c in commands(found[0])] == [
        (["one", "two"], ("1",), 4, 6),
        (["three"], (), 7, 8),
    ]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("```\nx\n```", "the language must be one of"),
        ("```bash\nls\n```", "the language must be one of"),
        ("```{code-block} python\nx\n```", "the language must be one of"),
        ("```text\n$ ls\n```", "text must not be what could be run"),
        ("```text\nimport speechgmm\n```", "text must not be what could be run"),
        ("```console\nls\n```", "must begin with a command"),
        ("```console\n$ false\n```", "ended with status 1"),
        ("```console\n$ speechgmm info nothing.sgmm\n...\n```", "ended with status 1"),
        ("```console\n$ python -m pip install '.[all]'\n```", r"no such option: \[all\]"),
        ("<!-- not run: why -->\n```console\n$ speechgmm train a/ --sped 3\n```", "no such option: --sped"),
        ("<!-- not run: why -->\n```python\nx =\n```", "must be Python"),
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ("```python\nprint(1)\n```", "must stand in an output block"),
        ("```python\nprint(1)\n```\n```output\n2\n```", "differs"),
        ("```pycon\n>>> 1 + 1\n3\n```", "differs"),
        ("```pycon\n>>> 1 / 0\n```", "differs"),
        ("```console\n$ echo a\nb\n```", "differs"),
        ("```console\n$ echo a\n```", "differs"),
    ],
)
def test_what_a_page_must_not_say(block, words, tmp_path):
    (problem,) = problems(block + "\n", tmp_path)
    assert re.search(words, problem)


def test_what_a_page_may_say(tmp_path):
    page = (
        "```console\n$ export NAME=ann\n$ echo $NAME; echo b | cat # not shown\nann\nb\n$ false\n$ echo $?\n1\n"
        "$ speechgmm --version\nspeechgmm 9.9.9\n$ touch a.wav b.wav\n$ speechgmm verify --store no.db x *.wav\n"
        "speechgmm: ...\n$ echo $?\n1\n$ pwd\n/home/ann\n```\n"
        "```python\nx = 2\n```\n```python\nprint(x)\n```\n```output\n2\n```\n"
        "```pycon\n>>> for i in range(x):\n...     print(i / 3)\n0.0\n0.333333333\n>>> x / 0\n"
        "Traceback (most recent call last):\n    ...\nZeroDivisionError: division by zero\n```\n"
        "```console\n$ python -m pip install '.[plot]'\n```\n"
    )
    assert [str(said) for said in read(page, tmp_path) if not said.right] == []


def test_commands_leave_a_page_s_folder_never(tmp_path):
    for words in ("cd /", "ls ~/"):
        with pytest.raises(ValueError, match="every command of a page is run in one folder"):
            read(f"```console\n$ {words}\n```\n", tmp_path)


def test_what_was_printed_is_written_and_then_agrees(tmp_path):
    page = (
        "Text.\n\n- item\n\n  ```console\n  $ echo a; echo; echo b\n  old\n\n  $ seq 3\n  1\n  ...\n  ```\n"
        "```python\nprint(1)\n```\n```output\n```\n```pycon\n>>> 1\n>>> 2\n3\n```\nEnd.\n"
    )
    found = [said for said in read(page, tmp_path) if not said.right]
    new = corrected(page, found)
    assert problems(new, tmp_path) == []
    assert "  a\n\n  b\n\n  $ seq 3\n  1\n  ...\n" in new
    assert "```output\n1\n```\n```pycon\n>>> 1\n1\n>>> 2\n2\n```\nEnd.\n" in new


def test_pictures_are_drawn_by_the_page_and_kept_beside_it(tmp_path):
    text = "```console\n$ echo x > pictures/a.png\n```\n![A](pictures/a.png)\n"
    (page := tmp_path / "page.md").write_text(text, encoding="utf-8")
    assert pictures(text) == ["pictures/a.png"]
    assert check(page, write=False) == 0
    assert not (tmp_path / "pictures").exists()
    assert check(page, write=True) == 0
    assert (tmp_path / "pictures" / "a.png").read_text(encoding="utf-8") == "x\n"
    page.write_text(text + "![B](pictures/b.png)\n", encoding="utf-8")
    (wrong,) = wrong_places(page, tmp_path / "run")
    assert str(wrong).startswith("line 0: pictures/b.png\nno block of the page draws this picture")


def test_a_page_is_corrected_where_it_is_wrong(tmp_path, capsys):
    (page := tmp_path / "page.md").write_text("```pycon\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    assert check(page, write=False) == 1
    assert "page.md: line 2: 1 + 1" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").endswith("3\n```\n")
    assert check(page, write=True) == 1
    assert page.read_text(encoding="utf-8") == "```pycon\n>>> 1 + 1\n2\n```\n"
    assert check(page, write=False) == 0


def test_a_page_may_have_no_block(tmp_path):
    assert read("# Title\n\nText.\n", tmp_path) == []


def materials():
    """Return the names of materials and what lies in the folder, from the table for authors."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", (DOCS / "README.md").read_text(encoding="utf-8"), re.M)
    return {name: told for name, told in rows if name in MATERIALS}


def test_the_table_for_authors_has_all_materials():
    assert set(materials()) == set(MATERIALS)


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_a_material_lays_what_the_table_says(tmp_path, name):
    lay([name], tmp_path)
    told = re.findall(r"`([\w./*]+)`", materials()[name])
    for path in {path.replace("NAME", "*") for path in told if "." in path or "/" in path} | {name} & {"model.sgmm"}:
        assert list(tmp_path.glob(path.rstrip("/"))), path


def test_materials_have_names(tmp_path):
    with pytest.raises(ValueError, match=r"a material must be one of background, .*got 'corpus'"):
        lay(["corpus"], tmp_path)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a  b", "a b"),
        ("──", "─────"),
        ("EER 7.23 %", "EER 7.24 %"),
        ("7 %, 12%", "8 %, 11%"),
        ("-0.01", "+0.00"),
        ("1.50e-3", "1.51e-3"),
        ("0.12345678901", "0.1234567891"),
        ("2026-11-26T20:38:39 0.1.0", "2027-01-02T00:00:00 0.1.0"),
        ("speechgmm 0.1.0, numpy 2.4.6", "speechgmm 0.2.0, numpy 2.15.0"),
        ("versions  a 0.1.0, b 1.0.0,\n          c 1.2.3\nend", "versions  a 10.1.0,\n     b 1.0.0, c 1.2.3\nend"),
        ("fingerprint  edf9aabbe79b44e0", "fingerprint  0123456789ab44e0"),
        ("got 'a...' in x", "got 'a long thing' in x"),
        ("a\n...\nz", "a\nb\nc\nz"),
        ("...", ""),
        ("a\n", "\na\n\n"),
    ],
)
def test_what_agrees(shown, printed):
    assert agree(shown.splitlines(), printed.splitlines())


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("EER 7.23 %", "EER 7.25 %"),
        ("7 of 30", "8 of 30"),
        ("7 %", "9 %"),
        ("+3.81", "-3.81"),
        ("1.50e-3", "1.50e-2"),
        ("0.12345678901", "0.123457"),
        ("7.2", "7.20"),
        ("accepted", "unknown"),
        ("a\nb", "a"),
        ("a", "a\nb"),
        ("", "a"),
        ("a\n...\nz", "a\nb"),
        ("numpy 2.4.6", "numba 2.4.6"),
        ("123456789012", "123456789013"),
        ("abcdefabcdef", "abcdefabcdee"),
        ("got 'a...' in x", "got 'b' in x"),
    ],
)
def test_what_does_not_agree(shown, printed):
    assert not agree(shown.splitlines(), printed.splitlines())


@given(st.floats(-1e3, 1e3), st.integers(1, 5), st.integers(-50, 50))
def test_one_unit_of_the_last_digit_agrees_and_two_do_not(value, decimals, units):
    shown = f"{value:.{decimals}f}"
    printed = f"{float(shown) + units * 10.0**-decimals:.{decimals}f}"
    assert agree([shown], [printed]) == (abs(units) <= 1)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "Zs"]))))
def test_everything_agrees_with_itself(lines):
    assert agree(lines, lines)
