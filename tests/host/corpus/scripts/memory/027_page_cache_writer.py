import os

piece = bytes(1 << 20)
for number in range(4):
    with open(f"{number}.dat", "wb") as file:
        for _ in range(48):
            file.write(piece)
print("written", sum(os.path.getsize(f"{number}.dat") for number in range(4)) >> 20, "MiB", flush=True)
