"""Build the documentation: offline, from the checkout, into docs/_site. A warning or a broken link is an error.

python docs/build.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

from links import broken  # noqa: E402


def build(out: Path) -> int:
    """Build the site anew into a folder, check its links, and return the number of mistakes: 0 is good."""
    shutil.rmtree(out, ignore_errors=True)
    kept = out.parent / f"{out.name}_doctrees"
    try:
        failed = sphinx(["-W", "--keep-going", "-q", "-E", "-b", "html", "-d", str(kept), str(HERE), str(out)])
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    found = [] if failed else list(broken(out.resolve()))
    for line in found:
        print(line, file=sys.stderr)
    if not failed and not found:
        print(f"{len(list(out.rglob('*.html')))} pages, no warning, no broken link: {out / 'index.html'}")
    return failed or len(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "_site")
    sys.exit(1 if build(parser.parse_args().out) else 0)
