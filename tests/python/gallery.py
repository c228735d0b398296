"""Looks at a gallery in headless Chromium, as a reader would: every view, every key, hostile prompts, both languages, a phone.

Usage: gallery.py GALLERY.html [SCREENSHOTS]

The page is the one that tests/process/gallery.rs makes. Nothing may be asked of a network, nothing may be logged as an error, and no
prompt may run.
"""

import json
import pathlib
import shutil
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

VIEWS = ("images", "compare", "matrix", "failed", "timing")
PAGE = pathlib.Path(sys.argv[1]).resolve().as_uri()
SHOTS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-US", "--window-size=1280,900"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": "en-US"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


driver = browser()
wait = WebDriverWait(driver, 20, poll_frequency=0.05)


def js(script, *args):
    return driver.execute_script(script, *args)


def until(condition, what):
    """Waits for a JavaScript expression to be true."""
    wait.until(lambda _: js(f"return Boolean({condition})"), f"{what}: {condition}")


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


def keys(*what):
    for key in what:
        driver.switch_to.active_element.send_keys(key)


def text(selector):
    return js("return document.querySelector(arguments[0])?.textContent ?? null", selector)


def count():
    return text("#count")


def open_page(hash=""):
    driver.get("about:blank")
    driver.get(PAGE + hash)
    until("!document.getElementById('loading')", "the page is drawn")


def emulate(width, height, dark=False):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def shot(name):
    if SHOTS:
        SHOTS.mkdir(exist_ok=True)
        driver.save_screenshot(str(SHOTS / f"{name}.png"))


def load():
    emulate(1280, 900)
    open_page()
    equal(count(), "418 images, 5 jobs without one", "the count")
    until("[...document.querySelectorAll('#grid img')].every((image) => image.complete && image.naturalWidth)", "thumbnails load")
    n_cells = js("return document.querySelectorAll('#grid .cell').length")
    assert 10 <= n_cells < 80, f"only what is seen exists, and {n_cells} cells do"
    equal(js("return document.querySelector('#grid .cell').getAttribute('aria-setsize')"), "423", "the size of the list")
    js("scrollTo(0, document.body.scrollHeight)")
    until("[...document.querySelectorAll('#grid .cell')].some((cell) => cell.dataset.i === '422')", "the last is reached")
    # The image that is gone, the last of the many cats, has a placeholder and asks for no file.
    until("document.querySelector('#entry-407 .placeholder')", "a placeholder")
    js("scrollTo(0, 0)")
    shot("grid")


def search():
    keys("/")
    equal(js("return document.activeElement.id"), "search", "the focus after /")
    keys("石桥")
    until("document.getElementById('count').textContent.startsWith('1 of')", "Chinese is found")
    keys(Keys.CONTROL + "a", "LAKE dawn")
    until("document.getElementById('count').textContent.startsWith('3 of')", "words in any order and case")
    until("location.hash.includes('q=LAKE')", "the address keeps the search")
    keys(Keys.CONTROL + "a", "نافذة")
    until("document.getElementById('count').textContent.startsWith('1 of')", "Arabic is found")
    # The negative prompt, the id, a column, words of two fields, and the exact names of an image and of a task.
    for query, n in (("Smudged INK", 1), ("jiangnan", 1), ("hostile", 1), ("animal نافذة", 1), ("fog", 8), ("fog barn", 8)):
        keys(Keys.CONTROL + "a", query)
        until(f"document.getElementById('count').textContent.startsWith('{n} of')", f"{query} is found")
    keys(Keys.CONTROL + "a", "#12")
    until("document.querySelectorAll('#grid .cell').length === 1", "a number is found")
    keys(Keys.CONTROL + "a", "nowhere")
    until("document.querySelector('.empty')", "nothing is said to match")
    keys(Keys.ESCAPE)
    js("document.querySelector('#chips .link').click()")
    equal(count(), "418 images, 5 jobs without one", "all again")
    open_page("#open=2")
    facts = js("return [...document.querySelectorAll('#detail dt')].map((name) => [name.textContent, name.nextSibling.textContent])")
    task, file = dict(facts)["Task"], dict(facts)["File"]
    for name in (task, file, file.removeprefix("images/")):
        open_page(f"#q={name}")
        equal(count(), "1 of 418 images", f"{name} is found")
    open_page()


