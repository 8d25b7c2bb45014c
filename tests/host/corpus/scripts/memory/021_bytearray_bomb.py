kept = []
for _ in range(512):
    kept.append(bytearray(b"x") * (1 << 20))
print("survived with 512 MiB", flush=True)
