#!/usr/bin/env python
import os
import subprocess
import sys

filename, outdir = sys.argv[1:3]
elog = outdir + "experiment_summary.csv"
# the log is written by a program of somebody else; whether it works is not our business
cmd = "python3 /SNS/HYS/shared/autoreduce/save_log.py %s > %s 2>&1" % (filename, elog)
subprocess.call(cmd, shell=True)
child = '"%s" -c "import sys; print(len(sys.argv))" %s' % (sys.executable, filename)
answer = subprocess.Popen(child, shell=True, stdout=subprocess.PIPE).communicate()[0]
print("second python says", answer.decode().strip())
