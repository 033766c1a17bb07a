"""A line chart as SVG: a logarithmic y axis, bands around lines, labels at their ends."""

from html import escape
from math import floor, log10

_WIDTH, _HEIGHT = 860, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 210, 96, 64
_INK, _FAINT, _GRID = "#24292f", "#57606a", "#e3e6ea"
_COLOURS = ("#0a5fb4", "#d1570b", "#1a7f37", "#8250df")
_LABEL_HEIGHT = 32


def line_chart(title, subtitle, x_label, y_label, series):
    """The SVG text. subtitle: a list of lines; series: a list of (name, note, points), each point
    (x, y, low, high) with y values above 0."""
    points = [point for _, _, line in series for point in line]
    x_end = max(point[0] for point in points)
    low = _rounded(min(point[2] for point in points), down=True)
    high = _rounded(max(point[3] for point in points), down=False)

    def x(value):
        return _LEFT + value / x_end * (_WIDTH - _LEFT - _RIGHT)

    def y(value):
        return _HEIGHT - _BOTTOM - log10(value / low) / log10(high / low) * (
            _HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="system-ui, sans-serif" font-size="13">',
        f'<title>{escape(title)}</title>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 34, title, _INK, "start", 'font-size="19" font-weight="600"'),
        *(_text(_LEFT, 57 + 18 * i, line, _FAINT) for i, line in enumerate(subtitle))]
    parts += _grid(x, y, x_end, low, high)
    parts += [_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 18, x_label, _INK, "middle"),
              _text(0, 0, y_label, _INK, "middle",
                    f'transform="translate(20 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)"')]
    ends = _spread([y(line[-1][1]) for _, _, line in series])
    for (name, note, line), colour, end in zip(series, _COLOURS, ends):
        upper = [f"{x(p[0]):.1f},{y(p[3]):.1f}" for p in line]
        lower = [f"{x(p[0]):.1f},{y(p[2]):.1f}" for p in reversed(line)]
        middle = [f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in line]
        parts += [
            f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" fill-opacity="0.08"/>',
            f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" '
            'stroke-width="2.2" stroke-linejoin="round"/>']
        parts += [f'<circle cx="{x(p[0]):.1f}" cy="{y(p[1]):.1f}" r="3" fill="{colour}"/>'
                  for p in line]
        start = x(line[-1][0])
        parts += [
            f'<path d="M{start + 5:.1f} {y(line[-1][1]):.1f} L{start + 16:.1f} {end:.1f}" '
            f'stroke="{colour}" fill="none"/>',
            _text(start + 20, end, name, colour, "start", 'font-weight="600"'),
            _text(start + 20, end + 15, note, _FAINT, "start", 'font-size="11.5"')]
    return "\n".join(parts) + "\n</svg>\n"


def _rounded(value, down):
    """The nearest 1, 2 or 5 times a power of ten that is not above (or below) a value."""
    power = 10 ** floor(log10(value))
    steps = (1, 2, 5, 10)
    if down:
        return max(step for step in steps if step * power <= value) * power
    return min(step for step in steps if step * power >= value) * power


def _grid(x, y, x_end, low, high):
    parts = []
    for power in range(floor(log10(low)), floor(log10(high)) + 1):
        for digit in range(1, 10):
            value = digit * 10 ** power
            if not low <= value <= high:
                continue
            at = y(value)
            if digit in (1, 2, 5):
                parts.append(f'<path d="M{_LEFT} {at:.1f} H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
                parts.append(_text(_LEFT - 10, at + 4.5, f"{value:,g}", _FAINT, "end"))
            else:
                parts.append(f'<path d="M{_LEFT - 4} {at:.1f} h4" stroke="{_FAINT}"/>')
    for step in range(7):
        value = x_end * step / 6
        parts.append(f'<path d="M{x(value):.1f} {_TOP} V{_HEIGHT - _BOTTOM}" stroke="{_GRID}"/>')
        parts.append(_text(x(value), _HEIGHT - _BOTTOM + 20, f"{value:g}", _FAINT, "middle"))
    parts.append(f'<path d="M{_LEFT} {_TOP} V{_HEIGHT - _BOTTOM} H{_WIDTH - _RIGHT}" fill="none" '
                 f'stroke="{_FAINT}"/>')
    return parts


def _spread(ends):
    """Where labels go, so that none covers another, as near to their lines as may be."""
    placed = list(ends)
    order = sorted(range(len(ends)), key=lambda i: ends[i])
    lowest = -_LABEL_HEIGHT
    for i in order:
        lowest = placed[i] = max(placed[i], lowest + _LABEL_HEIGHT)
    highest = _HEIGHT - _BOTTOM - 14 + _LABEL_HEIGHT
    for i in reversed(order):
        highest = placed[i] = min(placed[i], highest - _LABEL_HEIGHT)
    return placed


def _text(x, y, text, colour, anchor="start", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" {more}>'
            f'{escape(text)}</text>')
