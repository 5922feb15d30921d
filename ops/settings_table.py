"""The settings as a table of the README, which a test holds to them.

After a change of the settings: ``python -m ops.settings_table README.md``.
"""

import sys
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo

from streams.feeds.settings import FEED_PREFIX, FeedSettings
from streams.settings import PREFIX, Settings

BEGIN: Final = "<!-- settings:begin -->\n"
END: Final = "<!-- settings:end -->\n"


def settings_table() -> str:
    """Write name, default and meaning of every setting as a Markdown table, in the order of the settings."""
    rows = [
        _row(prefix, name, setting)
        for prefix, settings in ((PREFIX, Settings), (FEED_PREFIX, FeedSettings))
        for name, setting in settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]) + "\n"


def with_table(text: str) -> str:
    """Replace what stands between the two marks.

    Raises
    ------
    ValueError
        When a mark is missing.
    """
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def _row(prefix: str, name: str, setting: FieldInfo) -> str:
    meaning = " ".join((setting.description or "").split())
    return f"| `{prefix}{name.upper()}` | {_shown(setting.default)} | {meaning} |"


def _shown(default: Any) -> str:
    if default is None:
        return "unset"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
