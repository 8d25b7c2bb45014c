import errno
import json
import os


def main(input_file, output_dir):
    values, files = {}, []
    try:
        while True:
            files.append(open(os.devnull))
    except OSError as error:
        values["open files"] = errno.errorcode[error.errno]
    for file in files:
        file.close()
    children = []
    try:
        for _ in range(60):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
            os.close(reader)
            children.append((pid, writer))
    except OSError as error:
        values["processes"] = errno.errorcode[error.errno]
    for pid, writer in children:
        os.close(writer)
    for pid, _ in children:
        os.waitpid(pid, 0)
    try:
        with open("/tmp/big", "wb") as file:
            file.write(bytes(4 << 20))
    except OSError as error:
        values["tmp"] = errno.errorcode[error.errno]
    os.unlink("/tmp/big")
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
