"""The administrator's page, in a real browser on a lab: every page and every
action. Screenshots stay in build/web, to be looked at.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import shutil
import subprocess
import sys
import tempfile

import pytest
from selenium import webdriver
from selenium.common.exceptions import (ElementClickInterceptedException,
                                        StaleElementReferenceException,
                                        TimeoutException)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from lab import EICAR, ROOT, Lab, wait_for

sys.path.insert(0, str(ROOT / "tests" / "daemon"))

from test_api_tcp import certificate, mkpasswd   # noqa: E402

PICTURES = ROOT / "build" / "web"
PORT = 8080
PAGES = ["overview", "servers", "filters", "jobs", "reports", "threats",
         "events", "settings", "selftest"]
# what somebody who may only read is offered, beside the numbers of runs
READS = {"Log out", "Explain", "Export CSV", "Export JSON", "More", "Newest",
         "Older"}
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update",
             "--disable-background-timer-throttling",
             "--disable-renderer-backgrounding",
             "--disable-backgrounding-occluded-windows",
             "--disable-dev-shm-usage", "--ignore-certificate-errors",
             "--window-size=1280,900"]


def serve(lab):
    """The page over TLS, of the files that were built."""
    certificate(lab.dir, "lab")
    accounts = lab.dir / "accounts"
    accounts.write_text("admin:%s\nviewer:%s:read\n" % (
        mkpasswd("right", "sha512crypt"), mkpasswd("look", "sha512crypt")))
    accounts.chmod(0o600)
    lab.configure("settings", "api_listen", "%s:%d" % (
        lab.env["SMB_HOST"], PORT))
    lab.configure("settings", "api_certificate", lab.dir / "cert.pem")
    lab.configure("settings", "api_key", lab.dir / "key.pem")
    lab.configure("settings", "api_accounts", accounts)
    lab.configure("settings", "web", "yes")
    lab.configure("settings", "web_dir", ROOT / "build/out/web")


class Browser:
    def __init__(self, url, *arguments):
        self.profile = tempfile.mkdtemp(prefix="cava-web.")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (*ARGUMENTS, *arguments,
                         "--user-data-dir=" + self.profile):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(60)
        self.url = url

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, page=""):
        self.driver.get(self.url + ("/#/" + page if page else "/"))

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait(self, text):
        try:
            WebDriverWait(self.driver, 30).until(
                lambda _: text in self.text())
        except TimeoutException:
            raise AssertionError("waited for %r on the page: %s" % (
                text, self.text()))

    def page(self, name, text):
        """Goes to a page by its link, and waits for a text of it."""
        self.all("nav a[data-page=%s]" % name)[0].click()
        wait_for("page %s" % name, lambda: self.all(
            "nav a[data-page=%s][aria-current]" % name), 30)
        self.wait(text)

    def button(self, text, where="body"):
        def there():
            return [b for b in self.all(where + " button")
                    if b.text == text and b.is_displayed()]
        return wait_for("button %r: %s" % (text, self.text()), there, 30)[0]

    def press(self, text, where="body", row=None):
        """A button, perhaps of the row with that text; pages renew rows."""
        def pressed(_):
            place = self.row(row) if row else where
            for b in self.all(place + " button"):
                if b.text == text and b.is_displayed():
                    b.click()
                    return True
            return False
        WebDriverWait(self.driver, 30, 0.1, ignored_exceptions=[
            ElementClickInterceptedException,
            StaleElementReferenceException, ValueError]).until(
                pressed, "button %r" % text)

    def fill(self, name, value):
        field = wait_for("field %s" % name,
                         lambda: self.all("#field-" + name), 30)[0]
        if field.tag_name == "input":
            field.clear()
        field.send_keys(value)
        return field

    def gone(self):
        wait_for("the dialog to close: %s" % self.text(),
                 lambda: not self.all("dialog[open]"), 30)

    def row(self, text):
        """A selector of the table row with that text."""
        found = self.driver.execute_script(
            "document.querySelectorAll('.row-meant').forEach("
            "r => r.classList.remove('row-meant'));"
            "const row = [...document.querySelectorAll('tbody tr')].find("
            "r => r.innerText.includes(arguments[0]));"
            "row?.classList.add('row-meant'); return row !== undefined",
            text)
        if not found:
            raise ValueError("no row with %s" % text)
        return "tr.row-meant"

    def login(self, name, password):
        wait_for("the log-in form", lambda: self.all("#login-name"), 30)
        self.all("#login-name")[0].send_keys(name)
        self.all("#login-word")[0].send_keys(password, Keys.ENTER)

    def picture(self, name):
        assert "[object" not in self.text()
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(PICTURES / (name + ".png")))

    def complaints(self):
        """What the browser's console has, but for answers that we want."""
        return [e["message"] for e in self.driver.get_log("browser")
                if " 401 " not in e["message"] and
                "status of 400" not in e["message"] and
                "status of 403" not in e["message"] and
                "favicon" not in e["message"]]


