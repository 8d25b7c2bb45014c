import os

for _ in range(30):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)
open("result.txt", "w").write("far away")
print("path: done")
