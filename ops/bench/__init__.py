"""Measuring the whole pipeline on this machine, honestly: open loop, from due to done, lag said aloud."""

from ops.bench.measure import BenchPlan, run_bench

__all__ = ["BenchPlan", "run_bench"]
