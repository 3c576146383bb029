"""The console in a real Chromium, where there is one.

With chromium, chromium-driver and python3-selenium (tools/install-deps test) the pages are opened, moved about by keys,
and seen to follow the bus, which dies and returns meanwhile. Screenshots: $TIDINGS_CONSOLE_SHOTS, else BUILD/console-shots.
"""
import json
import os
import shutil
import signal
import sys
import tempfile
import unittest

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from console_case import BUILD, Beside, PAGES, Server, ask, fill, http_of, wait_for  # noqa: E402
import test_console_acts as acts  # noqa: E402
import test_console_redrive as redrive_by_hand  # noqa: E402

SHOTS = os.environ.get("TIDINGS_CONSOLE_SHOTS") or os.path.join(BUILD, "console-shots")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@unittest.skipUnless(webdriver and CHROMIUM and DRIVER, "needs chromium, chromium-driver and python3-selenium")
class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tidings-console-")
        cls.server = Server(os.path.join(cls.folder.name, "data"), "http.listeners=127.0.0.1:0")
        fill(cls.server)
        cls.address = http_of(cls.server)
        os.makedirs(SHOTS, exist_ok=True)
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900",
                     "--user-data-dir=" + os.path.join(cls.folder.name, "chromium")):
            options.add_argument(word)
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=webdriver.chrome.service.Service(DRIVER), options=options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.server.stop()
        cls.folder.cleanup()

    def open(self, path, address=None):
        self.browser.get(f"http://{address or self.address}{path}")

    def press(self, *keys):
        for key in keys:
            self.browser.find_element(By.TAG_NAME, "body").send_keys(key)

    def sees(self, words, css="main"):
        def is_there():
            try:
                return words in self.browser.find_element(By.CSS_SELECTOR, css).text
            except WebDriverException: # the page is just replaced by the next one
                return False
        wait_for(is_there, f"{words} in {css}")

    def at(self, path):
        wait_for(lambda: self.browser.current_url.endswith(path), path)

    def focused(self):
        """In one go: a page that follows the bus may be replaced between two questions."""
        return self.browser.execute_script("return document.activeElement.innerText")

    def errors(self):
        return [line["message"] for line in self.browser.get_log("browser") if line["level"] == "SEVERE"]

    def test_1_each_page_opens_without_a_complaint(self):
        self.errors()
        wait_for(lambda: ask(self.address, "/story?q=o-3").status == 200, "the story of an event")
        wait_for(lambda: "order.placed" in ask(self.address, "/map").text, "the map")
        for path in PAGES + ["/story?q=o-3", "/topics/orders", "/topics/hostile", "/topics/hostile/0/0", "/topics/orders?tab=publish",
                             "/groups/mail", "/dead-letters/of?group=mail"]:
            for width, theme in ((420, "dark"), (1280, "light")):
                self.browser.set_window_size(width, 900)
                self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                    "features": [{"name": "prefers-color-scheme", "value": theme}]})
                if width == 420:
                    self.open(path) # once: no script asks how wide it is
                else:
                    wait_for(lambda: self.browser.execute_script("return innerWidth") == 1280, "a wide window")
                name = path.strip("/").replace("/", "-").replace("?", "-") or "overview"
                self.browser.save_screenshot(os.path.join(SHOTS, f"{name}-{width}-{theme}.png"))
                wide, beyond = self.browser.execute_script(
                    "const here = document.querySelector('.side [aria-current]');"
                    "return [document.documentElement.scrollWidth - innerWidth,"
                    "        here ? here.getBoundingClientRect().right - innerWidth : 0]")
                self.assertLessEqual(wide, 0, f"{path} is wider than {width}")
                self.assertLessEqual(beyond, 0, f"{path} is not to be seen among the pages")
            self.assertEqual(self.errors(), [], path)
        self.browser.set_window_size(1280, 900)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def seen_whole(self, css):
        return self.browser.execute_script(
            f"const at = document.querySelector({json.dumps(css)}); return at.scrollWidth <= at.clientWidth")

    def test_2_keys_do_everything(self):
        self.open("/")
        self.press("?")
        self.sees("find the story of an event", "dialog[open]")
        self.press(Keys.ESCAPE, "g", "t")
        self.at("/topics")
        rows = self.browser.execute_script("return [...document.querySelectorAll('tbody tr[data-row] a')].map(a => a.innerText)")
        self.press(*"j" * (rows.index("orders") + 2), "k")
        self.assertEqual(self.focused(), "orders")
        self.browser.switch_to.active_element.send_keys(Keys.ENTER)
        self.at("/topics/orders")
        self.press("j")
        self.browser.switch_to.active_element.send_keys(Keys.ENTER)
        wait_for(lambda: "/topics/orders/" in self.browser.current_url, "an event")
        self.press("u")
        self.at("/topics/orders")
        self.press("y")
        theme = self.browser.execute_script("return document.documentElement.dataset.theme")
        self.assertEqual(theme, "dark")
        self.open("/groups")
        self.assertEqual(self.browser.execute_script("return document.documentElement.dataset.theme"), "dark")
        self.press("y", "y")
        self.assertIsNone(self.browser.execute_script("return localStorage.getItem('tidings-theme')"))
        self.open("/map")
        self.press("+", "+")
        self.at("?zoom=75")
        self.press("-")
        self.at("?zoom=50")
        self.press("/")
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "find")
        self.assertEqual(self.errors(), [])

    def test_3_a_page_follows_the_bus_through_its_death(self):
        beside = Beside(self.server.address, timeout_ms=3000)
        self.open("/topics/orders", beside.address)
        wait_for(lambda: self.browser.find_elements(By.CSS_SELECTOR, "tbody tr[data-row]"), "events")
        self.press("j")
        here = self.focused()
        self.server.run("publish", "orders", "--key", "new", "a live one <b>", "--quiet")
        self.sees("a live one <b>")
        self.assertEqual(self.focused(), here) # the focus stays
        listen = self.server.address
        self.server.kill()
        self.sees("not known")
        self.server.listen = listen
        self.server.start()
        self.sees("a live one <b>")
        self.server.run("publish", "orders", "--key", "new", "after its return", "--quiet")
        self.sees("after its return")
        self.errors() # the requests of the time between failed, and are told there
        self.browser.get("about:blank")
        self.assertEqual(beside.stop(), 0)
        type(self).address = http_of(self.server)

    def test_4_the_form_publishes(self):
        self.open("/topics/quiet?tab=publish")
        self.browser.find_element(By.NAME, "value").send_keys('{"by": "hand"}')
        self.browser.find_element(By.NAME, "key").send_keys("k")
        self.browser.find_element(By.CSS_SELECTOR, "form.produce button").click()
        self.sees("Published: the bus keeps it at 0:")
        self.sees('{"by": "hand"}')

    def test_6_first_paint(self):
        paints = {}
        for path in PAGES + ["/topics/orders", "/groups/mail", "/dead-letters/of?group=mail"]:
            self.open(path)
            paints[path] = wait_for(lambda: self.browser.execute_script(
                "return performance.getEntriesByType('paint').filter(e => e.name === 'first-contentful-paint')[0]?.startTime"), "a first paint")
        with open(os.path.join(SHOTS, "first-paint.json"), "w", encoding="utf-8") as file:
            json.dump(paints, file, indent=1) # kept to be looked at: what it takes is the machine's as well

    def test_7_a_redrive_by_hand(self):
        redrive = redrive_by_hand.RedriveTest("test_by_buttons_through_a_kill")
        redrive.setUp()
        self.addCleanup(redrive.tearDown)
        redrive.give_up(3)
        self.open("/dead-letters/of?group=mail", http_of(redrive.server))
        self.browser.find_element(By.CSS_SELECTOR, "form[action^='/dead-letters/plan'] button").click()
        self.sees("3 events of 3 lanes")
        redrive.service.send_signal(signal.SIGSTOP) # so that it is not done before it is seen
        self.browser.find_element(By.NAME, "rate").send_keys("1")
        self.browser.find_element(By.CSS_SELECTOR, "form[action^='/dead-letters/redrive'] button").click()
        self.sees("tidings deadletter tasks cancel mail")
        self.browser.save_screenshot(os.path.join(SHOTS, "redrive-1280-light.png"))
        self.browser.refresh()
        redrive.service.send_signal(signal.SIGCONT)
        self.sees("done", "main .badge") # while the page is looked at
        self.assertEqual(self.errors(), [])
        self.open("/lanes?group=mail", http_of(redrive.server))
        self.sees("No lane is open")

    def test_8_dead_letters_by_keys(self):
        """Published again, and discarded: by the keyboard alone."""
        of_group = acts.ActsTest("test_dead_letters_by_cause")
        of_group.server, of_group.address = self.server, self.address
        of_group.give_up("again", 3)
        of_group.give_up("gone", 2)
        self.open("/dead-letters/of?group=again")
        self.browser.find_element(By.CSS_SELECTOR, "form[action^='/dead-letters/plan'] button").send_keys(Keys.ENTER)
        self.sees("for all who read there")
        self.assertTrue(self.seen_whole(".say .cmd code")) # what it agrees to stands at its end
        self.browser.save_screenshot(os.path.join(SHOTS, "republish-1280-light.png"))
        self.browser.find_element(By.CSS_SELECTOR, "form[action^='/dead-letters/republish'] button").send_keys(Keys.ENTER)
        self.sees("3 of 3 events were published again")
        self.open("/dead-letters/of?group=gone")
        self.press("j")
        self.browser.switch_to.active_element.send_keys(Keys.ENTER)
        self.sees("Dead letters of gone")
        self.browser.find_element(By.LINK_TEXT, "Discard these…").send_keys(Keys.ENTER)
        self.sees("2 events of this cause would be discarded")
        self.assertTrue(self.seen_whole(".say .cmd code"))
        self.browser.save_screenshot(os.path.join(SHOTS, "discard-1280-light.png"))
        self.browser.find_element(By.NAME, "why").send_keys("never existed", Keys.ENTER)
        self.sees("2 events are discarded")
        self.sees("tidings deadletter discard gone --cause ")
        self.assertEqual(self.errors(), [])

    def test_5_who_cannot_see_it_is_told(self):
        self.open("/groups/mail")
        tree = self.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = {}
        for node in tree:
            if not node.get("ignored"):
                roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
        for role in ("banner", "navigation", "main", "contentinfo", "search", "table", "columnheader", "rowheader", "heading"):
            self.assertIn(role, roles)
        self.assertTrue(all(roles["link"]), roles["link"])
        self.assertTrue(all(roles.get("button", ["x"])), roles.get("button"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
