"""Says all that it was told, as programs do: its environment, a header, an address, a dump, a traceback."""

import base64
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

port, mood = int(sys.argv[1]), sys.argv[2]
SECRETS = [os.environ[name] for name in ("WORD", "QUOTED", "ENCODED", "DOOR", "HTPASSWD")]
SECRETS += [Path(sys.argv[3]).read_text(), Path(sys.argv[4]).read_text().partition("= ")[2].strip()]
SECRETS += [Path(sys.argv[5]).read_text()]


def spill() -> None:
    """The last lines are the ones that are copied, so each has all."""
    print("environment", dict(os.environ))
    print(json.dumps(SECRETS), [each.encode() for each in SECRETS], SECRETS)
    print(*(base64.b64encode(f"{user}:{each}".encode()).decode() for user in ("a", "bc", "def") for each in SECRETS))
    print(*(f"http://user:{quote(each)}@localhost/?a={quote_plus(each)}" for each in SECRETS))
    print(*(each.encode().hex() for each in SECRETS), flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers every GET, unless it is ill; `/die` is its end."""

    def do_GET(self) -> None:
        if self.path == "/die":
            spill()
            os._exit(3)
        self.send_response(500 if mood == "ill" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


spill()
if mood == "dead" or SECRETS[0].endswith(" bad"):
    raise RuntimeError(f"cannot connect with {SECRETS} as {[quote(each) for each in SECRETS]}")
server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.serve_forever()
