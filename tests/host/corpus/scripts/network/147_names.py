import socket
import time
import urllib.request

began = time.monotonic()
for name in ("www.example.org", "localhost", socket.gethostname()):
    try:
        print(f"{name}:", socket.gethostbyname(name))
    except OSError as error:
        print(f"{name}:", type(error).__name__)
try:
    urllib.request.urlopen("http://www.example.org/masks.xml", timeout=5)
    print("download: done")
except OSError as error:
    print("download:", type(error).__name__)
print("quick:", time.monotonic() - began < 3)
