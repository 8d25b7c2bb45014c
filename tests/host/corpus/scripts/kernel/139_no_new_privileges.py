import re

print("no new privileges:", re.search(r"NoNewPrivs:\s*(\d)", open("/proc/self/status").read())[1])
