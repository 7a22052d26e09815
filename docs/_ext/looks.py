"""Blocks that show what a `python` block prints, in the fence `output`; lists of the pages in a folder."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree


class Pages(TocTree):
    """All other pages of this folder, in the order of their names; nothing where there are none yet."""

    def run(self) -> list[nodes.Node]:
        """Return the list, as a `toctree` does."""
        folder = self.env.docname.rpartition("/")[0]
        if not any(name.startswith(f"{folder}/") for name in self.env.found_docs - {self.env.docname}):
            return []
        self.options |= {"glob": None, "maxdepth": 1}
        self.content = StringList(["*"], source=self.env.docname)
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the language `output` and the directive `pages`."""
    app.add_directive("pages", Pages)
    app.add_lexer("output", TextLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
