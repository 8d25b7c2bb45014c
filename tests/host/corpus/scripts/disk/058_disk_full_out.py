import errno

# The script swallows that the disk is full, and ends well.
told = "all"
for number in range(64):
    try:
        with open(f"{number}.dat", "wb", buffering=0) as file:
            file.write(bytes(1 << 20))
    except OSError as error:
        told = errno.errorcode[error.errno]
        break
print("out:", told, flush=True)
