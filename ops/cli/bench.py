"""``diastole bench``."""


def bench() -> None:
    """Measure the whole pipeline on this machine."""
