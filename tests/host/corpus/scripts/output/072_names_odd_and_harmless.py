import os

names = ["-rf", "..result", "...", ".nfs000000000123", "run", "RUN", "Run", " ", "a" * 255, "Röhre", "$(reboot)", "'; --", "%n%s", "con", "~"]
for name in names:
    open(name, "w").write(name)
print(len(os.listdir(".")), "names")
