"""The five lessons of recipes/notebooks/ print and draw what is kept of them, and are a course that can be given."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.documents import DOCS, ROOT, corrected
from tests.notebooks import NOTEBOOKS, PICTURES, Student, check, pages, wrong_cells

TEXTS = {notebook: notebook.read_text(encoding="utf-8") for notebook in NOTEBOOKS}
PUBLIC = {"speechgmm"} | {
    f"speechgmm.{name}"
    for name in ("mixture", "evaluation", "features", "speakers", "classification", "estimators", "plot", "tracking")
}
each = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@each
def test_a_lesson_prints_and_draws_what_is_kept(notebook: Path, tmp_path: Path) -> None:
    wrong = wrong_cells(notebook, tmp_path / "lesson")
    again = f"python -m tests.notebooks --write {notebook.relative_to(ROOT)}"
    assert not wrong, "\n\n".join(map(str, wrong)) + f"\n\nLook at each, and then: {again}"
    drawn = {path.name for path in (tmp_path / "lesson").glob("*.png")}
    assert drawn == {path.name for path in PICTURES.glob(f"{notebook.stem}_*.png")}


def test_there_are_five_lessons_each_with_a_page_and_a_line_in_the_table() -> None:
    assert [notebook.stem[0] for notebook in NOTEBOOKS] == list("12345")
    table = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    for notebook in NOTEBOOKS:
        assert f"| `{notebook.name}` |" in table
        page = (DOCS / "tutorials" / f"{notebook.stem}.md").read_text(encoding="utf-8")
        assert page == f"<!-- notebook: {notebook.stem} -->\n"


@each
def test_every_exercise_has_an_answer_with_code(notebook: Path) -> None:
    numbers = re.findall(r"^# ### Exercise (\d):", TEXTS[notebook], re.M)
    assert len(numbers) >= 3
    before, *answers = re.split(r"^# ### Answer (\d)$", TEXTS[notebook], flags=re.M)
    assert answers[::2] == numbers == sorted(numbers)
    assert all(re.search(r"^# %%\n[^#]", answer, re.M) for answer in answers[1::2])
    assert before.index("# ## Exercises") < before.index("# ## Answers")


@each
def test_a_cell_shows_nothing_that_it_does_not_print(notebook: Path) -> None:
    """Jupyter shows the value of a last line, which nobody has compared."""
    for cell in pages.cells(TEXTS[notebook]):
        if not cell.is_text:
            last = ast.parse("\n".join(cell.lines)).body[-1]
            if isinstance(last, ast.Expr):
                assert re.match(r"(print|plt\.show|kept\.cleanup)\(", ast.unparse(last)), f"line {cell.first}"


@each
def test_a_lesson_uses_public_names_alone(notebook: Path) -> None:
    for node in ast.walk(ast.parse(TEXTS[notebook])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("speechgmm"):
            assert node.module in PUBLIC
            assert {name.name for name in node.names} <= set(importlib.import_module(node.module).__all__)
        elif isinstance(node, ast.Import):
            assert all(name.name in PUBLIC for name in node.names if name.name.startswith("speechgmm"))
        assert not (isinstance(node, ast.Attribute) and node.attr.startswith("_") and node.attr != "__name__")


def test_pictures_are_small_and_have_titles() -> None:
    kept = list(PICTURES.glob("*.png"))
    assert max(path.stat().st_size for path in kept) < 80_000
    titles = [line for text in TEXTS.values() for line in text.splitlines() if line.startswith("# > [picture]")]
    assert len(titles) == len(kept)
    assert all(len(title) > len("# > [picture] ") for title in titles)


@each
def test_jupytext_reads_the_same_cells(notebook: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    read = jupytext.reads(TEXTS[notebook], fmt="py:percent").cells
    ours = pages.cells(TEXTS[notebook])
    assert [cell.cell_type == "markdown" for cell in read] == [cell.is_text for cell in ours]
    for theirs, cell in zip(read, ours, strict=True):
        assert theirs.source.splitlines()[: len(cell.lines)] == list(cell.lines)


NOTEBOOK = """# ---
# jupyter: {}
# ---

