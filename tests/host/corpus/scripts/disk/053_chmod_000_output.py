import os

os.makedirs("bank/deep")
for path in ("a.txt", "bank/b.txt", "bank/deep/c.txt"):
    with open(path, "w") as file:
        file.write(path)
    os.chmod(path, 0)
for folder in ("bank/deep", "bank", "."):
    os.chmod(folder, 0)
print("shut", flush=True)
