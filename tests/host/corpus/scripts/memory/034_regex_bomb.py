import re

print("matching", flush=True)
re.match(r"(a+)+$", "a" * 64 + "b")
print("matched", flush=True)
