# Looks through everything that the interpreter holds, and through the raw memory of the process.
import gc
import re
import sys

# Written so that neither pattern is what it looks for.
looked_for = re.compile(rb"[c]orrect-horse-battery|[B]ROKER_PASSWORD=|[b]roker password")
frame, frames = sys._getframe(), []
while frame:
    frames.append(frame.f_code.co_name)
    frame = frame.f_back
print("frames:", ",".join(frames))
found = 0
for thing in gc.get_objects():
    for part in gc.get_referents(thing):
        if isinstance(part, (str, bytes)):
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            found += bool(looked_for.search(data))
print("objects:", found)
found = read = 0
own = open("/proc/self/mem", "rb", buffering=0)
for line in open("/proc/self/maps"):
    bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
    if bounds:
        begin, end = int(bounds[1], 16), int(bounds[2], 16)
        own.seek(begin)
        data = own.read(min(end - begin, 32 << 20))
        found += len(looked_for.findall(data))
        read += len(data)
print("memory:", found, "of some megabytes:", read > 1 << 20)
print("environ:", open("/proc/self/environ", "rb").read().count(b"BROKER"))
print("arguments:", open("/proc/self/cmdline", "rb").read().count(b"BROKER"))
