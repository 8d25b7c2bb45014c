import sys

text = b"reduce.py:7: DeprecationWarning: the workspace was not normalised by the proton charge\n" * 10_000
for _ in range(100):
    sys.stderr.buffer.write(text)