# %% [markdown]
# # A lesson
#
# Text with $x$.

# %%
x = 2
print(round(x / 3, 1))
print()
print("end")
# > 0.7
# >
# > end

# %% [markdown]
# ## Answers
#
# ### Answer 1

# %%
import matplotlib.pyplot as plt

plt.figure().gca().set_title("A [title]")
plt.show()
# > [picture] A [title]

# %% [markdown]
# So it is.
#
# ### Answer 2
"""


def test_cells() -> None:
    text, code, answers, picture, last = pages.cells(NOTEBOOK)
    assert (text.is_text, text.lines, text.first) == (True, ("# A lesson", "", "Text with $x$."), 6)
    assert (code.is_text, code.first, code.at) == (False, 11, 15)
    assert code.lines == ("x = 2", "print(round(x / 3, 1))", "print()", 'print("end")')
    assert code.shown == ("0.7", "", "end")
    assert answers.lines[-1] == "### Answer 1"
    assert picture.shown == ("[picture] A [title]",)
    assert last.lines == ("So it is.", "", "### Answer 2")


def test_a_notebook_becomes_a_page_with_folded_answers() -> None:
    page = pages.page("1_a", NOTEBOOK)
    assert page.startswith("# A lesson\n\nText with $x$.\n\nThis lesson is a notebook: {download}`1_a.py <")
    assert '```python\nx = 2\nprint(round(x / 3, 1))\nprint()\nprint("end")\n```\n```output\n0.7\n\nend\n```\n' in page
    folded = page[page.index("::::{dropdown} Answer 1") :]
    assert "\n\n![A \\[title\\]](pictures/1_a_1.png)\n\nSo it is.\n\n::::\n\n::::{dropdown} Answer 2\n" in folded
    assert page.endswith("\n::::\n")
    assert "jupyter" not in page


def run(text: str, folder: Path) -> list[str]:
    return [str(said) for said in Student(folder, name="1_a").read(text) if not said.right]


def test_what_is_kept_is_compared(tmp_path: Path) -> None:
    assert run(NOTEBOOK, tmp_path) == []
    assert (tmp_path / "1_a_1.png").is_file()
    for right, wrong in (("0.7", "0.9"), ("# > end\n", ""), ("A [title]\n\n", "A picture\n\n"), ("x / 3", "x / 0")):
        assert len(run(NOTEBOOK.replace(right, wrong), tmp_path)) == 1, wrong
    (found,) = run(NOTEBOOK.replace("x / 3", "x / 0"), tmp_path)
    assert "line 11: x = 2" in found
    assert "ZeroDivisionError" in found
    (found,) = run(NOTEBOOK.replace("x = 2", "import warnings\nx = 2\nwarnings.warn('careful')"), tmp_path)
    assert "UserWarning: careful" in found


def test_what_was_printed_is_written_and_then_agrees(tmp_path: Path) -> None:
    changed = NOTEBOOK.replace("# > 0.7\n# >\n# > end\n", "").replace(
        "# > [picture] A [title]\n", "# > old\n# > older\n"
    )
    found = [said for said in Student(tmp_path, name="1_a").read(changed) if not said.right]
    assert corrected(changed, found) == NOTEBOOK


def test_a_notebook_is_corrected_with_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.notebooks.PICTURES", tmp_path / "pictures")
    (notebook := tmp_path / "1_a.py").write_text(NOTEBOOK.replace("end", "other", 1), encoding="utf-8")
    assert check(notebook, write=False) == 1
    assert not (tmp_path / "pictures").exists()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1_a_9.png").write_bytes(b"")
    assert check(notebook, write=True) == 1
    assert "1_a.py: line 11: x = 2" in capsys.readouterr().out
    assert "# > other\n" in notebook.read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["1_a_1.png"]
    assert check(notebook, write=False) == 0
