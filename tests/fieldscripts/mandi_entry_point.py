import os
import subprocess
import sys

nexus_file = sys.argv[1]
output_directory = sys.argv[2]
program = "import os, sys; open(sys.argv[2] + 'mandi.json', 'w').write(os.environ['MANDI_ENV'])"
# everything else happens in an environment of our own
command = 'MANDI_ENV=mandi; export MANDI_ENV; exec "$0" -c "$1" "$2" "$3"'
status = subprocess.call(["/bin/sh", "-c", command, sys.executable, program, nexus_file, output_directory])
sys.exit(status)  # ends here
