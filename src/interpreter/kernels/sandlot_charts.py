# SPDX-License-Identifier: Apache-2.0
"""A matplotlib figure as the data it shows, in the shapes that the clients know (wire.md 6.3)."""
import importlib.util
import re
import sys
from datetime import date, datetime, timedelta

SCALES = ("linear", "log", "symlog", "logit", "function", "functionlog", "asinh")
UNIT = re.compile(r"^(.*?)\s*[(\[]([^()\[\]]+)[)\]]\s*$")


def number(value):
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if value is None or isinstance(value, (int, float, str, bool)):
        return value
    return str(value)


def split_unit(text):
    """"speed (km/h)" has the unit km/h."""
    found = UNIT.match(text or "")
    return found[2] if found else None


def kind_of_axis(axis):
    from matplotlib.category import StrCategoryConverter
    from matplotlib import dates
    converter = axis.converter if hasattr(axis, "converter") else None
    if isinstance(converter, StrCategoryConverter):
        return "categorical"
    if isinstance(axis.get_major_locator(), (dates.DateLocator, dates.AutoDateLocator)):
        return "datetime"
    scale = axis.get_scale()
    return scale if scale in SCALES else "linear"


def value_on(axis, value):
    """The value as its axis shows it: a date, a category, a number."""
    kind = kind_of_axis(axis)
    if kind == "datetime" and isinstance(number(value), (int, float)):
        from matplotlib import dates
        return dates.num2date(value).replace(tzinfo=None).isoformat()
    if kind == "categorical" and isinstance(number(value), (int, float)):
        mapping = getattr(axis.units, "_mapping", {}) if axis.units is not None else {}
        for name, place in mapping.items():
            if place == value:
                return name
    return number(value)


def ticks(axis):
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_ticklocs() if low <= place <= high]
    labels = axis.get_major_formatter().format_ticks(places)
    return [value_on(axis, place) for place in places], [str(label) for label in labels]


def titled(axes):
    return axes.get_title() or None


def labels(axes):
    x, y = axes.get_xlabel(), axes.get_ylabel()
    return {"x_label": x or None, "y_label": y or None, "x_unit": split_unit(x), "y_unit": split_unit(y)}


def points_chart(axes, kind, elements):
    x_ticks, x_names = ticks(axes.xaxis)
    y_ticks, y_names = ticks(axes.yaxis)
    return {"type": kind, "title": titled(axes), **labels(axes),
            "x_ticks": x_ticks, "x_tick_labels": x_names, "x_scale": kind_of_axis(axes.xaxis),
            "y_ticks": y_ticks, "y_tick_labels": y_names, "y_scale": kind_of_axis(axes.yaxis),
            "elements": elements}


def shown_label(artist, place):
    label = str(artist.get_label())
    return f"_{place}" if label.startswith("_") else label


def line_chart(axes):
    elements = []
    for place, line in enumerate(axes.get_lines()):
        xs, ys = line.get_xdata(orig=False), line.get_ydata(orig=False)
        elements.append({"label": shown_label(line, place),
                         "points": [[value_on(axes.xaxis, x), value_on(axes.yaxis, y)] for x, y in zip(xs, ys)]})
    return points_chart(axes, "line", elements) if elements else None


def scatter_chart(axes):
    from matplotlib.collections import PathCollection
    elements = []
    for collection in axes.collections:
        if isinstance(collection, PathCollection):
            elements.append({"label": shown_label(collection, len(elements)),
                             "points": [[value_on(axes.xaxis, x), value_on(axes.yaxis, y)]
                                        for x, y in collection.get_offsets()]})
    return points_chart(axes, "scatter", elements) if elements else None


def bar_name(axis, place):
    """What stands under a bar: its category, or the tick that is there."""
    shown = value_on(axis, place)
    if isinstance(shown, str):
        return shown
    locations, names = axis.get_ticklocs(), [t.get_text() for t in axis.get_ticklabels()]
    for location, name in zip(locations, names):
        if name and abs(location - place) < 1e-6:
            return name
    return f"{shown:g}" if isinstance(shown, float) else str(shown)


