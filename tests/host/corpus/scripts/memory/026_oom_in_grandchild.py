import os
import subprocess
import sys

bomb = "kept = [bytearray(b'x') * (1 << 20) for _ in range(512)]"
shell = f'"{sys.executable}" -I -S -c "{bomb}"; echo "shell saw $?"; exit 0'
print("shell:", subprocess.run(["/bin/sh", "-c", shell]).returncode, flush=True)
open("result.txt", "w").write("made without the helper")