def filter():
    box = lambda facet, value: driver.find_element(By.CSS_SELECTOR, f'[data-facet="{facet}"] input[value="{value}"]')
    box("model", "m/two").click()
    equal(count(), "4 of 418 images, 4 jobs without one", "one model")
    box("status", "moderated").click()
    equal(count(), "0 of 418 images, 3 jobs without one", "and one status")
    box("status", "moderated").click()
    box("column.kind", "animal").click()
    equal(count(), "1 of 418 images", "and a column")
    until("location.hash.includes('is.column.kind=animal')", "the address keeps the filter")
    open_page(js("return location.hash"))
    equal(count(), "1 of 418 images", "the same address, the same view")
    js("document.querySelector('#chips .link').click()")
    js("const sort = document.getElementById('sort'); sort.value = 'slowest'; sort.dispatchEvent(new Event('change'))")
    taken = js("return [...document.querySelectorAll('#grid .cell')].slice(0, 5).map((cell) => parseFloat(cell.querySelector('.caption .dim span:last-child').textContent))")
    equal(taken, sorted(taken, reverse=True), "slowest first")
    open_page()


def keyboard():
    js("document.getElementById('grid').focus()")
    keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    equal(js("return document.getElementById('grid').getAttribute('aria-activedescendant')"), "entry-1", "the cursor")
    keys(Keys.ENTER)
    until("document.getElementById('detail').open", "enter opens")
    equal(text("#detail .prompt"), "a calm lake at dawn", "the prompt")
    assert "m/two" in text("#detail dl"), "all that is known is shown"
    until("document.querySelector('#detail .full').naturalWidth === 32", "the image itself is shown")
    keys(Keys.ARROW_RIGHT)
    until("location.hash.includes('open=3')", "the next one, in the address too")
    keys(Keys.ESCAPE)
    until("!document.getElementById('detail').open", "escape closes")
    until("!location.hash.includes('open')", "and the address forgets it")
    keys("?")
    until("document.getElementById('keys').open", "help opens")
    keys(Keys.ESCAPE)
    keys(Keys.END)
    until("document.getElementById('grid').getAttribute('aria-activedescendant') === 'entry-422'", "end")
    keys(Keys.HOME)
    open_page("#open=3")
    until("document.getElementById('detail').open", "an address opens an image")
    shot("detail")
    open_page()


def compare():
    js("document.getElementById('grid').focus()")
    keys(Keys.SPACE, Keys.ARROW_RIGHT, Keys.SPACE, "v")
    until("document.getElementById('side').open", "two that were picked, side by side")
    equal(js("return document.querySelectorAll('#side figure').length"), 2, "as many as were picked")
    facts = text("#side figcaption dl")
    assert "m/one" in facts, f"what they differ in is told: {facts}"
    shot("side")
    keys(Keys.ESCAPE)
    js("document.querySelector('#tray .link').click()")
    js("document.activeElement.blur()")
    keys("2")
    equal(count(), "3 prompts to compare", "groups")
    equal(js("return document.querySelectorAll('.group:first-child .shot').length"), 3, "images of one prompt")
    js("document.querySelector('.group .button').click()")
    until("document.querySelectorAll('#side[open] figure').length === 3", "a group, side by side")
    keys(Keys.ESCAPE)
    # A failed job keeps its place in the row, with its reason.
    open_page("#view=compare&q=barn")
    shots = js("return [...document.querySelectorAll('.shot')].map((shot) => [shot.lastChild.textContent, shot.querySelector('small')?.textContent ?? ''])")
    equal([label for label, _ in shots], [f"{model} · Seed {seed}" for model in ("one", "two", "three") for seed in (1, 2, 10)], "the row")
    assert "inappropriate" in shots[4][1], f"the reason stands in its place: {shots[4]}"
    # One of each model comes first, with the same seed, and then the next seed.
    js("document.querySelector('.group .button').click()")
    equal(compared(), ["m/one 1", "m/two 1", "m/three 1", "m/one 10"], "the filling")
    keys(Keys.ESCAPE)
    # Without the first seed, the third one is the one that all models have.
    open_page("#view=compare&q=barn&is.seed=2&is.seed=10")
    js("document.querySelector('.group .button').click()")
    equal(compared(), ["m/one 10", "m/two 10", "m/three 10", "m/one 2"], "a seed that all models have")
    keys(Keys.ESCAPE)
    open_page("#view=compare&q=barn&is.model=m/one")
    js("document.querySelector('.group .button').click()")
    equal(compared(), ["1", "2", "10"], "one model: each seed")
    keys(Keys.ESCAPE)


