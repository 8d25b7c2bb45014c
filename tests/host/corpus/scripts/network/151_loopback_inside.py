import http.server
import socket
import threading
import urllib.request

for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_UNIX, "\0inside"), (socket.AF_UNIX, "/tmp/inside")):
    listener = socket.socket(family)
    listener.bind((address, 0) if family == socket.AF_INET else address)
    listener.listen()
    with socket.socket(family) as connection:
        connection.connect(listener.getsockname())
        other, _ = listener.accept()
        other.sendall(b"hello")
        print(f"{family.name} {address.strip(chr(0))}:", connection.recv(5).decode())
    listener.close()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
datagrams.sendto(b"ping", datagrams.getsockname())
print("datagram:", datagrams.recv(10).decode())


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("http:", urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/").read().decode())
