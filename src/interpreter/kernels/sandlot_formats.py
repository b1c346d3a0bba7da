# SPDX-License-Identifier: Apache-2.0
"""Data frames and figures as data: what the clients call `data` and `chart` of a result."""
ROWS_MAX = 100_000  # of a frame, sent as data


def plain(value):
    """A JSON value for a cell, a label, a number."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return str(value)


def frame_data(frame):
    if len(frame) > ROWS_MAX:
        return None
    data = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        values = [None if missing else plain(value) for value, missing in zip(column.tolist(), column.isna())]
        data[str(name)] = values
    return data


def figure_chart(figure):
    from sandlot_charts import chart_of
    try:
        return chart_of(figure)
    except Exception:  # a figure that cannot be read is still an image
        return None


def add(shell, mime):
    from IPython.core.formatters import BaseFormatter
    from traitlets import ObjectName, Unicode

    class Formatter(BaseFormatter):
        format_type = Unicode(mime)
        print_method = ObjectName("_repr_sandlot_" + mime.rpartition("/")[2] + "_")
        _return_type = dict

    formatter = Formatter(parent=shell.display_formatter)
    shell.display_formatter.formatters[mime] = formatter
    return formatter


def install(shell):
    import sandlot_charts
    sandlot_charts.watch(figure_chart)
    add(shell, "e2b/data").for_type_by_name("pandas.core.frame", "DataFrame", frame_data)
    add(shell, "e2b/chart")
