import os

os.umask(0o777)
os.mkdir("bank")
os.chmod("bank", 0o700)
for path in ("a.txt", "bank/b.txt"):
    with open(path, "w") as file:
        file.write(path)
os.mkdir("empty")
os.chmod("bank", 0)
print("masked", flush=True)
