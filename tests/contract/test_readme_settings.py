"""What the README says of the settings is what they are."""

from pathlib import Path

import pytest

from ops.settings_table import settings_table, with_table
from streams.feeds.settings import FEED_PREFIX, FeedSettings
from streams.settings import PREFIX, Settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_readme_is_that_of_the_settings() -> None:
    assert with_table(README) == README, "run `python -m ops.settings_table README.md`"


NAMES = [
    prefix + name.upper()
    for prefix, settings in ((PREFIX, Settings), (FEED_PREFIX, FeedSettings))
    for name in settings.model_fields
]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_its_row_with_a_meaning(name: str) -> None:
    (row,) = (line for line in settings_table().splitlines() if f"`{name}`" in line)
    _, _, default, meaning, _ = (cell.strip() for cell in row.split("|"))
    assert default
    assert meaning.endswith(".")


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        with_table("no table here")