def compared():
    """Model and seed of the images side by side, as far as they differ."""
    return js("""return [...document.querySelectorAll('#side figure')].map((figure) => {
        const facts = new Map([...figure.querySelectorAll('dt')].map((name) => [name.textContent, name.nextSibling.textContent]));
        return [facts.get('Model'), facts.get('Seed')].filter(Boolean).join(' ');
    })""")


def wipe():
    open_page("#view=compare&q=barn")
    js("document.querySelector('.group .button').click()")
    keys("w")
    until("document.activeElement.id === 'divider'", "the divider has the focus")
    divider = driver.find_element(By.ID, "divider")
    aria = lambda name: divider.get_attribute(name)
    equal((aria("role"), aria("aria-valuenow"), aria("aria-valuemin"), aria("aria-valuemax")), ("slider", "50", "0", "100"), "a slider")
    assert "one · Seed 1 on the left, two · Seed 1 on the right" in aria("aria-valuetext"), aria("aria-valuetext")
    until("[...document.querySelectorAll('#divider img')].every((image) => image.naturalWidth === 32)", "both images are shown")
    for key, at in ((Keys.ARROW_RIGHT, "52"), (Keys.PAGE_UP, "62"), (Keys.ARROW_LEFT, "60"), (Keys.END, "100"), (Keys.ARROW_RIGHT, "100"), (Keys.HOME, "0"), (Keys.PAGE_DOWN, "0")):
        keys(key)
        equal(aria("aria-valuenow"), at, f"after {key!r}")
        clip = js("return getComputedStyle(document.querySelector('.layer.left')).clipPath")
        equal(clip, f"inset(0px {100 - int(at)}% 0px 0px)", "the left image ends at the divider")
    # A mouse and a finger drag it, and it follows no pointer that is not down.
    for device, name in (("mouse", "mouse"), ("touch", "finger")):
        box = js("const box = document.getElementById('divider').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]")
        pointer = ActionBuilder(driver, mouse=PointerInput(device, name))
        y = int(box[1] + box[3] / 2)
        pointer.pointer_action.move_to_location(int(box[0] + box[2] / 4), y).pointer_down().move_to_location(int(box[0] + box[2] * 3 / 4), y).pointer_up()
        if device == "mouse":
            pointer.pointer_action.move_to_location(int(box[0] + 5), y)
        pointer.perform()
        assert abs(int(aria("aria-valuenow")) - 75) <= 1, f"{device}: {aria('aria-valuenow')}"
        keys(Keys.HOME)
    # Any two of the compared images can be chosen, and never the same one twice.
    js("const right = document.getElementById('wipe-right'); right.value = '0'; right.dispatchEvent(new Event('change'))")
    equal(js("return ['left', 'right'].map((side) => document.getElementById(`wipe-${side}`).value)"), ["1", "0"], "the sides change places")
    shot("wipe")
    js("document.getElementById('wipe').click()")
    equal(js("return document.querySelectorAll('#side figure').length"), 4, "side by side again")
    keys(Keys.ESCAPE)


def cell(row, column):
    return js("const cell = document.getElementById(`cell-${arguments[0]}-${arguments[1]}`); return cell && [cell.getAttribute('aria-label'), cell.querySelectorAll('.tile').length, cell.textContent]", row, column)


def heads(kind):
    return js(f"return [...document.querySelectorAll('.{kind} .said')].map((head) => head.textContent)")


def choose_axis(name, value):
    js("const axis = document.getElementById(`axis-${arguments[0]}`); axis.value = arguments[1]; axis.dispatchEvent(new Event('change'))", name, value)


