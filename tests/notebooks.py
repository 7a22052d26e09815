"""The lessons of recipes/notebooks/: how their cells are run, and what must agree with what is kept of each.

Below the code of a cell stands what it printed, each line after `# > `, and the titles of the pictures that it drew;
the pictures are kept in docs/tutorials/pictures/. Both are written by

    python -m tests.notebooks --write [recipes/notebooks/2_em_step_by_step.py ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from tests.documents import DOCS, ROOT, Block, Reader, Said, corrected
from tests.materials import lay

NOTEBOOKS = sorted((ROOT / "recipes" / "notebooks").glob("*.py"))
PICTURES = DOCS / "tutorials" / "pictures"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "_ext" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


pages: Any = _module()
"""How a notebook is divided into cells, and becomes a page."""


@dataclass
class Student(Reader):
    """Somebody who runs a notebook, by its name, from top to bottom, in a folder where the pictures are saved."""

    name: str = ""

    def read(self, text: str) -> Iterator[Said]:
        """Run the cells, and yield what each shows and printed."""
        import matplotlib
        from matplotlib import pyplot as plt

        matplotlib.use("agg")
        plt.close("all")  # what somebody else has drawn is no picture of the lesson
        pictures = 0
        for cell in pages.cells(text):
            if cell.is_text:
                continue
            output = Block("output", cell.shown, cell.at, "")
            with patch("matplotlib.pyplot.show"):  # pictures are kept, whether or not this machine has a screen
                said = self._python(Block("python", cell.lines, cell.first, ""), output)
            titles = self._pictures(pictures)
            pictures += len(titles)
            printed = "\n".join([*said.printed.splitlines(), *(pages.PICTURE + title for title in titles)])
            yield replace(said, printed=printed, indent=pages.PROMPT)

    def _pictures(self, before: int) -> list[str]:
        """Save and close all figures that are open, and return what their titles say."""
        from matplotlib import pyplot as plt

        titles = []
        for number, figure in enumerate(map(plt.figure, plt.get_fignums()), before + 1):
            with self._surroundings():
                figure.savefig(self.folder / pages.picture(self.name, number), dpi=100, metadata={"Software": None})
            said = [figure.get_suptitle()] if figure.get_suptitle() else [ax.get_title() for ax in figure.axes]
            titles.append("; ".join(" ".join(title.split()) for title in said if title))
        plt.close("all")
        return titles


def wrong_cells(notebook: Path, folder: Path) -> list[Said]:
    """Run a notebook in a new folder, where its pictures are left, and return the cells that show something else."""
    folder.mkdir(parents=True)
    lay(["checkout"], folder)
    student = Student(folder, name=notebook.stem)
    return [said for said in student.read(notebook.read_text(encoding="utf-8")) if not said.right]


def check(notebook: Path, *, write: bool) -> int:
    """Print where a notebook is wrong, correct it if that is asked for, and return in how many cells it was."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve() / "lesson"
        found = wrong_cells(notebook, folder)
        if write:
            for old in PICTURES.glob(f"{notebook.stem}_*.png"):
                old.unlink()
            for picture in folder.glob("*.png"):
                _keep(picture)
            notebook.write_text(corrected(notebook.read_text(encoding="utf-8"), found), encoding="utf-8")
    for said in found:
        print(f"{notebook}: {said}\n")
    return len(found)


def _keep(picture: Path) -> None:
    """Keep a picture with 128 colors, which looks the same and takes a third of the room."""
    from PIL import Image

    PICTURES.mkdir(exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128).save(PICTURES / picture.name, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, metavar="NOTEBOOK")
    parser.add_argument("--write", action="store_true", help="keep what was printed and drawn")
    given = parser.parse_args()
    wrong = sum(check(notebook, write=given.write) for notebook in given.notebooks)
    sys.exit(1 if wrong and not given.write else 0)
