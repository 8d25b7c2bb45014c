import json
import os


def main(input_file, output_dir):
    readers = {}
    for number in range(6):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            with open(input_file, "rb") as data:
                data.seek(number)
                os.write(writer, data.read(1))
            os._exit(number)
        os.close(writer)
        readers[pid] = reader
    heard = b"".join(os.read(reader, 10) for reader in readers.values())
    exits = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in readers]
    # A session leader of its own, and a group that is ended together.
    leader = os.fork()
    if leader == 0:
        os.setsid()
        os.execvp("sleep", ["sleep", "600"])
    while os.getpgid(leader) != leader:
        pass
    os.killpg(leader, 15)
    ended = os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1])
    values = {"heard": list(heard), "exits": exits, "ended": ended}
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
