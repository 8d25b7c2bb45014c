"""Reports of real runs in a real browser: nothing is asked of any network, nothing overflows, nothing hostile works."""

from __future__ import annotations

import json
import tomllib

import pytest
from chromium import Chromium
from embedded import INSTRUMENT, Embedded

from supervisor import cli

GROWS = """
import time
def main(input_file, output_dir):
    held = []
    print("loading", input_file)
    for n in range(30):
        held.append(bytearray(4_000_000))
        held[-1][::4096] = b"1" * len(held[-1][::4096])
        time.sleep(0.02)
    open(output_dir + "/sum.nxs", "w").write("good")
"""
#: Ignores the request to end, and prints what no page and no terminal may obey.
HOSTILE = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def main(input_file, output_dir):
    print("</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>")
    print("\\x1b[31mred\\x07 \\u202eright to left")
    print("<b id='taken'>" + "x" * 3_000_000, flush=True)
    while True:
        sum(range(10_000))
"""
#: Needs 400 MB, which is more than the limit and less than twice as much.
EATS = """
import time
def main(input_file, output_dir):
    held = []
    for _ in range(8):
        held.append(bytearray(b"1") * 50_000_000)
        time.sleep(0.3)
"""
HOSTILE_NAME = "</title><script>alert(1)</script><b>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with four decided runs, two of which reached a limit."""
    with Embedded(tmp_path_factory.mktemp("site"), limits={"memory": "256 MiB", "wall": "8 s", "grace": "1 s"}) as made:
        made.start()
        jobs = {
            "good": made.submit(made.message(GROWS, run=1)),
            "hostile": made.submit(made.message(HOSTILE, run=2, rb="1510112")),
            "eats": made.submit(made.message(EATS, run=3, rb="1510113")),
            "name": made.submit(made.message("raise ValueError('<i>' * 50)", run=4, rb="1510114"), job=HOSTILE_NAME),
        }
        made.jobs = jobs
        made.verdicts = {name: made.wait_published(job).verdict for name, job in jobs.items()}
        made.stop()
        yield made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("browser")) as made:
        yield made


def report(site, tmp_path, *words):
    path = tmp_path / "report.html"
    assert cli.main(["report", *words, "--out", str(path), "--force", "--config", site.config]) == 0
    return path


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
@pytest.mark.parametrize("what", ["good", "hostile", "name", "instrument"])
def test_a_report_asks_for_nothing_says_nothing_on_the_console_and_fits(site, browser, tmp_path, what, width, dark):
    words = ["--instrument", INSTRUMENT] if what == "instrument" else [site.jobs[what]]
    path = report(site, tmp_path, *words)

    seen = browser.open(path.as_uri(), width=width, dark=dark)

    assert [address for address in seen.requests if not address.startswith("data:")] == []
    assert seen.console == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.evaluate("document.querySelectorAll('img, iframe, b, i, object, link:not([rel=icon])').length") == 0
    assert browser.evaluate("document.title").startswith(INSTRUMENT)
    # The policy let the one style sheet in, and it knows light from dark.
    page = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page == ("rgb(18, 22, 28)" if dark else "rgb(246, 247, 249)")
    # Letters on the drawings keep their size.
    size = browser.evaluate(
        "(svg => 12 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
        "([...document.querySelectorAll('svg')].find(svg => svg.getBoundingClientRect().width))"
    )
    assert 10 <= size <= 14


def test_every_drawing_has_a_name_and_a_description_and_every_table_a_caption(site, browser, tmp_path):
    browser.open(report(site, tmp_path, site.jobs["good"]).as_uri(), width=1280)

    assert browser.evaluate(
        "[...document.querySelectorAll('svg')].every(s => s.querySelector('title') && s.querySelector('desc'))"
    )
    assert browser.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.tHead)")
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("document.documentElement.lang") == "en"
    assert browser.evaluate("document.querySelectorAll('svg polyline.curve').length") == 4


def test_a_report_of_a_killed_run_marks_its_curve_and_bounds_its_log(site, browser, tmp_path):
    assert site.verdicts["hostile"] == "wall_limit"
    path = report(site, tmp_path, site.jobs["hostile"])
    browser.open(path.as_uri(), width=1280)

    told = browser.evaluate("[...document.querySelectorAll('ol.moments li')].map(li => li.textContent).join('; ')")
    assert told.startswith("wall limit reached at 8 s; TERM at 8 s; kill at ")
    assert browser.evaluate("document.querySelectorAll('svg.wide line.mark').length") == 6
    states = browser.evaluate(
        "[...document.querySelectorAll('section')].find(s => s.innerText.startsWith('Timeline')).innerText"
    )
    for state in ("sent", "journaled", "claimed", "running", "exited", "decided", "promoted", "published"):
        assert state in states
    assert path.stat().st_size < 400_000
    text = path.read_text()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_the_operator_does_next_saves_the_killed_run(site, tmp_path, capsys):
    """tune, apply, and the killed run again, under the limit that was suggested."""
    assert site.verdicts == {
        "good": "completed", "hostile": "wall_limit", "eats": "memory_limit", "name": "script_error",
    }  # fmt: skip
    assert cli.main(["tune", "--json", "--config", site.config]) == 0
    (told,) = json.loads(capsys.readouterr().out)["instruments"]
    assert told["verdicts"] == {"completed": 1, "wall_limit": 1, "memory_limit": 1, "script_error": 1}
    assert told["limits"]["memory"]["killed"] == 1
    assert told["limits"]["memory"]["write"] == "512 MiB"
    assert told["limits"]["wall"]["killed"] == 1

    assert cli.main(["tune", "--apply", site.config, "--config", site.config]) == 0

    assert '+memory = "512 MiB"' in capsys.readouterr().out
    with open(site.config, "rb") as file:
        assert tomllib.load(file)["limits"]["instrument"][INSTRUMENT]["memory"] == "512 MiB"
    assert cli.main(["why", site.jobs["eats"], "--config", site.config]) == 0
    told = capsys.readouterr().out
    # By our sampler, or by the kernel where the site has a control group.
    assert "A memory limit reached" in told or "A killed by the kernel for memory" in told
    site.start()
    again = site.submit(site.message(EATS, run=3, rb="1510113"))
    assert site.wait_final(again).verdict == "completed"
    site.stop()
    assert cli.main(["tune", "--config", site.config]) == 0
    assert "memory: 1 killed at 256 MiB or less; the limit in force allows for them already." in capsys.readouterr().out
