import sys

text = b"reduce.py:7: DeprecationWarning: the workspace was not normalised by the proton charge\n" * 1000
for _ in range(30):
    sys.stderr.buffer.write(text)
open("result.txt", "w").write("done")
