import os
import subprocess
import sys

# the libraries of the service must not reach the old program
for name in ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "OMP_NUM_THREADS"):
    if name in os.environ:
        del os.environ[name]
os.environ["MANTID_OPTIONS"] = "quiet"


def main(input_file, output_dir):
    os.environ.clear()
    answer = subprocess.check_output([sys.executable, "-c", "import os; print(len(os.environ) < 3)"])
    open(os.path.join(output_dir, "environ.txt"), "wb").write(answer)
