for number in range(64):
    with open(f"{number}.dat", "wb", buffering=0) as file:
        for _ in range(4):
            file.write(bytes(1 << 20))
print("written", flush=True)
