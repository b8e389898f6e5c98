"""A small HTTP server that plays the Hugging Face hub, with one repository."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "LiquidAI/LFM2-350M"
SHA = "0123456789abcdef0123456789abcdef01234567"
CARD = {"license": "other", "license_name": "lfm1.0", "license_link": "LICENSE"}


class PlayedHub(ThreadingHTTPServer):
    """One repository, from a folder. `requests` holds (method, path, Range) of what was asked.

    `cut` names a file whose first transfer breaks off in the middle; `answer` is a status and an
    error code for everything.
    """

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.requests, self.cut, self.answer = folder, [], None, None
        self.claimed = {}  # sizes that it says files have

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self, method="GET"):
        return [p.rsplit("/", 1)[1] for m, p, _ in self.requests if m == method and "/resolve" in p]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server, path = self.server, self.path.partition("?")[0]
        server.requests.append((self.command, path, self.headers.get("Range")))
        if server.answer or NAME not in path:
            status, code = server.answer or (404, "RepoNotFound")
            return self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})
        files = {
            p.relative_to(server.folder).as_posix(): p.read_bytes()
            for p in server.folder.rglob("*")
            if p.is_file()
        }
        sizes = {name: server.claimed.get(name, len(data)) for name, data in files.items()}
        if "/tree/" in path:
            tree = [
                {"type": "file", "oid": _etag(data), "size": sizes[name], "path": name}
                for name, data in files.items()
            ]
            return self._json(tree)
        if path.startswith("/api/"):
            siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
            return self._json({"id": NAME, "sha": SHA, "siblings": siblings, "cardData": CARD})
        return self._file(path.partition(f"/resolve/{SHA}/")[2], files)

    def _file(self, name, files):
        data = files[name]
        headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self._send(206, data[start:], headers)
        if name == self.server.cut and self.command == "GET":
            self.server.cut = None
            self._send(200, data[: len(data) // 2], headers, length=len(data))
            self.close_connection = True
            return None
        return self._send(200, data, headers)

    def _json(self, value):
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body, headers, *, length=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(data):
    return hashlib.sha1(data).hexdigest()
