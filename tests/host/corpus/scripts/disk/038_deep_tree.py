import os

for _ in range(4000):
    os.mkdir("d")
    os.chdir("d")
print("deep: 4000", flush=True)
