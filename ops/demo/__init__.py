"""The demo: the whole system on this machine, from real ECG files and a simulated ward to alerts."""

from ops.demo.play import DemoOutcome, DemoPlan, play_demo

__all__ = ["DemoOutcome", "DemoPlan", "play_demo"]
