"""The report: what it says, and how a real browser shows it."""

import re
from html import unescape

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Failures, FalseAccepts, Interval, Scores, Trials, evaluate
from speechgmm.report import render_report, write_report
from tests.browser import MISSING, browser
from tests.plot.scores import matrix

NASTY = '<script>document.title="bad"</script>&"\'$\\q$'


@pytest.fixture(scope="module")
def full():
    plain = matrix(prefix=NASTY)
    device = np.where(plain.tests.codes % 3 == 0, NASTY, "phone").tolist()
    place = np.where(plain.speakers.codes < 2, "hall", "").tolist()  # of two speakers, and not known of the others
    held = {"test_speaker": plain.test_speaker, "test_seconds": plain.test_seconds}
    failures = Failures(tests=Trials([f"{NASTY}0", f"{NASTY}1"], ["short", "short"], [1, 0]))
    more = {"conditions": {"device": device, "place": place}, "failures": failures}
    scores = Scores(plain.speaker, plain.test, plain.score, plain.target, **held, **more)
    return scores, evaluate(scores, prior=0.2, replicates=50, by=["device", "place"])


@pytest.fixture(scope="module")
def page(full):
    """The page of a full table, drawn once for all who read it."""
    return render_report(*full, title="x.tsv")


@pytest.fixture(scope="module")
def bare():
    scores = Scores(["ann", "ann", "bob"], ["a", "b", "b"], [1.0, 0.0, 0.5], [1, 0, 0])
    return scores, evaluate(scores)


@pytest.fixture(scope="module")
def opened():
    if MISSING:
        pytest.skip(MISSING)
    with browser() as found:
        yield found


def text_of(page):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))).split())


def test_all_results_are_in_the_page(full, page):
    e, page = full[1], text_of(page)
    assert page.startswith("Evaluation of x.tsv Evaluation of x.tsv Made by speechgmm")
    for rate in (e.eer, e.identification_rate, e.open_set.rate, *e.cmc, *(d.eer for d in e.durations)):
        assert f"{100 * rate:.2f} %" in page
    for cost in (e.min_dcf, e.actual_dcf, e.cllr, e.min_cllr, *(c.min_dcf for c in e.nist)):
        assert f"{cost:.4f}" in page
    interval = e.intervals["eer"]
    assert f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %" in page
    for speaker, taken_for, tests in e.confusion.confusions():
        assert f"{speaker} {taken_for} {tests}" in page
    assert all(reason in page for reason in e.left_out)


def test_what_must_be_defended_is_in_the_page(full, page):
    e, page = full[1], text_of(page)
    assert f"reaches a log-likelihood ratio of {np.log(4):.4g} nats" in page
    errors = e.errors
    for name in ("p_miss", "p_fa", "strangers_accepted", "owners_missed", "owners_mistaken"):
        span = e.intervals[name]
        ends = f"{100 * span.low:.2f} to {100 * span.high:.2f} %"
        assert f"{100 * getattr(errors, name):.2f} % {ends}" in page, name
    assert f"rejected {100 * errors.p_reject:.2f} %" in page
    assert f"the same {100 * errors.p_accept:.2f} %" in page
    assert "tests that gave no score 1 of 76 1.32 %" in page
    assert "1 target trial and 1 impostor trial have no score" in page
    assert f"calibration: the rest {e.cllr - e.min_cllr:.4f}" in page
    bounds = e.llr_bounds
    assert f"least {bounds.low:.2f} 1 / {np.exp(-bounds.low):.3g} {bounds.below} greatest {bounds.high:.2f}" in page
    for c in e.conditions:
        assert f"{c.value} {c.speakers} {c.targets} {c.nontargets} {100 * c.eer:.2f} %" in page
        assert c.doubt in page
    assert "target trials of 2 speakers: too few to tell" in page
    assert "12 speakers have target trials here" in page
    assert f"may still be 3 / n (rule of three): {300 / e.targets:.2f} % of misses" in page
    seen = f"misses: {round(errors.p_miss * e.targets)}, false accepts: {round(errors.p_fa * e.nontargets)}"
    assert f"there are fewer ({seen})" in page
    assert "The table does not name sessions" in page
    for source in ("Science & Justice 61 (2021)", "ISO/IEC 19795-1:2021", "Vergeer"):
        assert source in page