def bar_chart(axes):
    from matplotlib.container import BarContainer
    groups = [c for c in axes.containers if isinstance(c, BarContainer)]
    if not groups:
        return None
    elements = []
    for place, group in enumerate(groups):
        name = str(group.get_label())
        name = f"group_{place}" if name.startswith("_") or not name else name
        for bar in group.patches:
            is_flat = group.orientation == "horizontal"
            middle = bar.get_y() + bar.get_height() / 2 if is_flat else bar.get_x() + bar.get_width() / 2
            value = bar.get_width() if is_flat else bar.get_height()
            elements.append({"label": bar_name(axes.yaxis if is_flat else axes.xaxis, round(middle, 9)),
                             "group": name, "value": number(value)})
    return {"type": "bar", "title": titled(axes), **labels(axes), "elements": elements}


def pie_chart(axes):
    from matplotlib.patches import Wedge
    wedges = [p for p in axes.patches if isinstance(p, Wedge)]
    if not wedges:
        return None
    elements = []
    for place, wedge in enumerate(wedges):
        label = str(wedge.get_label())
        elements.append({"label": f"_{place}" if label.startswith("_") else label,
                         "angle": abs(number(wedge.theta2 - wedge.theta1)), "radius": number(wedge.r)})
    return {"type": "pie", "title": titled(axes), "elements": elements}


def remember_boxes(Axes):
    """A drawn box is only lines; what it stands for is kept beside them when it is made."""
    bxp = Axes.bxp

    def bxp_and_remember(axes, bxpstats, *args, **named):
        drawn = bxp(axes, bxpstats, *args, **named)
        axes._sandlot_boxes = getattr(axes, "_sandlot_boxes", []) + list(bxpstats)
        return drawn

    Axes.bxp = bxp_and_remember


def box_chart(axes):
    boxes = getattr(axes, "_sandlot_boxes", [])
    if not boxes:
        return None
    names = [t.get_text() for t in axes.get_xticklabels()]
    elements = []
    for place, box in enumerate(boxes):
        label = str(box.get("label") or (names[place] if place < len(names) else "") or place + 1)
        elements.append({"label": label, "min": number(box["whislo"]), "first_quartile": number(box["q1"]),
                         "median": number(box["med"]), "third_quartile": number(box["q3"]),
                         "max": number(box["whishi"]), "outliers": [number(f) for f in box.get("fliers", [])]})
    return {"type": "box_and_whisker", "title": titled(axes), **labels(axes), "elements": elements}


# In this order, since a box is drawn with lines, and bars may have a line over them.
READERS = [pie_chart, box_chart, bar_chart, scatter_chart, line_chart]


def chart_of_axes(axes):
    for reader in READERS:
        chart = reader(axes)
        if chart is not None:
            return chart
    return {"type": "unknown", "title": titled(axes), "elements": []}


def chart_of(figure):
    shown = [axes for axes in figure.axes if axes.has_data() and axes.get_label() != "<colorbar>"]
    if not shown:
        return None
    charts = [chart_of_axes(axes) for axes in shown]
    if len(charts) == 1:
        return charts[0]
    title = figure._suptitle.get_text() if figure._suptitle is not None else None
    return {"type": "superchart", "title": title, "elements": charts}


class Watcher:
    """Waits for matplotlib to be loaded by the code, to patch what cannot be told from outside."""

    def __init__(self, patches):
        self.patches = patches

    def find_spec(self, name, path=None, target=None):
        patch = self.patches.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_patch(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch
        return spec


def watch(figure_chart):
    # By its method: the inline backend forgets what others registered for figures.
    sys.meta_path.insert(0, Watcher({
        "matplotlib.axes._axes": lambda module: remember_boxes(module.Axes),
        "matplotlib.figure": lambda module: setattr(module.Figure, "_repr_sandlot_chart_", figure_chart),
    }))
