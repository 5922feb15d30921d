"""A soak as a picture: memory, handles and threads of every process, lag and latency, over time."""

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.atomic import write_atomically
from ops.chaos.growth import Growth
from ops.chaos.sampling import Process, Sample

#: Told apart with any colour vision (Okabe and Ito), one a part.
_COLOURS: Final = {
    "featurize": "#0072B2",
    "infer": "#D55E00",
    "history": "#009E73",
    "alert": "#CC79A7",
    "broker": "#000000",
    "redis": "#E69F00",
}
_STYLE: Final[Any] = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9.0}
_INCHES: Final = (11.0, 13.0)


def draw_soak(path: Path, samples: Sequence[Sample], growths: dict[str, list[Growth]]) -> None:
    """Draw; a line per process and life, so that a restart is a gap; the key says the trend."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        memory, handles, threads, lag, latency = figure.subplots(5, 1, sharex=True)
        _lines(memory, samples, "rss_mb", "RSS, MB", growths)
        memory.set_yscale("log")
        _lines(handles, samples, "handles", "file handles", growths)
        _lines(threads, samples, "threads", "threads", growths)
        _lag(lag, samples)
        _latency(latency, samples)
        latency.set_xlabel("minutes")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue())


def _lines(
    axes: Axes, samples: Sequence[Sample], what: str, label: str, growths: dict[str, list[Growth]]
) -> None:
    lives: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    names: dict[str, Process] = {}
    for row in samples:
        for process in row.processes:
            minutes, amounts = lives[process.life]
            minutes.append(row.at_s / 60.0)
            amounts.append(float(getattr(process, what)))
            names[process.life] = process
    shown: set[str] = set()
    for life, (minutes, amounts) in lives.items():
        part = names[life].name.split("-")[0]
        key = None if part in shown else _key(part, what, growths)
        shown.add(part)
        axes.plot(minutes, amounts, color=_COLOURS.get(part, "#999999"), linewidth=1.0, label=key)
    axes.set_ylabel(label)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _key(part: str, what: str, growths: dict[str, list[Growth]]) -> str:
    found = next((each for each in growths.get(part, []) if each.what == what), None)
    trend = "no trend known" if found is None or found.per_hour is None else f"{found.per_hour:+.1f} /h"
    return f"{part} ({trend})"


def _lag(axes: Axes, samples: Sequence[Sample]) -> None:
    for part in ("featurize", "infer", "history", "alert"):
        _series(axes, samples, lambda row, part=part: float(row.lag.get(part, 0)), part, _COLOURS[part])
    axes.set_ylabel("lag, records")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _latency(axes: Axes, samples: Sequence[Sample]) -> None:
    _series(axes, samples, lambda row: row.latency_p50_ms, "p50", "#0072B2")
    _series(axes, samples, lambda row: row.latency_p99_ms, "p99", "#D55E00")
    axes.set_yscale("log")
    axes.set_ylabel("ECG to risk, ms")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _series(
    axes: Axes, samples: Sequence[Sample], read: Callable[..., float | None], label: str, colour: str
) -> None:
    points = [(row.at_s / 60.0, amount) for row in samples if (amount := read(row)) is not None]
    axes.plot([at for at, _ in points], [y for _, y in points], color=colour, linewidth=1.0, label=label)
