"""Pictures of pages, kept as output of the tests for somebody to look at."""

from pathlib import Path

from playwright.sync_api import Page

SCREENS = Path(__file__).resolve().parents[1] / "test-output" / "screens"
SIZES = {"phone": (390, 844), "desk": (1440, 900)}


def photograph(page: Page, name: str, size: str, scheme: str = "light") -> None:
    """Keep a picture of the whole page in one size and colour scheme."""
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}-{size}-{scheme}.png", full_page=True)
