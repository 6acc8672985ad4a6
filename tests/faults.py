"""Servers on which one request goes wrong, or which want to know who asks."""

import functools
import http.server
import io
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# an answer with this status; none; one whose body ends in the middle; that there is no such file, though it is listed;
# and another range than was asked for
FAULTS = ("503", "cut", "short", "404", "range")
STALLS = ("silent", "half")  # no byte of an answer, or half a body and no more, until the server stops waiting


class Faults:
    """Which request is to go wrong, counted from 1 when it is told, and how."""

    def __init__(self):
        self.n, self.at, self.fault, self.lock = 0, 0, "", threading.Lock()
        self.part, self.over = "", threading.Event()
        self.over.set()

    def fail(self, at: int, fault: str) -> None:
        """Let one request go wrong; 0 lets none."""
        with self.lock:
            self.n, self.at, self.fault = 0, at, fault

    @contextmanager
    def stalling(self, fault: str, part: str) -> Iterator[None]:
        """Let each request whose method and path, such as "GET /a", match a pattern wait in vain until the end."""
        self.over.clear()
        self.fault, self.part, self.stalled = fault, part, 0
        try:
            yield
        finally:
            self.fail(0, "")
            self.part = ""
            self.over.set()

    def next(self, asked: str) -> str:
        """Count a request, and return what is to go wrong with it, if anything."""
        with self.lock:
            self.n += 1
            if self.part and re.search(self.part, asked):
                self.stalled += 1
                return self.fault
            return self.fault if self.n == self.at else ""


class Faulty:
    """What a request handler with ``server.faults`` is mixed with."""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        fault = self.server.faults.next(f"{self.command} {self.path}")
        self.short, self.length, self.elsewhere = fault in ("short", "half"), 0, fault == "range"
        self.over = self.server.faults.over if fault == "half" else None
        if fault == "404" and self.path.endswith("/"):
            return True  # that there is no such folder is told of many
        if fault in ("503", "404"):
            self.close_connection = True
            self.send_error(int(fault))
        elif fault == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "silent":
            self.close_connection = True
            self.server.faults.over.wait()
        return fault not in ("503", "cut", "404", "silent")

    def send_header(self, key, value) -> None:
        super().send_header(key, value)
        if key.lower() == "content-length":
            self.length = int(value)

    def end_headers(self) -> None:
        super().end_headers()
        if getattr(self, "short", False) and self.command == "GET":
            self.wfile, self.close_connection, self.short = _Half(self.wfile, self.length // 2, self.over), True, False


class _Half:
    """Lets so many bytes through, and then waits, if there is an end to wait for."""

    def __init__(self, file, left: int, over: threading.Event | None):
        self.file, self.left, self.over = file, left, over

    def write(self, data: bytes) -> int:
        self.file.write(data[: self.left])
        self.left -= min(self.left, len(data))
        if self.over and not self.left:
            self.file.flush()
            self.over.wait()
        return len(data)

    def __getattr__(self, name: str):
        return getattr(self.file, name)


class Handler(Faulty, http.server.SimpleHTTPRequestHandler):
    """Serves a folder; with ``server.token``, to those who have it alone."""

    protocol_version = "HTTP/1.1"

    def send_head(self):
        self.server.asked[self.command, self.path] += 1
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self.send_error(401)
        path = Path(self.translate_path(self.path))
        if (asked := self.headers.get("Range")) and path.is_file():
            return self.send_range(path, asked)
        return super().send_head()

    def send_range(self, path: Path, asked: str) -> io.BytesIO:
        content = path.read_bytes()
        begin, end = (int(place or len(content) - 1) for place in asked.removeprefix("bytes=").split("-"))
        size, begin = len(content), begin + self.elsewhere
        content = content[begin : end + 1 + self.elsewhere]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{begin + len(content) - 1}/{size}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def copyfile(self, source, target) -> None:
        try:
            super().copyfile(source, target)
        except ConnectionError:  # a client that wants the first line only
            self.close_connection = True

    def log_message(self, *args) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Its ``faults`` may be told to let a request fail; ``asked`` counts (method, path)."""

    def __init__(self, folder: Path, token: str = "", handler: type = Handler):
        super().__init__(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        self.faults, self.token, self.asked = Faults(), token, Counter()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """Say nothing of clients that left."""


@contextmanager
def serving(folder: Path, token: str = "", handler: type = Handler) -> Iterator[Server]:
    """Serve a folder over HTTP."""
    with Server(folder, token, handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
