"""The site as a reader meets it: in a browser with the network cut off, light and dark, on a phone, by keyboard."""

import json
import os
import re
import shutil
import subprocess
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from tests.book.conftest import watched
from tools import chapters, page_shape

ROOT = chapters.ROOT
PAGES = [page.relative_to(ROOT).with_suffix("").as_posix() for page in chapters.documents()]
CHAPTERS = [page.relative_to(ROOT).with_suffix("").as_posix() for page in chapters.chapters()]
PACKAGE = chapters.Package(ROOT)
SOURCES = [f"_modules/{m.replace('.', '/')}" for m in PACKAGE.within("dlref") if PACKAGE.exported(m)]
ALL = [*PAGES, *SOURCES, "genindex", "py-modindex", "search"]


@pytest.fixture
def context(browser, request):
    """A visitor; the test's parameter, if any, holds options such as the colour scheme."""
    with watched(browser, **getattr(request, "param", {})) as context:
        yield context


THEMES = pytest.mark.parametrize(
    "context", [{"color_scheme": theme} for theme in ("light", "dark")], ids=["light", "dark"], indirect=True
)
# Neither a frame nor a picture is sure to come: a compositor that gets no time gives no frames, and decode() of a lazy
# picture that no frame has brought near waits for ever. So each wait has an end, and pictures are asked for outright.
SEE_EVERYTHING = """async (seconds) => {
  const soon = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  document.querySelectorAll("details").forEach((box) => { box.open = true; });
  for (let y = 0; y < document.documentElement.scrollHeight; y += 600) {
    scrollTo(0, y);
    await Promise.race([new Promise(requestAnimationFrame), soon(500)]);
  }
  const pictures = [...document.images].filter((picture) => picture.checkVisibility());
  pictures.forEach((picture) => { picture.loading = "eager"; });
  const end = performance.now() + 1000 * seconds;
  while (pictures.some((picture) => !picture.complete) && performance.now() < end) await soon(50);
  return pictures.filter((picture) => !picture.complete).map((picture) => picture.src);
}"""


def see_everything(view, seconds=60):
    """Scroll through the page and wait for its pictures."""
    assert view.evaluate(SEE_EVERYTHING, seconds) == [], f"pictures that do not come on {view.url}"


# ------------------------------------------------------------------------------------------------ links


def addresses(soup):
    for tag, attribute in (("a", "href"), ("link", "href"), ("img", "src"), ("script", "src"), ("source", "src")):
        for element in soup.find_all(tag, **{attribute: True}):
            yield element, element[attribute]


def test_addresses_lead_to_something_and_only_links_to_another_host(html):
    """Every address within the book leads to a file, every anchor to an element of that page."""
    soups = {path: BeautifulSoup(path.read_text(encoding="utf8"), "html.parser") for path in html.rglob("*.html")}
    anchors = {path: {element["id"] for element in soup.find_all(id=True)} for path, soup in soups.items()}
    broken = []
    for path, soup in soups.items():
        for element, address in addresses(soup):
            assert element.name == "a" or not re.match(r"(https?:)?//", address), f"{path}: {element}"
            if re.match(r"[a-z]+:", address):
                continue
            target, _, anchor = address.partition("#")
            file = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            if not file.is_file() or (anchor and file.suffix == ".html" and unquote(anchor) not in anchors[file]):
                broken.append(f"{path.relative_to(html)}: {element.name} {address}")
    assert not broken


# ------------------------------------------------------------------------------------------------ every page


def test_the_first_address_leads_to_the_front_page(site, context):
    view = context.new_page()
    view.goto(f"{site}/index.html")
    view.wait_for_url("**/book/index.html")


# Colours and landmarks are those of the style and of the theme's frame, not of what a page says: looked at on a page of
# each kind, in both themes. What depends on the words (names, headings, tables, alternative texts) is looked at on all
# but those that hold source code alone.
KINDS = [PAGES[0], CHAPTERS[0], CHAPTERS[-1], SOURCES[-1], "genindex", "search", "book/convnets/resnet"]
KINDS += [
    f"book/reference/{name}" for name in ("api_training", "errata", "glossary", "results", "data", "bibliography")
]
OF_THE_STYLE = ("color-contrast", "link-in-text-block", "region")