def make_phone(browser):
    """A narrow screen, dark."""
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": "dark"}]})


@pytest.fixture(scope="module")
def lab():
    made = Lab("--engine", "cee", "--profile", "strict")
    try:
        serve(made)
        made.start()
        made.wait_online()
        smb = made.connect()
        smb.savefile("good.txt", b"clean")
        smb.savefile("bad.com", EICAR)
        wait_for("the verdict on bad.com",
                 lambda: made.result("bad.com") == "infected")
        wait_for("the verdict on good.txt",
                 lambda: made.result("good.txt") == "clean")
        made.cavactl("scan", str(made.local("good.txt")), "--force")
        del smb
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def browser(lab):
    made = Browser("https://%s:%d" % (lab.env["SMB_HOST"], PORT))
    try:
        made.open()
        made.login("admin", "wrong")
        made.wait("name or password is wrong")
        assert not made.all("nav")[0].is_displayed()
        assert not made.all("#logout")[0].is_displayed()
        made.picture("login")
        made.all("#login-name")[0].clear()
        made.login("admin", "right")
        made.wait("Antivirus servers")
        yield made
    finally:
        made.close()


def test_every_page_is_shown(lab, browser):
    wanted = {"overview": "The last day", "servers": "av0",
              "filters": "System", "jobs": "Runs", "reports": "Export CSV",
              "threats": "bad.com", "events": "infected file",
              "settings": "check_root", "selftest": "Why is a file denied?"}
    for page in PAGES:
        browser.page(page, wanted[page])
        browser.picture(page)
    assert browser.complaints() == []


def test_overview_draws_the_last_day(browser):
    browser.page("overview", "The last day")
    assert len(browser.all("canvas")) == 3
    blank = browser.driver.execute_script(
        "return [...document.querySelectorAll('canvas')].map(c => "
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".every(x => x === 0))")
    assert blank == [False, False, False]


def test_a_server_is_made_changed_probed_and_removed(lab, browser):
    browser.page("servers", "av0")
    browser.press("Add a server")
    browser.fill("server_name", "second")
    browser.fill("server_uri", "gopher://x")
    browser.press("Create", "dialog")
    browser.wait("gopher")      # what was wrong, at its field
    assert browser.all(".field.wrong #field-server_uri")
    browser.picture("server-refused")
    browser.fill("server_uri", "null:")
    browser.press("Create", "dialog")
    browser.gone()
    browser.wait("second")
    browser.press("Edit", row="second")
    browser.fill("connections_maximum", "7")
    browser.press("Save", "dialog")
    browser.gone()
    out = json.loads(lab.cavactl("servers", "view", "second",
                                 fmt="json").stdout)
    assert out["connections_maximum"] == 7
    browser.press("Probe", row="av0")
    browser.wait("Probe of av0")
    browser.wait("Received")    # the bytes of both sides
    browser.picture("probe")
    browser.press("Close", "dialog")
    browser.gone()
    browser.press("Remove", row="second")
    browser.press("Remove", "dialog")
    browser.wait("second is removed")
    assert browser.complaints() == []


def test_a_filter_is_changed(lab, browser):
    browser.page("filters", "System")
    browser.press("Edit", row="System")
    browser.fill("file_extensions", "iso, vhd")
    browser.press("Save", "dialog")
    browser.gone()
    out = json.loads(lab.cavactl("filters", "view", "System",
                                 fmt="json").stdout)
    assert out["file_extensions"] == ["iso", "vhd"]


def test_a_job_is_made_with_a_preview_and_run(lab, browser):
    browser.page("jobs", "No job yet")
    browser.press("New job")
    browser.fill("job_name", "nightly")
    browser.fill("schedule", "every Friday at 22:00")
    browser.wait("Next: ")
    browser.picture("job-form")
    browser.press("Create", "dialog")
    browser.gone()
    browser.wait("nightly")
    browser.press("Start", row="nightly")
    browser.wait("nightly runs.")
    browser.wait("succeeded")
    browser.picture("job-run")
    browser.press("1", row="succeeded")
    browser.wait("What was wrong")
    browser.picture("run")
    browser.press("Close", "dialog")
    browser.gone()
    browser.press("Remove", row="nightly")
    browser.press("Remove", "dialog")
    browser.wait("nightly is removed")


