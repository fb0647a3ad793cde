"""Answers with a digest of its two secrets; ends at once when its word begins with `bad`, and never
answers when it begins with `slow`."""

import hashlib
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        body = hashlib.sha256((os.environ["WORD"] + Path(sys.argv[2]).read_text()).encode()).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if os.environ["WORD"].startswith("bad"):
    sys.exit("no such word is taken")
if os.environ["WORD"].startswith("slow"):
    time.sleep(600)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
