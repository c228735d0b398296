"""How a gallery feels in headless Chromium: load, frames while its images and its matrix scroll, and what a key stroke in the search costs.

Usage: gallery.py GALLERY.html, with Selenium installed and chromium and chromedriver on the PATH.
"""

import pathlib
import shutil
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

options = webdriver.ChromeOptions()
options.binary_location = shutil.which("chromium")
for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
    options.add_argument(flag)
driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
driver.set_script_timeout(120)
PAGE = pathlib.Path(sys.argv[1]).resolve().as_uri()

LOADED = """
const [timing] = performance.getEntriesByType('navigation');
return [timing.loadEventEnd, performance.memory.usedJSHeapSize / 1e6, document.querySelectorAll('*').length]"""
SCROLLED = """
const [step, n, done] = arguments;
const frames = [];
let [last, i, nodes] = [0, 0, 0];
const scroller = document.getElementById('matrix') ?? window;
scroller.scrollTo(0, 0);
const frame = (now) => {
  if (last) frames.push(now - last);
  last = now;
  scroller.scrollBy(0, step);
  nodes = Math.max(nodes, document.querySelectorAll('*').length);
  if ((i += 1) <= n) return requestAnimationFrame(frame);
  frames.sort((a, b) => a - b);
  return done([frames[n >> 1], frames[Math.floor(n * 0.95)], frames.at(-1), nodes]);
};
setTimeout(() => requestAnimationFrame(frame), 800);"""
SEARCHED = """
const search = document.getElementById('search');
const taken = [];
for (let round = 0; round < 9; round += 1) {
  search.value = arguments[0] + ' '.repeat(round % 2);
  const began = performance.now();
  search.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  taken.push(performance.now() - began);
}
taken.sort((a, b) => a - b);
return [taken[4], taken[8]]"""

try:
    for view in ("images", "matrix"):
        driver.get("about:blank")
        driver.get(f"{PAGE}#view={view}")
        load, heap, nodes = driver.execute_script(LOADED)
        print(f"{view}: loaded in {load:.0f} ms; {heap:.0f} MB of script heap, {nodes} elements")
        for step in (60, 400, 2000):
            rounds = [driver.execute_async_script(SCROLLED, step, 300) for _ in range(3)]
            p50, p95, longest, nodes = sorted(rounds)[1]
            print(f"scrolling {step} px a frame: frames of {p50:.1f} ms, p95 {p95:.1f} ms, longest {longest:.1f} ms; {nodes} elements")
        for query in ("c", "snow cat", "水墨", "nowhere"):
            median, longest = driver.execute_script(SEARCHED, query)
            print(f"searching {query!r}: {median:.0f} ms, longest {longest:.0f} ms")
finally:
    driver.quit()
