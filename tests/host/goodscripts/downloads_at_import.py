import ftplib
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request

answers, times = {}, {}


def attempt(name, act):
    began = time.monotonic()
    try:
        act()
        answers[name] = "reached"
    except Exception as error:
        reason = getattr(error, "reason", error)
        answers[name] = [type(error).__name__, reason.strerror if isinstance(reason, OSError) else str(reason)]
    times[name] = time.monotonic() - began


def connection(kind, host):
    link = kind(host)
    try:
        link.request("GET", "/")
    finally:
        link.close()


# No timeout anywhere: whatever drops packets in silence would hang here.
attempt("http by name", lambda: urllib.request.urlopen("http://www.example.org/mask.xml"))
attempt("https by name", lambda: urllib.request.urlopen("https://raw.example.org/scripts/reduce.py"))
attempt("http by number", lambda: urllib.request.urlopen("http://192.0.2.1/mask.xml"))
attempt("retrieve", lambda: urllib.request.urlretrieve("http://192.0.2.1/mask.xml", "mask.xml"))
attempt("client", lambda: connection(http.client.HTTPSConnection, "192.0.2.1"))
if os.path.exists("/proc/net/if_inet6"):
    attempt("IPv6", lambda: socket.create_connection(("2001:db8::1", 80)))
attempt("metadata of a cloud", lambda: socket.create_connection(("169.254.169.254", 80)))
attempt("nobody on the loopback", lambda: socket.create_connection(("127.0.0.1", 61613)))
attempt("ftp", lambda: ftplib.FTP("192.0.2.1"))
attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.53", 53)))
attempt("name", lambda: socket.getaddrinfo("www.example.org", 443))


def main(input_file, output_dir):
    values = {**answers, "slower than a second": [name for name in times if times[name] >= 1]}
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
