import os

print("head of it", flush=True)
piece = b"flood " * 10_000 + b"\n"
for _ in range((24 << 20) // len(piece)):
    os.write(1, piece)
print("tail of it", flush=True)
