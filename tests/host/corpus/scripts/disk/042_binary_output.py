import os
import sys

os.write(1, b"\0\0\0 binary \xff\xfe\xfd \xed\xa0\x80 \x1b[2J\x1b[31mred\x1b]0;title\x07 \x9b31m\r\noverwritten\rline\n")
os.write(2, bytes(range(256)) * 64)
os.write(1, b"END\n")
print("\x1b[2Jdone\0\x1b]52;c;aGk=\x07", file=sys.stderr, flush=True)
raise ValueError("bad \x1b[2J\x1b]0;title\x07 \0 \u202etxt.exe\n2026-11-24 00:00:00 INFO run 1 completed")
