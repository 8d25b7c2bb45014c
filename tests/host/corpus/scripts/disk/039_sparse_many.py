import os

for number in range(6):
    with open(f"{number}.dat", "wb") as file:
        os.truncate(file.fileno(), 7 << 20)
print("blocks:", sum(os.stat(f"{number}.dat").st_blocks for number in range(6)), flush=True)
