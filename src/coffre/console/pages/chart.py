"""Charts as SVG, made here: no script draws them, and no style stands in them.

A chart is bars over equal steps of time, one on top of the other where a step has several parts.
The figures are in a table beside it: the drawing is for the eye alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

_WIDTH: Final = 720
_HEIGHT: Final = 170
_TOP: Final = 10
_LEFT: Final = 74
_BOTTOM: Final = 22
_GAP: Final = 0.22
_LINES: Final = 2
_LABELS: Final = 6


class Step(NamedTuple):
    """One step of time: its name, and its parts from the bottom up."""

    name: str
    parts: tuple[int, ...]


def bars(
    label: str, steps: Sequence[Step], words: Callable[[int], str], legend: Sequence[str] = ()
) -> Markup:
    """The drawing. `words` says a value as its axis does; `legend` names the parts of steps."""
    most = max((sum(step.parts) for step in steps), default=0)
    drawn = Markup("").join((_axis(most, words), _steps(steps, most, words), _names(steps)))
    chart = Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"'
        ' preserveAspectRatio="xMidYMid meet">{}</svg>'
    ).format(_WIDTH, _HEIGHT + _BOTTOM, label, drawn)
    return chart + _legend(legend)


def _axis(most: int, words: Callable[[int], str]) -> Markup:
    lines = []
    for at in range(_LINES + 1):
        value = most * at // _LINES
        y = _HEIGHT - (_HEIGHT - _TOP) * at / _LINES
        lines.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(_LEFT, _WIDTH, y, y, _LEFT - 8, y + 4, words(value))
        )
        if not most:
            break
    return Markup("").join(lines)


def _steps(steps: Sequence[Step], most: int, words: Callable[[int], str]) -> Markup:
    each = (_WIDTH - _LEFT) / max(1, len(steps))
    drawn = []
    for at, step in enumerate(steps):
        bottom, x = float(_HEIGHT), _LEFT + each * (at + _GAP / 2)
        for number, value in enumerate(step.parts):
            height = (_HEIGHT - _TOP) * value / most if most else 0
            bottom -= height
            if value:
                drawn.append(
                    Markup(
                        '<rect class="part-{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"'
                        ' rx="1.5"><title>{}: {}</title></rect>'
                    ).format(
                        *(number, x, bottom, each * (1 - _GAP), max(height, 1), step.name),
                        words(value),
                    )
                )
    return Markup("").join(drawn)


def _names(steps: Sequence[Step]) -> Markup:
    each = (_WIDTH - _LEFT) / max(1, len(steps))
    every = max(1, -(-len(steps) // _LABELS))
    return Markup("").join(
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            _LEFT + each * (at + 0.5), _HEIGHT + 16, step.name
        )
        for at, step in enumerate(steps)
        if at % every == every // 2
    )


def _legend(names: Sequence[str]) -> Markup:
    if not names:
        return Markup("")
    entries = Markup("").join(
        Markup(
            '<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="part-{}" width="10"'
            ' height="10" rx="2"/></svg>{}</li>'
        ).format(at, name)
        for at, name in enumerate(names)
    )
    return Markup('<ul class="legend">{}</ul>').format(entries)
