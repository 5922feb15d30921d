"""What unit tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_ecg() -> Path:
    """Folder of real recordings that lies beside the checkout and is no part of it."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "ecg"
    if not folder.is_dir():
        pytest.skip("the folder of real recordings (../shared/ecg) is not beside this checkout")
    return folder
