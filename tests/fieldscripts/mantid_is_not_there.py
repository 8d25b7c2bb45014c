import os
import sys
sys.path.append("/opt/Mantid/scripts")
import reduce_vars as web_var

os.environ["MPLBACKEND"] = "Agg"
from mantid_of_nowhere.simpleapi import *  # ends here

config['default.facility'] = "ISIS"


def main(input_file, output_dir):
    Load(input_file)
