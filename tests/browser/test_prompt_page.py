"""A prompt's page in a browser follows the conversion by itself, draws the sound, and plays from where one clicks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.audio import odd
from tests.browser.conftest import fits, logged_in, with_operator
from tests.browser.test_pages import CONTRAST
from tests.services import Deployment, Process

# Where it plays, in seconds, once it does.
PLAYS = """audio => new Promise(done => {
  const look = () => { if (audio.currentTime > 0) done(audio.currentTime); };
  audio.addEventListener("timeupdate", look);
  look();
})"""


@pytest.fixture(scope="module")
def deployment(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server with an operator; its worker is started by who needs it."""
    made = with_operator(demo_home, tmp_path_factory.mktemp("prompts"))
    made.serve(LOG_LEVEL="WARNING")
    yield made
    made.close()


def workers(deployment: Deployment) -> list[Process]:
    return [each for each in deployment.processes[1:] if each.popen.poll() is None]


@pytest.fixture
def working(deployment: Deployment) -> None:
    if not workers(deployment):
        deployment.work()


@pytest.fixture
def resting(deployment: Deployment) -> None:
    """No worker, whatever another test has started."""
    for each in workers(deployment):
        each.stop()


@pytest.fixture(scope="module")
def at_site(deployment: Deployment, chromium: Browser) -> Iterator[BrowserContext]:
    with logged_in(chromium, deployment.processes[0].url) as context:
        yield context


def upload(operator: Page, site: str, name: str, file: Path) -> None:
    operator.goto(f"{site}/admin/callflows/audioprompt/add/")
    operator.get_by_label("Name").fill(name)
    operator.get_by_label("Sound").set_input_files(file)
    operator.get_by_role("button", name="Save", exact=True).click()


def sound(path: Path, seconds: float = 20.0) -> Path:
    soundfile.write(path, 0.3 * odd.noise(seconds, 16000), 16000)
    return path


def test_page_follows_the_conversion_by_itself(
    deployment: Deployment, resting: None, operator: Page, tmp_path: Path
) -> None:
    """First without a worker: the page waits, and changes when one comes."""
    site = deployment.processes[0].url
    upload(operator, site, "Greeting", sound(tmp_path / "greeting.wav"))
    expect(operator.locator(".upload")).to_contain_text("waiting")
    expect(operator.locator("audio")).to_have_count(0)
    deployment.work()
    expect(operator.locator(".sound audio")).to_have_count(1, timeout=15000)
    expect(operator.locator(".upload")).to_have_count(0)
    expect(operator.locator("[data-told]")).to_have_text("The upload is converted, or has failed.")
    # From where one clicks: three quarters of 20 s.
    wave = operator.locator(".wave")
    box = wave.bounding_box()
    assert box is not None
    wave.click(position={"x": box["width"] * 0.75, "y": box["height"] / 2})
    assert operator.locator("audio").evaluate(PLAYS) == pytest.approx(15.0, abs=1.0)
    at = float(operator.locator("[data-at]").get_attribute("x1") or 0)
    assert at / 400 == pytest.approx(0.75, abs=0.05)


def test_failure_is_shown_where_one_waits(
    deployment: Deployment, working: None, operator: Page, tmp_path: Path
) -> None:
    late = odd.noise(20.0).astype(np.float64)
    late[-1] = np.nan
    soundfile.write(tmp_path / "bad.wav", late, 44100, subtype="DOUBLE")
    upload(operator, deployment.processes[0].url, "Bad", tmp_path / "bad.wav")
    expect(operator.locator(".upload.problems")).to_contain_text("values that are no numbers", timeout=15000)
    for scheme in ("light", "dark"):
        operator.emulate_media(color_scheme=scheme)
        for selector in (".upload .badge", ".upload p", ".upload .quiet"):
            assert operator.locator(selector).first.evaluate(CONTRAST) >= 4.5, (scheme, selector)


def test_page_says_all_without_javascript(
    deployment: Deployment, working: None, chromium: Browser, tmp_path: Path
) -> None:
    site = deployment.processes[0].url
    with logged_in(chromium, site, scripts=False) as context:
        page = context.new_page()
        upload(page, site, "Quiet", sound(tmp_path / "quiet.wav", 5.0))
        # By reloading, as a person does.
        for _ in range(100):
            if page.locator(".sound audio").count():
                break
            page.reload()
        expect(page.locator(".wave path")).to_have_count(1)
        expect(page.locator(".facts")).to_contain_text("LUFS")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_of_a_prompt_fits(deployment: Deployment, operator: Page, width: int, scheme: str) -> None:
    operator.set_viewport_size({"width": width, "height": 900})
    operator.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a literal of both
    operator.goto(f"{deployment.processes[0].url}/admin/callflows/audioprompt/")
    operator.get_by_role("link", name="Demo sound").click()
    expect(operator.locator(".wave")).to_be_visible()
    assert fits(operator)
    for selector in (".sound h2", ".facts dt", ".facts dd", ".places li"):
        assert operator.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
