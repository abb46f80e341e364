# SPDX-License-Identifier: MIT
"""An HTTPS server on the loopback interface with faults, for tests/fetch/*.sh. Python's standard library alone.

    python3 server.py CERTIFICATE KEY FOLDER

Serves the files of FOLDER/files and writes its port to FOLDER/port (the last thing it does before serving). The last part of the
path is the file; faults are named by the parts in front of it, "/cut-100/slow/x.pt":
    cut-N         the connection ends after N bytes of every answer; cutonce-N: of the first one
    wrong         the last byte is changed            endless       more and more bytes, without a length
    slow          64 bytes, then silence              status-N      HTTP status N; statusonce-N: for the first request
    away          redirect to the same path on the other name of this host (localhost / 127.0.0.1)
    http          redirect to http://                 loop          redirect to itself
    norange       ignores Range                       shift         continues one byte too early
    etag          names the SHA-256 (X-Linked-ETag)   badetag       names a wrong one
    private       401 without the token "secret"
    wait-N        N tenths of a second before every 16 KiB
Requests are logged in FOLDER/log: host, path, Range, whether there was a token.
"""

import hashlib
import http.server
import pathlib
import ssl
import sys
import threading
import time

CERTIFICATE, KEY, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
SEEN = set()
LOCK = threading.Lock()


def first_time(key):
    with LOCK:
        new = key not in SEEN
        SEEN.add(key)
        return new


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def note(self):
        line = "%s %s %s %s\n" % (self.headers["Host"].split(":")[0], self.path, self.headers.get("Range", "-"),
                                  "token" if self.headers.get("Authorization") else "-")
        with LOCK, open(FOLDER / "log", "a") as log:
            log.write(line)

    def finish_with(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"fault")

    def do_GET(self):
        self.note()
        *faults, name = self.path.strip("/").split("/")
        fault = dict((f.split("-") + [""])[:2] for f in faults)
        host, port = self.headers["Host"].split(":")
        for key in ("status", "statusonce"):
            if key in fault and (key == "status" or first_time(self.path)):
                return self.finish_with(int(fault[key]))
        if "private" in fault and self.headers.get("Authorization") != "Bearer secret":
            return self.finish_with(401)
        if "away" in fault and host == "localhost":
            return self.finish_with(302, Location=f"https://127.0.0.1:{port}{self.path}")
        if "http" in fault:
            return self.finish_with(302, Location=f"http://{host}:{port}/{name}")
        if "loop" in fault:
            return self.finish_with(302, Location=self.path)
        path = FOLDER / "files" / name
        if not path.is_file():
            return self.finish_with(404)
        self.serve(path.read_bytes(), fault)

    def serve(self, data, fault):
        start = 0
        wanted = self.headers.get("Range")
        if wanted and "norange" not in fault:
            start = int(wanted[len("bytes="):-1])
            if start >= len(data):
                return self.finish_with(416)
            start -= "shift" in fault
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        digest = hashlib.sha256(data).hexdigest()
        if "etag" in fault:
            self.send_header("X-Linked-ETag", f'"{digest}"')
        if "badetag" in fault:
            self.send_header("X-Linked-ETag", f'"{digest[::-1]}"')
        if "endless" not in fault:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.send(data[start:], fault)

    def send(self, data, fault):
        if "wrong" in fault:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if "cut" in fault or ("cutonce" in fault and first_time(self.path)):
            data = data[:int(fault.get("cut") or fault["cutonce"])]
        while "endless" in fault:
            self.wfile.write(data)
        if "slow" in fault:
            self.wfile.write(data[:64])
            self.wfile.flush()
            time.sleep(20)
            return
        for at in range(0, len(data), 16384):
            time.sleep(int(fault.get("wait", "0")) / 10)
            self.wfile.write(data[at:at + 16384])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)

    def finish_request(self, request, address):  # in the request's own thread
        try:
            with self.context.wrap_socket(request, server_side=True) as stream:
                self.RequestHandlerClass(stream, address, self)
        except OSError:
            pass  # the client has left

    def handle_error(self, request, address):
        pass


def main():
    server = Server(("127.0.0.1", 0), Handler)
    (FOLDER / "port.tmp").write_text(str(server.server_address[1]))
    (FOLDER / "port.tmp").rename(FOLDER / "port")
    server.serve_forever()


main()
