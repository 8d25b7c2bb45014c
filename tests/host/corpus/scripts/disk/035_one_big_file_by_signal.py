import signal

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
with open("big.dat", "wb", buffering=0) as file:
    for _ in range(64):
        file.write(bytes(1 << 20))
print("written", flush=True)
