import errno

with open("big.dat", "wb", buffering=0) as file:
    try:
        for _ in range(64):
            file.write(bytes(1 << 18))
        print("written", flush=True)
    except OSError as error:
        print("write:", errno.errorcode[error.errno], flush=True)
