import os

piece = b"flood " * 10_000 + b"\n"
for _ in range((1 << 30) // len(piece)):
    os.write(1, piece)
os.write(2, b"flooded\n")
