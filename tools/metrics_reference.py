"""Writes docs/metrics.md from the table of metrics: `python -m tools.metrics_reference`."""

from __future__ import annotations

import sys
from itertools import groupby

from coffre.service.observing.table import METRICS, OTHER, Metric

_HEAD = f"""\
# Metrics

<!-- Made by `python -m tools.metrics_reference > docs/metrics.md`: change the table in
src/coffre/service/observing/table.py instead. -->

What a node shows at `/metrics`; [observability](observability.md) says where that is and what for.

Counters only rise while the node runs, also when one of its processes is started again. A gauge
whose process does not show that it lives is absent, never stale. What is told by store or by bucket
is told for the `metrics_named` busiest of them; the rest is counted together as `{OTHER}`. What
becomes busy has in its series what happened since; what is not any more goes from the list, and
comes back to its series. So none of them ever falls; totals are in the metrics without store and
bucket.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, metrics in groupby(METRICS, key=lambda metric: metric.section):
        parts.append(f"\n## {section}\n\n| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n")
        parts += [_row(metric) for metric in metrics]
    return "".join(parts)


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