def matrix():
    open_page()
    js("document.activeElement.blur()")
    keys("3")
    equal(count(), "412 rows × 3 columns", "prompts and models, unless chosen otherwise")
    n_cells = js("return document.querySelectorAll('.gridcell').length")
    assert 6 <= n_cells < 60, f"only what is seen exists, and {n_cells} cells do"
    offered = js("return [...document.getElementById('axis-rows').options].map((option) => option.value)")
    assert {"prompt", "model", "seed", "size", "n", "column.kind", "negative"} <= set(offered), offered
    # Heads stay visible at the end of the list.
    js("const m = document.getElementById('matrix'); m.scrollTop = m.scrollHeight")
    until("document.getElementById('cell-411-0')", "the last row is reached")
    equal(js("return document.querySelectorAll('.gridcell').length") < 60, True, "and the first ones are gone")
    tops = js("return ['matrix', 'matrix-head'].map((name) => (document.getElementById(name) ?? document.querySelector(`.${name}`)).getBoundingClientRect().top)")
    assert abs(tops[0] - tops[1]) < 3, f"the head of the columns is at the top: {tops}"
    # Jobs without an image are in their places and say why.
    states = {row: [cell(row, column) for column in (0, 1, 2)] for row in (408, 410, 411)}
    equal(states[411][0][0], "#423 Pending", "a pending one")
    assert "In doubt" in states[410][1][2] and states[410][1][0].startswith("#422 In doubt"), states[410]
    assert "Moderated" in states[408][1][2] and "inappropriate" in states[408][1][0], states[408]
    equal(states[411][1][:2], ["No job", 0], "a gap")
    # Rows are seeds, columns are models: the second seed of the second model has failed.
    open_page("#view=matrix&q=barn")
    choose_axis("rows", "seed")
    equal((heads("rowheader"), heads("columnheader")), (["1", "2", "10"], ["one", "two", "three"]), "the chosen axes")
    until("location.hash.includes('rows=seed')", "the address keeps the axes")
    assert "inappropriate" in cell(1, 1)[2], f"the reason is in the cell: {cell(1, 1)}"
    equal([cell(row, column)[1] for row in range(3) for column in range(3)], [1] * 9, "nothing has moved")
    shot("matrix")
    js("document.getElementById('swap').click()")
    equal((heads("rowheader"), heads("columnheader")), (["one", "two", "three"], ["1", "2", "10"]), "swapped")
    until("location.hash.includes('rows=model')", "in the address too")
    open_page(js("return location.hash"))
    equal(heads("rowheader"), ["one", "two", "three"], "the same address, the same axes")
    choose_axis("columns", "model")
    equal((heads("rowheader"), heads("columnheader")), (["1", "2", "10"], ["one", "two", "three"]), "no axis twice")
    open_page("#view=matrix&rows=seed")
    equal(heads("rowheader"), ["1", "2", "10", "30", "(none)"], "numbers in their order, and no number last")
    open_page("#view=matrix&q=barn&rows=seed&columns=model")
    # A hidden cell leaves a gap, and no other one moves.
    js("document.getElementById('hide').click()")
    equal(cell(1, 1)[0], "No job", "hidden")
    equal((heads("rowheader"), heads("columnheader")), (["1", "2", "10"], ["one", "two", "three"]), "and its row and column are kept")
    # The lake has a gap where no job is, and the row of one prompt has two images in a cell.
    open_page("#view=matrix&q=lake&rows=seed&columns=model")
    equal([cell(0, 0)[1], cell(0, 1)[1], cell(1, 0)[1], cell(1, 1)[0]], [1, 1, 1, "No job"], "a gap")
    open_page("#view=matrix&q=lake")
    equal([cell(0, 0)[1], cell(0, 1)[1]], [2, 1], "several in one cell")
    open_page("#view=matrix&q=twins&columns=n")
    equal(heads("columnheader"), ["1", "2"], "copies")
    # More than four: three and the number of the others.
    open_page("#view=matrix&rows=model&columns=column.kind&q=cat+number")
    equal((cell(0, 0)[1], cell(0, 0)[2]), (4, "+397"), "many in one cell")
    # Many columns are virtual too, and the heads of the rows stay visible.
    open_page("#view=matrix&rows=model&columns=prompt")
    assert len(heads("columnheader")) < 30, "columns that are seen"
    js("const m = document.getElementById('matrix'); m.scrollLeft = m.scrollWidth")
    until("document.getElementById('cell-0-411')", "the last column is reached")
    lefts = js("return ['#matrix', '.rowheader'].map((name) => document.querySelector(name).getBoundingClientRect().left)")
    assert abs(lefts[0] - lefts[1]) < 3, f"the head of the rows is on the left: {lefts}"
    # A hash that names nothing, or one axis twice, shows something.
    for hash, row in (("rows=nothing&columns=column.none", "a calm lake at dawn"), ("rows=prompt&columns=prompt", "a calm lake at dawn"), ("columns=prompt", "one")):
        open_page(f"#view=matrix&{hash}")
        equal(heads("rowheader")[0], row, hash)
    open_page("#view=matrix&q=nowhere")
    equal(text(".empty p"), "Nothing matches.", "nothing")


