import os

piece = b"x" * (1 << 20)
for _ in range(100):
    os.write(1, piece)
os.write(1, b"END OF LINE")
