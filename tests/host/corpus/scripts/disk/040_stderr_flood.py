import os

piece = b"\n" * (1 << 20)
for _ in range(1024):
    os.write(2, piece)
os.write(1, b"flooded\n")
