"""Pictures as pieces of a page."""

import re
from xml.etree import ElementTree

from speechgmm.plot import plot_det, plot_histograms
from speechgmm.plot.svg import svg
from tests.plot.scores import matrix


def test_it_is_one_element_with_a_description_and_no_size():
    text = svg(lambda ax: plot_det(matrix(), ax=ax), name="det", description='less < "more" & less')
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'less < "more" & less'
    assert root.get("width") is root.get("height") is None
    assert root.get("viewBox")


def test_colors_are_variables():
    text = svg(lambda ax: plot_histograms(matrix(), threshold=0.0, ax=ax), name="h", description="")
    assert set(re.findall(r"var\((--\w+)\)", text)) == {"--ink", "--target", "--impostor", "--grid"}
    assert set(re.findall(r"#[0-9a-f]{6}", text)) <= {"#000000", "#ffffff"}


def test_names_of_parts_are_its_own_and_all_references_are_met():
    text = svg(lambda ax: plot_histograms(matrix(), ax=ax), name="first", description="")
    names = set(re.findall(r'\bid="([^"]*)"', text))
    assert all(name.startswith("first-") for name in names)
    assert {*re.findall(r'href="#([^"]*)"', text), *re.findall(r"url\(#([^)]*)\)", text)} <= names


def test_the_same_twice_gives_the_same_text():
    first, second = (svg(lambda ax: plot_det(matrix(), ax=ax), name="a", description="") for _ in range(2))
    assert first == second
