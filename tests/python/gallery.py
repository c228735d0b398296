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
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

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
    equal(count(), "408 images, 2 jobs without one", "the count")
    until("[...document.querySelectorAll('#grid img')].every((image) => image.complete && image.naturalWidth)", "thumbnails load")
    n_cells = js("return document.querySelectorAll('#grid .cell').length")
    assert 10 <= n_cells < 80, f"only what is seen exists, and {n_cells} cells do"
    equal(js("return document.querySelector('#grid .cell').getAttribute('aria-setsize')"), "410", "the size of the list")
    js("scrollTo(0, document.body.scrollHeight)")
    until("[...document.querySelectorAll('#grid .cell')].some((cell) => cell.dataset.i === '409')", "the last is reached")
    # The image that is gone, the one before the refused ones, has a placeholder and asks for no file.
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
    keys(Keys.CONTROL + "a", "#12")
    until("document.querySelectorAll('#grid .cell').length === 1", "a number is found")
    keys(Keys.CONTROL + "a", "nowhere")
    until("document.querySelector('.empty')", "nothing is said to match")
    keys(Keys.ESCAPE)
    js("document.querySelector('#chips .link').click()")
    equal(count(), "408 images, 2 jobs without one", "all again")


def filter():
    box = lambda facet, value: driver.find_element(By.CSS_SELECTOR, f'[data-facet="{facet}"] input[value="{value}"]')
    box("model", "m/two").click()
    equal(count(), "2 of 408 images, 2 jobs without one", "one model")
    box("status", "moderated").click()
    equal(count(), "0 of 408 images, 2 jobs without one", "and one status")
    box("status", "moderated").click()
    box("column.kind", "animal").click()
    equal(count(), "1 of 408 images", "and a column")
    until("location.hash.includes('is.column.kind=animal')", "the address keeps the filter")
    open_page(js("return location.hash"))
    equal(count(), "1 of 408 images", "the same address, the same view")
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
    until("document.getElementById('grid').getAttribute('aria-activedescendant') === 'entry-409'", "end")
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
    equal(count(), "1 prompt with several images", "groups")
    equal(js("return document.querySelectorAll('.group .shot').length"), 3, "images of one prompt")
    js("document.querySelector('.group .button').click()")
    until("document.querySelectorAll('#side[open] figure').length === 3", "a group, side by side")
    keys(Keys.ESCAPE)


def failed_and_timing():
    js("document.activeElement.blur()")
    keys("3")
    equal(count(), "2 jobs, 1 reason", "the failed")
    assert "moderated" in text(".reason summary")
    js("document.querySelector('.reason li button').click()")
    until("document.getElementById('detail').open", "a failed one opens")
    assert "inappropriate" in text("#detail .why"), "with its reason"
    shot("failed")
    keys(Keys.ESCAPE)
    js("document.activeElement.blur()")
    keys("4")
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
    for view in ("images", "compare", "failed", "timing"):
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
    equal(count(), "408 张图片，2 个无图", "in Chinese")
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
        for view in ("images", "compare", "failed", "timing"):
            open_page(f"#view={view}")
            equal(js(script), [], f"contrast in {view}, dark: {dark}")


def phone():
    # A history of its own, as a browser keeps no more than fifty steps.
    driver.switch_to.new_window("tab")
    emulate(375, 812)
    for view in ("images", "compare", "failed", "timing"):
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
    for step in (load, search, filter, keyboard, compare, failed_and_timing, hostile, language_and_looks, contrast, phone, nothing_went_out):
        step()
        print(f"{step.__name__}: as it should be")
except Exception:
    shot("failure")
    raise
finally:
    driver.quit()
