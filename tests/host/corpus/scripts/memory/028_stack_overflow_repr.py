import sys

sys.setrecursionlimit(10**9)
nested = []
for _ in range(400_000):
    nested = [nested]
print("nested", flush=True)
repr(nested)
