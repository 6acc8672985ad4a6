"""A local stand-in for the Hugging Face Hub, so that tests publish and load by name without the network.

    with Hub() as hub:
        print(hub.run("from huggingface_hub import create_repo; print(create_repo('tester/model'))"))

The client reads its endpoint, token and caches once, when it is imported, so it runs in a process of its own.
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import traceback
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.faults import Faults
from tests.hub.connection import Request
from tests.hub.routes import Routes
from tests.hub.store import Store

PROJECT = Path(__file__).parents[2]
CLIENT_VARIABLES = ("HF_", "HUGGING", "TRANSFORMERS_")  # what would point a client elsewhere


class HubServer(ThreadingHTTPServer):
    """The server's state, shared by its connections."""

    daemon_threads = False  # so that closing waits for the threads

    def __init__(self, store: Store, user: str, token: str):
        super().__init__(("127.0.0.1", 0), Routes)
        self.store, self.user, self.token = store, user, token
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.upload_key = secrets.token_hex(16)
        self.log: list[Request] = []
        self.crashes: list[str] = []
        self.faults = Faults()
        self.put_faults: list[str | None] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def next_put_fault(self) -> str | None:
        """Return what is to go wrong with the upload that just arrived; the last of the list stays."""
        with self._lock:
            if len(self.put_faults) > 1:
                return self.put_faults.pop(0)
            return self.put_faults[0] if self.put_faults else None

    def process_request(self, request, client_address):
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Keep what went wrong in a route, for the end of the test; a client may leave when it likes."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            self.crashes.append(traceback.format_exc())

    def stop(self) -> None:
        """Stop listening, hang up on clients that keep their connections open, and wait for the threads."""
        self.shutdown()
        with self._lock:
            for request in self._open:
                with contextlib.suppress(OSError):  # the client has left by itself
                    request.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Hub:
    """A Hub on a free port of this machine, with one user; a context manager.

    Attributes
    ----------
    url, user, token
        Where it is, and the only user with the token that writing, and reading what is private, needs.
    log
        Every request so far: method, path, status and range, never the token.
    faults
        May be told to let one request fail; see `tests.faults`.
    """

    user = "tester"

    def __enter__(self) -> "Hub":
        self._folder = tempfile.TemporaryDirectory(prefix="hub-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.token = "hf_" + secrets.token_hex(16)
        self._server = HubServer(Store(self.folder / "store"), self.user, self.token)
        self.url, self.log, self.faults = self._server.url, self._server.log, self._server.faults
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._server.stop()
        self._thread.join()
        self._folder.cleanup()
        if self._server.crashes:
            raise RuntimeError("a route of the local Hub failed:\n" + "\n".join(self._server.crashes))

    def gate(self, repository: str) -> None:
        """Let the files of a model be read by its user alone, though all can see that there is one."""
        self._server.store.repositories["model", repository].gated = True

    def requests(self, method: str, part: str = "") -> list[Request]:
        """Return the logged requests of a method whose path has this part."""
        return [request for request in self.log if request.method == method and part in request.path]

    def fail_put(self, n: int, fault: str = "503", forever: bool = False) -> None:
        """Let an upload of an LFS object fail.

        Parameters
        ----------
        n
            Which one from now on, counted from 1.
        fault
            "503", an answer with this status (or another), or "cut", the connection cut after the first block.
        forever
            Whether all later ones fail too, until `mend`; else the client's own second attempt succeeds.
        """
        if fault != "cut" and not fault.isdecimal():
            raise ValueError(f"fault={fault!r}: pass an HTTP status or 'cut'")
        self._server.put_faults[:] = [*[None] * (n - 1), fault, *([] if forever else [None])]

    def mend(self) -> None:
        """Let uploads succeed again."""
        self._server.put_faults.clear()

    def env(self, token: bool = True) -> dict[str, str]:
        """Return the environment for a client process: this Hub, empty caches, and the token or none."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(CLIENT_VARIABLES)}
        env |= {"HF_ENDPOINT": self.url, "HF_HOME": tempfile.mkdtemp(prefix="home-", dir=self.folder)}
        env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        env |= {"HF_TOKEN": self.token} if token else {}
        env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return env | {"PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))}

    def run(self, code: str, *args: object, token: bool = True) -> str:
        """Run Python code in a process of its own, in the environment `env` gives.

        Parameters
        ----------
        code
            The program; it may be indented.
        args
            Become its ``sys.argv[1:]``, as text.
        token
            Whether it has the user's token.

        Returns
        -------
        str
            What it printed.

        Raises
        ------
        RuntimeError
            If it fails, with what it wrote to standard error.
        """
        command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
        done = subprocess.run(command, env=self.env(token), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the client process ended with {done.returncode}:\n{done.stderr}")
        return done.stdout