def test_attacks_are_told_and_are_in_no_picture(full):
    plain, names = full[0], sorted(set(full[0].speaker.tolist()))
    kinds = [NASTY if i % 2 else "replayed" for i in range(14)]
    score = np.linspace(-3, 4, 14)
    attacked = Scores(
        [*plain.speaker, *(names[i % 7] for i in range(14))], [*plain.test, *(f"a{i}" for i in range(14))],
        [*plain.score, *score], [*plain.target, *[1] * 14], attack=[*[""] * len(plain), *kinds],
        test_speaker=[*plain.test_speaker, *[""] * 14], test_seconds=[*plain.test_seconds, *[2.0] * 14],
        conditions={"room": [*["hall"] * len(plain), *["car"] * 14]},
    )  # fmt: skip
    e = evaluate(attacked, prior=0.2, replicates=50, by=["room"])
    page = render_report(attacked, e)
    without = Scores(
        plain.speaker, plain.test, plain.score, plain.target, test_speaker=plain.test_speaker,
        test_seconds=plain.test_seconds, conditions={"room": ["hall"] * len(plain)},
    )  # fmt: skip
    other = render_report(without, evaluate(without, prior=0.2, replicates=50, by=["room"]))
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert pictures == re.findall(r"<svg.*?</svg>", other, flags=re.DOTALL)
    assert "<h2>Attacks</h2>" in page
    assert "<h2>Attacks</h2>" not in other
    assert NASTY not in page
    told = text_of(page)
    for s in e.attacks.species:
        ends = f"{100 * s.interval.low:.2f} to {100 * s.interval.high:.2f} %"
        assert f"{s.species} 7 7 0 {100 * s.apcer:.2f} % {ends} {300 / 7:.2f} %" in told
    for t in e.attacks.trade_offs:
        assert f"{t.name} {100 * t.apcer:.2f} % {t.threshold:.4g} {100 * t.bpcer:.2f} % {t.doubt}" in told
    assert f"“{e.attacks.worst}” are accepted, the highest share (APCER), and {100 * e.attacks.bpcer:.2f} %" in told
    assert f"room car {e.attacks.worst} 7 {100 * e.attacks.apcer:.2f} %" in told
    assert "Other attacks. Those of the table" in told
    assert "Other attacks" not in text_of(other)


def test_what_is_not_known_is_said(bare):
    page = text_of(render_report(*bare))
    assert "Failures to acquire and to enroll are not known" in page
    assert "identification rate" not in page
    assert "Conditions apart" not in page
    assert "Larger searches" not in page


def test_strangers_at_thresholds_of_a_calibration_are_told(bare, page):
    assert "thresholds of the calibration" not in page
    accepted = [FalseAccepts(0.05, n, Interval(0.04, 0.031, 0.07, 0.95), False) for n in (1, 12)]
    page = text_of(render_report(*bare, accepted=accepted))
    assert "single trials 5 % 4.00 % 3.10 to 7.00 % searches among 12 models 5 % 4.00 %" in page


def test_rare_rates_keep_their_digits():
    n = 30_000
    scores = Scores(["m"] * n, [f"t{i}" for i in range(n)], [9.0] + [-9.0] * (n - 2) + [9.0], [0] * (n - 1) + [1])
    assert "impostor trials at or above it 0.0033 %" in text_of(render_report(scores, evaluate(scores, replicates=0)))


def test_each_picture_has_a_description_and_each_table_headers(page):
    pictures = re.findall(r'role="img" aria-label="(\w+)', page)
    assert pictures == ["DET", "Histograms", "Tippett", "Confusion", "Error", "Observed"]
    tables = re.findall(r"<table>.*?</table>", page, flags=re.DOTALL)
    assert len(tables) == 12
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table
    assert [int(level) for level in re.findall(r"<h(\d)>", page)] == [1] + [2] * 11


def test_what_comes_from_files_is_escaped(full):
    page = render_report(*full, title=NASTY)
    assert "<script" not in page
    assert NASTY in text_of(page)


def test_nothing_is_fetched(page):
    addresses = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    assert all(a.startswith(("#", "data:image/png;base64,")) for a in addresses)
    assert "@import" not in page
    assert "url(http" not in page


def test_names_of_parts_are_unique(page):
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))


