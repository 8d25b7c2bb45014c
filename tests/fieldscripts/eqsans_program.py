import os
import sys
import shutil
CONDA_ENV="sans"
sys.path.insert(0, "/opt/mantidnightly/bin")
sys.path.append("/SNS/EQSANS/shared/autoreduce")

filename = sys.argv[1]
outdir = sys.argv[2]
eventFile = os.path.split(filename)[-1]
nexusDir = filename.replace(eventFile, '')
runNumber = eventFile.split('_')[-1].split('.')[0]

if __name__ == "__main__":
    # a slash is expected at the end of outdir
    report = open(outdir + "EQSANS_" + runNumber + "_log.txt", "w")
    report.write("events from %s\n" % os.path.basename(os.path.normpath(nexusDir)))
    report.close()
