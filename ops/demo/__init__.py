"""The demo: the whole system on this machine, from real ECG files and a simulated ward to alerts."""

from ops.demo.plan import DemoOutcome, DemoPlan
from ops.demo.play import play_demo

__all__ = ["DemoOutcome", "DemoPlan", "play_demo"]
