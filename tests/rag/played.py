"""A small HTTP server that plays an OpenAI-compatible one, as the test tells it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def said(*pieces, reason="stop", usage=(7, 3)):
    """A streamed reply of these pieces of text, or of deltas given as mappings."""
    deltas = [piece if isinstance(piece, dict) else {"content": piece} for piece in pieces]
    chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    events = [_chunk([chunk]) for chunk in chunks]
    if reason:
        events.append(_chunk([{"index": 0, "delta": {}, "finish_reason": reason}]))
        counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": 0}
        events.append(_chunk([], usage=counts))
        events.append("data: [DONE]\n\n")
    return {"status": 200, "events": events}


def refused(status, message="no", *, code=None, headers=None):
    """An answer with a status and OpenAI's error object."""
    return {
        "status": status,
        "body": {"error": {"message": message, "code": code, "type": "x", "param": None}},
        "headers": {"x-should-retry": "false"} | (headers or {}),
    }


def _chunk(choices, usage=None):
    value = {
        "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
        "choices": choices, "usage": usage,
    }  # fmt: skip
    return f"data: {json.dumps(value)}\n\n"


class PlayedModel(ThreadingHTTPServer):
    """Gives the next of its `answers` to each request; `requests` holds what was asked.

    An answer is of `said` or `refused`, with "break" (the connection is cut after the events),
    "hang" (seconds before the end), "silent" (as many without a sign) or "raw" (bytes instead of
    events) added.
    """

    daemon_threads = True

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests = list(answers), []
        self.models = {"data": [{"id": "tiny", "max_model_len": 4321}]}
        self.gone = threading.Event()  # a client hung up

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self._json(200, self.server.models, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(
            (self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body))
        )
        answer = self.server.answers.pop(0)
        if "events" not in answer:
            return self._json(answer["status"], answer["body"], answer["headers"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if answer.get("break"):
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            for event in answer.get("raw") or answer["events"]:
                self.wfile.write(event if isinstance(event, bytes) else event.encode())
                self.wfile.flush()
            time.sleep(answer.get("silent", 0))
            end = time.monotonic() + answer.get("hang", 0)
            while time.monotonic() < end:
                self.wfile.write(b": still here\n\n")
                self.wfile.flush()
                time.sleep(0.02)
        except OSError:
            self.server.gone.set()
        return None

    def _json(self, status, value, headers):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
