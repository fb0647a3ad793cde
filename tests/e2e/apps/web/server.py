"""Answers GET and POST with its word; `/slow` takes a second, piece by piece; an upgraded one echoes."""

import http.server
import sys
import time

port, word, ends = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if ends == "true":
    sys.exit("ends at once, as it was told")


class Handler(http.server.BaseHTTPRequestHandler):
    """Says its word."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers["Upgrade"]:
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.end_headers()
            while said := self.connection.recv(100):
                self.connection.sendall(said)
            return
        pieces = [word.encode()] if self.path != "/slow" else [word.encode()] + [b"."] * 9
        self.send_response(200)
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            if len(pieces) > 1:
                time.sleep(0.1)
            self.wfile.write(piece)
            self.wfile.flush()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


http.server.ThreadingHTTPServer.daemon_threads = False
http.server.ThreadingHTTPServer.request_queue_size = 64
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
