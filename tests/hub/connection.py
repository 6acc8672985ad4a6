"""A connection to the local Hub: finding a request's route, who asks, reading bodies, sending answers and errors."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.faults import Faulty
from tests.hub.store import HubError, Repository

BLOCK = 1 << 20
UNAUTHENTICATED = "Invalid username or password."


@dataclass(frozen=True)
class Request:
    """What the log keeps of a request: no query and no headers but Range. Status 0: the connection was cut."""

    method: str
    path: str
    status: int
    range: str | None = None


class Connection(Faulty, BaseHTTPRequestHandler):
    """Answers the requests of one connection; `server` is the `tests.hub.server.HubServer` that holds the state."""

    protocol_version = "HTTP/1.1"
    routes: ClassVar[list[tuple[str, str, Callable]]] = []  # methods, pattern of the quoted path, what answers it

    def do_GET(self):
        """Answer a request of any method, or say why it is refused."""
        url = urlsplit(self.path)
        self.route, self.query = unquote(url.path), parse_qs(url.query)
        self.body = self._read_body()
        try:
            self.signed_in = self._signed_in()
            self._follow_route(url.path)
        except HubError as error:
            for _ in self.body:  # or the next request on this connection would begin in the middle of it
                pass
            headers = {"X-Error-Code": error.code} if error.code else {}
            self.send_json({"error": error.message}, error.status, {**headers, "X-Error-Message": error.message})

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_request(self, code="-", size="-"):
        """Keep the request in the log, before its answer is sent."""
        route = unquote(urlsplit(self.path).path)
        self.server.log.append(Request(self.command, route, int(code), self.headers.get("Range")))

    def _follow_route(self, path: str) -> None:
        for methods, pattern, answer in self.routes:
            if self.command in methods.split() and (match := re.fullmatch(pattern, path)):
                return answer(self, *(unquote(group or "") for group in match.groups()))
        raise HubError(404, "", f"the local Hub has no route {self.command} {self.route}")

    # who asks, and for what

    def _signed_in(self) -> bool:
        given = self.headers.get("Authorization")
        if given is not None and given != f"Bearer {self.server.token}":
            raise HubError(401, "", "Invalid credentials in Authorization header")
        return given is not None

    def need_token(self) -> None:
        """Refuse a request without the user's token."""
        if not self.signed_in:
            raise HubError(401, "", UNAUTHENTICATED)

    def repository(self, kind: str, name: str, write: bool = False) -> Repository:
        """Return a repository; whoever may not see it learns no more than if it did not exist."""
        repository = self.server.store.repositories.get((kind, name))
        if not self.signed_in and (repository is None or repository.private):
            raise HubError(401, "RepoNotFound", UNAUTHENTICATED)
        if repository is None:
            raise HubError(404, "RepoNotFound", "Repository not found")
        if write:
            self.need_token()
        return repository

    # reading and sending

    def _read_body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            block = self.rfile.read(min(BLOCK, left))
            if not block:
                raise ConnectionResetError("the client left in the middle of its request")
            left -= len(block)
            yield block

    def asked_for(self, option: str) -> bool:
        """Say whether the query has a truth value of this name, and it is true."""
        return self.query.get(option, [""])[0].lower() in ("true", "1")

    def text(self) -> str:
        """Read the request's body."""
        return b"".join(self.body).decode()

    def send_json(self, value, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send an answer of JSON."""
        content = json.dumps(value).encode()
        self.send_head(status, {"Content-Type": "application/json", **(headers or {})}, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_head(self, status: int, headers: dict[str, str], length: int) -> None:
        """Send an answer's status and headers; `length` bytes must follow, unless HEAD asked."""
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()
