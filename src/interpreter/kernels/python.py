# SPDX-License-Identifier: Apache-2.0
"""The Python kernel: Debian's ipykernel, with what an interpreter for agents adds.

Each execute request carries the variables it wants in its metadata; output leaves in pieces of bounded
size and waits for its reader instead of being dropped; figures and data frames are sent as data too."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

# ipykernel takes these where they are, for a debugger and for completion, which nobody can ask us for:
# half of the time to the first result. Programs still get them.
UNASKED = ("debugpy", "jedi")
sys.modules.update(dict.fromkeys(UNASKED))

import zmq  # noqa: E402
from IPython.core.history import HistoryManager  # noqa: E402
from ipykernel import iostream  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402

for module in UNASKED:
    del sys.modules[module]

PIECE = 128 << 10  # characters of one message of a stream
WAITING = 64  # messages to a reader that is behind
UNSENT = 4 << 20  # characters printed and not yet sent, above which printing waits


def send_stream(stream, data):
    stream.session.pid = os.getpid()  # as ipykernel does: its thread survives no fork either
    for at in range(0, len(data), PIECE):
        message = stream.session.msg("stream", {"name": stream.name, "text": data[at:at + PIECE]},
                                     parent=stream.parent_header)
        stream.session.send(stream.pub_thread, message, ident=stream.topic)


def flush_now(stream):
    stream._flush_pending = False
    stream._subprocess_flush_pending = False
    data = stream._flush_buffer()
    stream._unsent = 0
    if data:
        try:
            data.encode()
        except UnicodeEncodeError:  # lone surrogates are no characters
            data = data.encode(errors="backslashreplace").decode()
        send_stream(stream, data)


def limit_printing():
    write = iostream.OutStream.write

    def write_and_wait(stream, text):
        written = write(stream, text)
        stream._unsent = getattr(stream, "_unsent", 0) + len(text)
        if stream._unsent > UNSENT and not stream.closed:
            stream._unsent = 0
            stream.flush()
        return written

    iostream.OutStream._flush = flush_now
    iostream.OutStream.write = write_and_wait
    iostream.OutStream.flush_timeout = 3600  # the reader may take its time
    iostream.OutStream.flush_interval = 0.05


class Variables:
    """Those of the sandbox stay; those of a request go when it is done."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.before = {}

    def set(self, *_):
        asked = (self.kernel.get_parent("shell") or {}).get("metadata", {}).get("sandlot", {})
        os.environ.update(asked.get("globals", {}))
        for name, value in asked.get("envs", {}).items():
            self.before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def restore(self, *_):
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.before = {}


class App(IPKernelApp):
    def init_iopub(self, context):
        super().init_iopub(context)
        # A reader that is behind makes us wait; else messages would be dropped.
        socket = self.iopub_thread.socket
        socket.setsockopt(zmq.SNDHWM, WAITING)
        socket.setsockopt(zmq.XPUB_NODROP, 1)

    def init_shell(self):
        super().init_shell()
        variables = Variables(self.kernel)
        self.shell.events.register("pre_run_cell", variables.set)
        self.shell.events.register("post_run_cell", variables.restore)
        self.shell.ast_node_interactivity = "last_expr"
        install_formatters(self.shell)


def install_formatters(shell):
    """They load nothing themselves: a library's types are known once the code has loaded it."""
    sys.path.append(HERE)
    try:
        import sandlot_formats
        sandlot_formats.install(shell)
    finally:
        sys.path.remove(HERE)


if __name__ == "__main__":
    limit_printing()
    HistoryManager.enabled = False
    App.launch_instance()
