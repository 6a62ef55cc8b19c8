"""HTTP 1.0 on 127.0.0.1: every request has a connection of its own, which a fault may spoil without spoiling others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from qeqprop.rehearsal.messages import Reply, Request

Exchange = Callable[[Request, str], tuple[Reply | None, bool]]
"""Takes a request and its target as it came; gives the reply, or None to close the connection, and whether only half of
it is sent."""


def listen(port: int, exchange: Exchange) -> ThreadingHTTPServer:
    """A server in a thread of its own; 0 is any port that is free."""
    listener = _Listener(("127.0.0.1", port), _Wire)
    listener.exchange = exchange
    threading.Thread(target=listener.serve_forever, args=(0.02,), name="rehearsal-http", daemon=True).start()
    return listener


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    exchange: Exchange


class _Wire(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request.of(self.command, self.path, dict(self.headers.items()), body)
        reply, half = cast(_Listener, self.server).exchange(request, self.path)
        if reply is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = reply.body.encode()
        self.send_response(reply.code)
        for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
            self.send_header(name, value)
        if reply.code != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: len(text) // 2] if half else text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (names of the standard library)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the screen: the log keeps what there is to say."""

    def handle(self) -> None:
        """A client that has gone away is no trouble."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True
