import subprocess
import sys

bomb = "kept = [bytearray(b'x') * (1 << 20) for _ in range(512)]; print('helper survived', flush=True)"
status = subprocess.run([sys.executable, "-I", "-S", "-c", bomb]).returncode
print("helper:", status, flush=True)
open("result.txt", "w").write("made without the helper")