@pytest.mark.parametrize("page", ALL)
def test_page_is_whole_and_can_be_read_by_all(site, context, page):
    """Nothing asked for elsewhere, no error, formulas and pictures there; axe finds nothing; it fits a phone."""
    view, wrong = context.new_page(), []
    view.on("request", lambda r: None if r.url.startswith((site, "data:")) else wrong.append(f"asks for {r.url}"))
    view.on("response", lambda r: wrong.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    view.goto(f"{site}/{page}.html")
    see_everything(view)
    assert not wrong
    assert (
        view.evaluate("[...document.images].filter((i) => i.checkVisibility() && !i.naturalWidth).map((i) => i.src)")
        == []
    )
    assert view.evaluate("document.querySelectorAll('.math:not(:has(mjx-container)), mjx-merror').length") == 0
    text = re.sub(r"\s+", " ", view.evaluate(VISIBLE))
    assert not re.search(r"\\\(|\\\[|\$\$|\{(eq|ref|glue|cite|term|doc|py):?\w*\}`", text)
    if page in KINDS or page not in SOURCES:
        axe_finds_nothing(view, page)
    view.set_viewport_size({"width": 390, "height": 844})
    assert view.evaluate("document.scrollingElement.scrollWidth") <= 390


def axe_finds_nothing(view, page):
    """In the light theme by all rules, and in the dark one by those that depend on it."""
    hidden = [["mjx-math"]]  # from assistive technology, which reads the MathML beside it
    code = [["div.highlight pre"]]  # its many small pieces take a minute a page
    seen = {"exclude": hidden if page in KINDS[:4] else hidden + code}
    rules = {"label-content-name-mismatch": {"enabled": True}}
    rules |= {rule: {"enabled": page in KINDS} for rule in OF_THE_STYLE}
    view.add_style_tag(content="* { transition: none !important; }")
    assert view.evaluate("document.documentElement.dataset.theme") == "light"
    found = Axe().run(view, seen, {"rules": rules})
    assert found.violations_count == 0, found.generate_report()
    if page not in KINDS:
        return
    view.evaluate("document.documentElement.dataset.theme = 'dark'")
    found = Axe().run(view, seen, {"runOnly": ["color-contrast", "link-in-text-block"]})
    assert found.violations_count == 0, found.generate_report()


VISIBLE = """() => {
  const copy = document.querySelector("main").cloneNode(true);
  copy.querySelectorAll("pre, script, style, code").forEach((element) => element.remove());
  return copy.textContent;
}"""


@pytest.mark.parametrize("page", ["book/convnets/resnet", "book/interpretation/style_transfer"])
def test_dark_figures_have_no_light_paper(site, context, page):
    """Of cells and of records: their dark twins are drawn for the dark page behind them."""
    view = context.new_page()
    view.goto(f"{site}/{page}.html")
    view.evaluate("document.documentElement.dataset.theme = 'dark'")
    papers = view.evaluate(
        """() => [...document.querySelectorAll("main img.dl-dark")].map((image) => {
            const style = getComputedStyle(image);
            return [style.display !== "none", style.backgroundColor, style.filter];
        })"""
    )
    assert len(papers) > 3
    assert {tuple(paper) for paper in papers} == {(True, "rgba(0, 0, 0, 0)", "none")}


# ------------------------------------------------------------------------------------------------ nothing hangs


def test_a_picture_that_does_not_come_is_named_and_waited_for_no_longer(context):
    view, page = context.new_page(), "<img src='/never.png' loading=lazy>"
    view.route("**/never.png", lambda _: None)  # asked for, and not answered
    view.route("**/page", lambda route: route.fulfill(body=page, content_type="text/html"))
    view.goto("http://127.0.0.1:9/page", wait_until="domcontentloaded")
    with pytest.raises(AssertionError, match=r"never\.png"):
        see_everything(view, seconds=1)


def test_a_browser_that_gives_no_frames_does_not_hold_up_the_tests(site, context, browser):
    """As on a machine with too much to do: the process that draws gets no time."""
    view = context.new_page()
    view.goto(f"{site}/{CHAPTERS[0]}.html")
    see_everything(view)  # a page that is just asking the process for something would wait for its answer
    drawing = browser.processes("--type=gpu-process")
    assert drawing
    subprocess.run(["kill", "-STOP", *drawing], check=True)
    try:
        assert view.evaluate("document.readyState")
        see_everything(view)
    finally:
        subprocess.run(["kill", "-CONT", *drawing], check=True)


def wait_for_ever(browser, address, limit, before=lambda: None):
    with watched(browser, limit) as context:
        view = context.new_page()
        view.goto(address)
        before()
        view.evaluate("new Promise(() => {})")


def test_a_browser_that_hangs_or_dies_is_started_again_and_the_page_is_named(site, browser):
    address = f"{site}/{CHAPTERS[0]}.html"
    with pytest.raises(TimeoutError, match=f"gave no answer for 3 s; .*{CHAPTERS[0]}"):
        wait_for_ever(browser, address, limit=3)
    with pytest.raises(RuntimeError, match=f"the browser died; .*{CHAPTERS[0]}"):
        wait_for_ever(browser, address, limit=60, before=browser.kill)
    with watched(browser) as context:
        view = context.new_page()
        view.goto(address)
        assert view.title()


# ------------------------------------------------------------------------------------------------ fast


def transferred(context, address):
    """Bytes that each address took, once all of the page has been looked at; and those asked for before that."""
    view, urls, sizes = context.new_page(), {}, {}
    network = context.new_cdp_session(view)
    network.send("Network.enable")
    network.on("Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]}))
    network.on("Network.loadingFinished", lambda e: sizes.update({urls.get(e["requestId"]): e["encodedDataLength"]}))
    view.goto(address)
    view.wait_for_load_state("networkidle")
    first = set(sizes)
    see_everything(view)
    view.wait_for_load_state("networkidle")
    return sizes, first


def test_a_chapter_takes_at_most_a_megabyte(site, browser, html):
    totals = {}
    for page in CHAPTERS:
        with watched(browser) as context:
            sizes, first = transferred(context, f"{site}/{page}.html")
        text = (html / f"{page}.html").read_text(encoding="utf8")
        boxes = BeautifulSoup(text, "html.parser").select(".dl-animation") if "dl-animation" in text else []
        scripts = "".join(script.text for box in boxes for script in box.select("script"))
        frames = {*re.findall(r"_images/\w+\.png", scripts)}
        stills = " ".join(img["src"] for box in boxes for img in box.select("img"))  # a browser fetches these when near
        later = {name for name in frames if name not in stills}
        assert not any(url.endswith(name) for url in first for name in later), f"{page}: frames before they are seen"
        totals[page] = sum(
            size for url, size in sizes.items() if not any((url or "").endswith(name) for name in frames)
        )
    assert sorted(totals.values())[len(totals) // 2] <= 1_000_000, totals


# ------------------------------------------------------------------------------------------------ search


TOPICS = chapters.topics()
FIRST_HIT = """(query) => {
  const [hit] = Search._performSearch(...Search._parseQuery(query)).slice(-1);
  return hit ? hit[0] + hit[2] : "";
}"""


def test_every_label_of_a_section_is_a_topic():
    labels = [label for page in PAGES for label in chapters.labels(ROOT / f"{page}.md")]
    assert sorted(labels) == sorted(TOPICS)
    assert all(topic.get("also") for topic in TOPICS.values())


def test_search_finds_every_topic_by_every_name(site, context):
    home = {label: page for page in PAGES for label in chapters.labels(ROOT / f"{page}.md")}
    view = context.new_page()
    view.goto(f"{site}/search.html?q=nothing")
    view.wait_for_function("Search.hasIndex()")
    for label, topic in TOPICS.items():
        for query in (topic["name"], *topic["also"]):
            assert view.evaluate(FIRST_HIT, query) == f"{home[label]}#{label}", query


def test_search_by_hand(site, context):
    """From the front page, by the keyboard alone."""
    view = context.new_page()
    view.goto(f"{site}/{PAGES[0]}.html")
    view.keyboard.press("Control+k")
    view.keyboard.type("NAG")
    view.keyboard.press("Enter")
    first = view.locator("#search-results li a").first
    first.wait_for()
    assert first.get_attribute("href").endswith("book/optimization/momentum.html#nesterov")


# ------------------------------------------------------------------------------------------------ keyboard, motion


def test_terms_show_their_definition_to_pointer_and_keyboard(site, context):
    view = context.new_page()
    view.goto(f"{site}/book/optimization/momentum.html")
    term = view.locator(".term-used", has_text="exponentially weighted").first
    meaning = term.locator("[role=tooltip]")
    assert not meaning.is_visible()
    term.hover()
    assert "counts less by a constant factor" in meaning.inner_text()
    view.mouse.move(0, 0)
    assert not meaning.is_visible()
    term.locator("a").focus()
    assert meaning.is_visible()
    assert term.locator("a").get_attribute("aria-describedby") == meaning.get_attribute("id")
    view.keyboard.press("Escape")
    assert not meaning.is_visible()


def test_what_scrolls_can_be_reached(site, context):
    view = context.new_page()
    view.set_viewport_size({"width": 390, "height": 844})
    view.goto(f"{site}/book/optimization/momentum.html")
    unreachable = "(b) => b.scrollWidth > b.clientWidth && b.tabIndex < 0"
    assert view.evaluate(f"[...document.querySelectorAll('pre, .formula, .output')].filter({unreachable}).length") == 0
    assert view.evaluate("[...document.querySelectorAll('pre')].some((b) => b.scrollWidth > b.clientWidth)")


@pytest.mark.parametrize(
    ("context", "moves"),
    [({"reduced_motion": "no-preference"}, True), ({"reduced_motion": "reduce"}, False)],
    ids=["motion", "reduced motion"], indirect=["context"],
)  # fmt: skip
def test_animation(site, context, moves):
    """Starts when seen unless the reader asks for stillness; stops and steps by keyboard; follows the theme."""
    view = context.new_page()
    view.goto(f"{site}/book/optimization/momentum.html")
    box = view.locator(".dl-animation").first
    picture, button, slider = box.locator("img"), box.locator("button"), box.locator("input")
    assert slider.input_value() == "0"
    box.scroll_into_view_if_needed()
    if moves:
        view.wait_for_function("document.querySelector('.dl-animation input').value > 2")
        button.focus()
        view.keyboard.press("Enter")
    else:
        view.wait_for_function("document.querySelector('.dl-animation').dataset.seen")
    assert button.inner_text() == "Play"
    before, source = int(slider.input_value()), picture.get_attribute("src")
    assert moves or before == 0
    slider.focus()
    view.keyboard.press("ArrowRight")
    assert int(slider.input_value()) == before + 1
    assert picture.get_attribute("src") != source
    light = picture.get_attribute("src")
    view.evaluate("document.documentElement.dataset.theme = 'dark'")
    view.wait_for_function(
        "(old) => document.querySelector('.dl-animation img').getAttribute('src') !== old", arg=light
    )


@pytest.mark.parametrize(
    "context",
    [{"reduced_motion": "no-preference"}, {"reduced_motion": "reduce"}],
    ids=["motion", "reduced motion"],
    indirect=True,
)
def test_slider_moves_by_keyboard_and_pointer_alone(site, context):
    view = context.new_page()
    view.goto(f"{site}/book/convnets/resnet.html")
    box = view.locator(".dl-sliders").first
    picture, slider, value = box.locator("img"), box.locator("input").first, box.locator("output").first
    box.scroll_into_view_if_needed()
    view.wait_for_function("document.querySelector('.dl-sliders').dataset.seen")
    view.wait_for_timeout(500)
    assert slider.input_value() == "0", "nothing moves by itself"
    first, said = picture.get_attribute("src"), value.inner_text()
    slider.focus()
    view.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    second = picture.get_attribute("src")
    assert second != first
    assert value.inner_text() == slider.get_attribute("aria-valuetext") != said
    assert box.locator("label").first.inner_text().startswith("layers")
    view.keyboard.press("End")
    assert slider.input_value() == slider.get_attribute("max")
    place = slider.bounding_box()
    view.mouse.click(place["x"] + 2, place["y"] + place["height"] / 2)
    assert slider.input_value() == "0"
    assert picture.get_attribute("src") == first
    view.evaluate("document.documentElement.dataset.theme = 'dark'")
    view.wait_for_function("(old) => document.querySelector('.dl-sliders img').getAttribute('src') !== old", arg=first)


def test_folds_and_hints_open_by_keyboard(site, context):
    view = context.new_page()
    view.goto(f"{site}/book/convnets/resnet.html")
    for kind, words in (("details.fold:not(.hint)", "Imports and data"), ("details.hint", "Hint")):
        fold = view.locator(kind).first
        inside = fold.locator(":scope > :not(summary)").first
        assert fold.locator("summary").inner_text() == words
        assert not inside.is_visible()
        fold.locator("summary").focus()
        view.keyboard.press("Enter")
        assert inside.is_visible()
        view.keyboard.press("Enter")
        assert not inside.is_visible()


@pytest.mark.parametrize("context", [{"java_script_enabled": False}], ids=["no script"], indirect=True)
def test_folds_open_and_sliders_are_a_figure_without_script(site, context):
    view = context.new_page()
    view.goto(f"{site}/book/convnets/resnet.html")
    fold = view.locator("details.fold").first
    assert not fold.locator("pre").first.is_visible()
    fold.locator("summary").click()
    assert fold.locator("pre").first.is_visible()
    picture = view.locator(".dl-sliders img").first
    picture.scroll_into_view_if_needed()
    assert picture.is_visible()
    assert picture.get_attribute("alt")


def test_shape_of_the_pages_is_what_is_kept(html, context):
    """Within three points: fonts of another machine break lines elsewhere."""
    view = context.new_page()
    view.set_viewport_size({"width": 1280, "height": 1000})
    kept = page_shape.kept()
    assert [f"book/{name}" for name in kept] == CHAPTERS
    for name, share in kept.items():
        assert 100 * page_shape.share(view, html / "book" / f"{name}.html") == pytest.approx(share, abs=3), name


@THEMES
def test_one_of_two_twins_is_shown(site, context):
    view = context.new_page()
    view.goto(f"{site}/{CHAPTERS[0]}.html")
    theme = view.evaluate("document.documentElement.dataset.theme")
    for twin in ("light", "dark"):
        assert view.locator(f"img.dl-{twin}").first.is_visible() == (twin == theme)


@pytest.mark.parametrize("page", ["book/index", max(CHAPTERS, key=lambda page: (ROOT / f"{page}.md").stat().st_size)])
def test_lighthouse(site, chromium, page, record_property):
    """Accessibility, best practices and what search engines need; the score for speed is noted, and not a test."""
    command = shutil.which("lighthouse")
    if command is None:
        pytest.skip("left out: there is no Lighthouse here (npm install --global lighthouse)")
    flags = ["--quiet", "--output=json", "--preset=desktop", "--chrome-flags=--headless --no-sandbox --disable-gpu"]
    environment = {**os.environ, "CHROME_PATH": chromium}
    ran = subprocess.run(
        [command, f"{site}/{page}.html", *flags],
        env=environment, capture_output=True, text=True, check=True, timeout=280,
    )  # fmt: skip
    scores = {name: category["score"] for name, category in json.loads(ran.stdout)["categories"].items()}
    record_property("performance", scores.pop("performance"))
    assert min(scores.values()) >= 0.95, scores


def test_solutions_open_and_the_page_begins_by_keyboard(site, context):
    view = context.new_page()
    view.goto(f"{site}/{CHAPTERS[0]}.html")
    view.keyboard.press("Tab")
    assert view.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    solution = view.locator(".solution").first
    text = solution.locator("p").nth(1)
    assert not text.is_visible()
    solution.locator("button.toggle-button").focus()
    view.keyboard.press("Enter")
    text.wait_for(state="visible")
