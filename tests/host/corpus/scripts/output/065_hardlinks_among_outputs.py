import os

open("one.txt", "w").write("x" * 1000)
for number in range(400):
    os.link("one.txt", f"link{number}.txt")
print("links: done")