def test_a_run_is_paused_resumed_and_cancelled(lab, browser):
    """One that has to wait, since no server is there."""
    lab.sh("stop", "agent")
    wait_for("the server to be offline", lambda: lab.status()[
        "server_status"][0]["server_state"] != "online", 30)
    few = lab.dir / "data" / "few"
    few.mkdir()
    (few / "one.txt").write_bytes(b"1")
    subprocess.run(["curl", "-sSf", "--unix-socket", lab.env["API_SOCKET"],
                    "-d", json.dumps({"type": "AVScan",
                                      "paths": [str(few)]}),
                    "http://cavad/platform/10/job/jobs"], check=True,
                   stdout=subprocess.DEVNULL)
    browser.page("jobs", str(few))
    browser.press("Pause", row=str(few))
    browser.wait("paused_user")
    browser.press("Resume", row=str(few))
    browser.wait("It goes on.")
    browser.press("Cancel", row=str(few))
    browser.wait("cancelled_user")
    lab.sh("start", "agent")
    lab.wait_online()


def test_a_report_is_drilled_into_and_exported(lab, browser):
    browser.page("reports", "Export CSV")
    link = browser.all("main td a")[0]
    link.click()
    browser.wait("Throughput")
    browser.picture("report")
    assert browser.complaints() == []


def test_a_false_positive_is_released(lab, browser):
    browser.page("threats", "bad.com")
    browser.press("Release", row="bad.com")
    browser.press("Let it through", "dialog")
    browser.wait("reason")      # why is wanted
    browser.fill("reason", "our own test file")
    browser.picture("release")
    browser.press("Let it through", "dialog")
    browser.gone()
    browser.wait("our own test file")
    assert lab.connect().loadfile("bad.com") == EICAR
    browser.press("Remove", row="our own test file")
    browser.press("Remove", "dialog")
    browser.wait("No exception was made")
    browser.all("main td.path a")[0].click()
    browser.wait("History")
    browser.picture("threat")
    browser.press("Quarantine")
    browser.wait("quarantined")
    browser.press("Lift quarantine")
    browser.wait("Lifted")


def test_settings_and_accounts(lab, browser):
    browser.page("settings", "check_root")
    browser.press("Change")
    browser.fill("scan_timeout", "61")
    browser.press("Save", "dialog")
    browser.gone()
    out = json.loads(lab.cavactl("settings", "view", fmt="json").stdout)
    assert out["scan_timeout"] == 61
    browser.press("Add an account")
    browser.fill("account", "CAVALAB\\scanner")
    browser.press("Add", "dialog")
    browser.gone()
    browser.press("Remove", row="CAVALAB\\scanner")
    browser.press("Remove", "dialog")
    browser.wait("It is removed")


def test_self_test_and_explain(lab, browser):
    browser.page("selftest", "Test now")
    browser.press("Test now")
    browser.wait("av0")
    browser.all("#explain-path")[0].send_keys(str(lab.local("good.txt")),
                                              Keys.ENTER)
    browser.wait("A reader of share")
    browser.picture("explain")


def test_keyboard_alone(browser):
    browser.page("servers", "av0")
    browser.driver.execute_script("document.activeElement.blur()")
    body = browser.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    seen = []
    for _ in range(30):
        node = browser.driver.switch_to.active_element
        seen.append(node.text)
        if node.text == "Add a server":
            node.send_keys(Keys.ENTER)
            break
        node.send_keys(Keys.TAB)
    assert browser.button("Create", "dialog"), seen
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    browser.gone()


def test_phone_and_dark(lab):
    phone = Browser("https://%s:%d" % (lab.env["SMB_HOST"], PORT))
    try:
        make_phone(phone)
        phone.open()
        phone.login("viewer", "look")
        phone.wait("Antivirus servers")
        for page in PAGES:
            phone.page(page, {"selftest": "Explain"}.get(page, "Log out"))
            wide = phone.driver.execute_script(
                "return document.documentElement.scrollWidth")
            assert wide <= 390, "%s is %d wide" % (page, wide)
            phone.picture("phone-" + page)
        phone.wait("viewer (reads only)")
        for page in PAGES:              # may look, and change nothing
            phone.page(page, {"selftest": "Explain"}.get(page, "Log out"))
            offered = set(phone.driver.execute_script(
                "return [...document.querySelectorAll('button')].filter("
                "b => b.offsetParent).map(b => b.innerText)"))
            more = {b for b in offered - READS if not b.isdigit()}
            assert not more, "%s offers %s" % (page, more)
        phone.press("Log out")
        phone.wait("Password")
    finally:
        phone.close()
