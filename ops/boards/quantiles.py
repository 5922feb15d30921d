"""Quantiles of Prometheus histograms."""


def quantile(share: float, histogram: str, *, by: str = "", window: str = "5m") -> str:
    """Ask for a quantile of what was observed in the window before each instant; of nothing, no number.

    >>> quantile(0.5, "x_seconds", by="stage")
    'histogram_quantile(0.5, sum by (stage, le) (rate(x_seconds_bucket[5m])))'
    """
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({histogram}_bucket[{window}])))"
