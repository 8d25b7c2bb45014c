import sys

forged = "\n2026-11-24T03:00:00 INFO autoreduce-supervisor[1]: ENGINX 75513 completed after 1 s\r\x1b[2J\x1b]0;owned\x07\x1b[1A\x00\u202egol eht ni\u2028line\x85next"
print(forged)
print(forged, file=sys.stderr)
sys.stdout.buffer.write(b"\xff\xfe\x9b31m")
raise ValueError(forged)