def test_what_is_left_out_is_named_and_has_no_section(bare):
    page = text_of(render_report(*bare))
    assert "What was left out" in page
    assert "durations: there is no column test_seconds" in page
    assert "How much speech" not in page
    assert "Who is it" not in page


def test_many_speakers_have_a_table_of_mistakes_and_no_picture():
    scores = matrix(enrolled=61, strangers=1, tests=1)
    page = render_report(scores, evaluate(scores, replicates=0))
    assert "The most frequent mistakes" in page
    assert "Confusion matrix" not in page


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_names_of_many_speakers_can_be_read_in_the_picture(opened, tmp_path, width, height):
    scores = matrix(enrolled=48, strangers=0, tests=1)
    write_report(scores, evaluate(scores, replicates=0), tmp_path / "r.html")
    opened.look(width, height, "light")
    opened.open(tmp_path / "r.html")
    sizes = opened.run(
        "return [...document.querySelectorAll('.large svg text')].filter(t => /^s\\d+$/.test(t.textContent))"
        ".map(t => t.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
    )
    assert len(sizes) == 96
    assert min(sizes) >= 7
    assert opened.run("return document.documentElement.scrollWidth") <= width


def test_long_names_of_mistakes_are_broken_and_not_cut(opened, tmp_path):
    scores = matrix(enrolled=3, strangers=0, prefix="long" * 50)
    write_report(scores, evaluate(scores, replicates=0), tmp_path / "r.html")
    opened.look(390, 844, "light")
    opened.open(tmp_path / "r.html")
    assert opened.run("const w = document.querySelector('.names .wide'); return w.scrollWidth - w.clientWidth") == 0


def test_no_mistakes_are_told_as_such():
    score = [9.0, 0.0, 0.0, 9.0]
    scores = Scores(["a", "b"] * 2, ["s", "s", "t", "t"], score, [1, 0, 0, 1])
    assert "No test was taken for somebody else." in render_report(scores, evaluate(scores))


def test_the_same_scores_give_the_same_page(full, page):
    assert render_report(*full, title="x.tsv") == page


def test_it_is_written_whole_or_not_at_all(bare, tmp_path):
    write_report(*bare, tmp_path / "r.html", title="ä")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == render_report(*bare, title="ä")
    with pytest.raises(InvalidInput, match="must be in a folder that exists"):
        write_report(*bare, tmp_path / "missing" / "r.html")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
@pytest.mark.parametrize("which", ["full", "bare"])
def test_a_real_browser_shows_it(request, opened, tmp_path, which, width, height, scheme):
    scores, e = request.getfixturevalue(which)
    path = tmp_path / "r.html"
    write_report(scores, e, path, title=NASTY)
    opened.look(width, height, scheme)
    messages, asked = opened.open(path)
    assert messages == []
    assert [a for a in asked if not a.startswith("data:")] == [path.as_uri()]
    wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]"
    page, room, window = opened.run(wide)
    assert page <= room <= window == width
    assert opened.run("return document.title") == f"Evaluation of {NASTY}"
    seen = opened.run("return document.body.innerText")
    assert f"{100 * e.eer:.2f} %" in seen
    assert f"{e.min_cllr:.4f}" in seen
    boxes = opened.run("return [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)")
    assert len(boxes) == (6 if which == "full" else 4)
    assert all(300 < w <= width for w in boxes)
    # where there is room, what belongs together stands side by side, and no table is cut
    tops = opened.run(
        "return [...document.querySelectorAll('.beside')].map("
        "b => [...b.children].map(c => c.getBoundingClientRect().top))"
    )
    assert all((len(set(row)) == 1) == (width > 1000) for row in tops)
    cut = opened.run("return [...document.querySelectorAll('.wide')].filter(w => w.scrollWidth > w.clientWidth).length")
    assert width < 1000 or cut == 0
    paper, ink = opened.run(
        "const s = getComputedStyle(document.body), t = document.querySelector('svg text');"
        "return [s.backgroundColor, getComputedStyle(t).fill]"
    )
    lightness = [np.mean([int(x) for x in re.findall(r"\d+", color)[:3]]) for color in (paper, ink)]
    assert (lightness[0] > 240 and lightness[1] < 40) if scheme == "light" else (lightness[0] < 40 < 200 < lightness[1])
    assert opened.picture().startswith(b"\x89PNG")
