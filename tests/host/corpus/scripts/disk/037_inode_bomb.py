import os

for number in range(1_000_000):
    os.mknod(str(number))
print("made all", flush=True)
