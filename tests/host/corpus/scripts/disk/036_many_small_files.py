import os

for number in range(2000):
    with open(f"{number:05d}.txt", "w") as file:
        file.write("x" * 100)
print("written", len(os.listdir(".")), flush=True)