def matrix_keys():
    open_page("#view=matrix&q=barn&rows=seed")
    at = lambda: js("return document.getElementById('matrix').getAttribute('aria-activedescendant')")
    js("document.getElementById('matrix').focus()")
    for key, where in ((Keys.ARROW_RIGHT, "0-1"), (Keys.ARROW_DOWN, "1-1"), (Keys.END, "1-2"), (Keys.ARROW_RIGHT, "1-2"), (Keys.CONTROL + Keys.HOME, "0-0"), (Keys.PAGE_DOWN, None), (Keys.CONTROL + Keys.END, "2-2"), (Keys.HOME, "2-0")):
        keys(key)
        if where:
            equal(at(), f"cell-{where}", f"the cursor after {key!r}")
    keys(Keys.ENTER)
    until("document.getElementById('detail').open", "enter opens")
    keys(Keys.ARROW_RIGHT)
    assert "m/two" in text("#detail dl"), "the next one is the next in the row"
    keys(Keys.ESCAPE)
    until("document.activeElement.id === 'matrix'", "the focus is back")
    keys("v")
    until("document.querySelectorAll('#side[open] figure').length === 3", "the row, side by side")
    keys(Keys.ESCAPE, Keys.SPACE, Keys.ARROW_RIGHT, Keys.SPACE)
    equal(js("return document.querySelectorAll('.tile.picked').length"), 2, "two were picked")
    equal(js("return document.querySelectorAll('.gridcell[aria-selected=true]').length"), 2, "and are said to be")
    keys("v")
    until("document.querySelectorAll('#side[open] figure').length === 2", "the picked ones, side by side")
    keys(Keys.ESCAPE)
    js("document.querySelector('#tray .link').click()")
    js("document.querySelector('.rowheader .link').click()")
    until("document.querySelectorAll('#side[open] figure').length === 3", "a row by its button")
    keys(Keys.ESCAPE)


def cards_and_filters():
    open_page()
    equal(text("#entry-0 .which"), "one · Seed 1", "a card says its model and seed")
    equal(text("#entry-4 .which"), "two", "and no seed where there is none")
    open_page("#q=barn")
    # A job that has failed is in the grid, in its place and with its reason.
    equal(text("#entry-4 .which"), "two · Seed 2", "a card without an image too")
    assert "inappropriate" in text("#entry-4 .placeholder"), text("#entry-4 .placeholder")
    js("document.getElementById('hide').click()")
    equal(count(), "8 of 418 images", "without the moderated ones")
    until("location.hash.includes('hide=moderated')", "the address keeps it")
    equal(text('[data-facet="status"] label:has([value="moderated"]) .n'), "1", "the filter still counts them")
    open_page("#hide=moderated&is.status=moderated")
    equal(count(), "0 of 418 images", "hidden is stronger than chosen")
    open_page("#hide=moderated")
    equal(count(), "418 images, 2 jobs without one", "doubtful and pending jobs are not hidden")
    # A folded filter has an arrow, and the number of its values does not look like a number of jobs.
    arrow = "return getComputedStyle(document.querySelector('[data-facet=\"model\"] summary'), '::before').transform"
    opened = js(arrow)
    js("document.querySelector('[data-facet=\"model\"]').open = false")
    assert opened != js(arrow) != "none", "the arrow turns"
    open_page()


def failed_and_timing():
    open_page()
    keys("4")
    equal(count(), "4 jobs, 2 reasons", "the failed")
    assert "moderated" in text(".reason summary")
    js("document.querySelector('.reason li button').click()")
    until("document.getElementById('detail').open", "a failed one opens")
    assert "inappropriate" in text("#detail .why"), "with its reason"
    shot("failed")
    keys(Keys.ESCAPE)
    js("document.activeElement.blur()")
    keys("5")
    equal(js("return document.querySelectorAll('.chart').length"), 4, "charts")
    assert js("return document.querySelectorAll('.chart .bar').length") > 20
    assert "NaN" not in js("return document.getElementById('panel').outerHTML"), "every figure is one"
    shot("timing")


