import os
import socket
import reduce_vars as web_var

try:
    repository = socket.create_connection(("127.0.0.1", 9), timeout=10)
    repository.close()
except Exception as error:
    print("no script repository, going on with what is installed:", type(error).__name__)


def main(input_file=None, output_dir=None):
    open(os.path.join(output_dir, "merlin.txt"), "w").write("installed")
    return ''