def hostile():
    open_page("#open=6")
    until("document.getElementById('detail').open", "the hostile one opens")
    equal(text("#detail .prompt"), "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>", "it is text")
    keys(Keys.ARROW_RIGHT)
    equal(text("#detail .prompt"), "</script><script>document.title='taken'</script><!-- ", "this too")
    keys(Keys.ARROW_RIGHT)
    bidi = js("const p = document.querySelector('#detail .prompt'); return [p.dir, getComputedStyle(p).unicodeBidi]")
    assert bidi[0] == "auto" and "isolate" in bidi[1], f"its direction stays its own: {bidi}"
    for view in VIEWS:
        open_page(f"#view={view}&q=taken")
        equal(js("return document.title"), "out – promptbatch", "no prompt has run")
    equal(js("return document.querySelectorAll('#panel script, #facets script, #facets b b, img[onerror]').length"), 0, "no element of theirs")
    # Even a script that got into the page would not run.
    js("const s = document.createElement('script'); s.textContent = 'window.taken = 1'; document.body.append(s)")
    equal(js("return window.taken ?? null"), None, "the policy holds")


def language_and_looks():
    open_page()
    js("document.getElementById('language').click()")
    equal(js("return document.documentElement.lang"), "zh-CN", "the language")
    equal(count(), "418 张图片，5 个无图", "in Chinese")
    assert "模型" in text("#facets")
    open_page()
    equal(js("return document.documentElement.lang"), "zh-CN", "it is remembered")
    js("document.getElementById('language').click()")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = js(ground)
    emulate(1280, 900, dark=True)
    dark = js(ground)
    assert light != dark, "dark where the system is"
    js("document.getElementById('theme').click()")
    equal(js(ground), light, "and light by the switch")
    js("localStorage.clear()")


def contrast():
    """Every text that is seen stands out from its ground at least 4.5 to 1, light and dark."""
    script = """
    const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const parse = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.9) return c; } return parse(getComputedStyle(document.body).backgroundColor); };
    const poor = [];
    for (const e of document.querySelectorAll('#top *, #facets *, #bar *, #panel *')) {
      if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.offsetParent || e.closest('svg')) continue;
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) poor.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
    }
    return [...new Set(poor)];
    """
    for dark in (False, True):
        emulate(1280, 900, dark)
        for view in VIEWS:
            open_page(f"#view={view}")
            equal(js(script), [], f"contrast in {view}, dark: {dark}")


def phone():
    # A history of its own, as a browser keeps no more than fifty steps.
    driver.switch_to.new_window("tab")
    emulate(375, 812)
    for view in VIEWS:
        open_page(f"#view={view}")
        equal(js("return document.documentElement.scrollWidth"), 375, f"{view} is no wider than the screen")
        beyond = """return [...document.querySelectorAll('#top *, #bar *, #panel > * > *')]
            .filter((e) => e.getBoundingClientRect().right > 375.5).map((e) => e.outerHTML.slice(0, 80))"""
        equal(js(beyond), [], f"{view} has nothing beyond the edge")
    open_page()
    shot("phone")
    js("document.getElementById('filters').click()")
    until("document.getElementById('facets').getBoundingClientRect().width === 375", "filters are a sheet")
    js("document.querySelector('.sheet-head button').click()")
    js("document.querySelector('#grid .cell').click()")
    until("document.getElementById('detail').open", "a touch opens")
    driver.back()
    until("!document.getElementById('detail').open", "and the way back closes")
    equal(js("return document.title"), "out – promptbatch", "and stays on the page")
    before = js("return history.length")
    for _ in range(3):
        js("document.querySelector('#grid .cell').click()")
        js("document.getElementById('close').click()")
        until("!location.hash.includes('open')", "the cross closes too")
    assert js("return history.length") <= before + 1, "and leaves no trail of images to go back through"


def nothing_went_out():
    """Judges the whole session: what was asked for, and what the browser complained about."""
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            assert url.startswith(("file:", "data:", "about:", "chrome")), f"asked for {url}"
    complaints = [entry["message"] for entry in driver.get_log("browser")]
    # But for the script that `hostile` put there to see it refused.
    refused = [message for message in complaints if "Content Security Policy" in message]
    equal(len(refused), 1, f"refusals: {complaints}")
    equal([message for message in complaints if message not in refused], [], "complaints")


try:
    for step in (load, search, filter, cards_and_filters, keyboard, compare, wipe, matrix, matrix_keys, failed_and_timing, hostile, language_and_looks, contrast, phone, nothing_went_out):
        step()
        print(f"{step.__name__}: as it should be")
except Exception:
    shot("failure")
    raise
finally:
    driver.quit()
