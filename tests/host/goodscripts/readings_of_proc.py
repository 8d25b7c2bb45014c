import json
import os
import resource

import numpy
import psutil


def main(input_file, output_dir):
    me = psutil.Process()
    me.cpu_percent()
    work = sum(number * number for number in range(200_000))
    memory = me.memory_info()
    child = psutil.Popen(["sleep", "600"])
    values = {
        "work": work,
        "memory": 5 << 20 < memory.rss < memory.vms,
        "full": me.memory_full_info().uss > 1 << 20,
        "percent": [me.cpu_percent() >= 0, 0 < me.memory_percent() < 100],
        "times": me.cpu_times().user > 0,
        "threads": me.num_threads() >= 1,
        "maps": any("python" in mapped.path for mapped in me.memory_maps()),
        "command": [os.path.basename(word) for word in me.cmdline()[1:]],
        "started": 0 < me.create_time() - psutil.boot_time(),
        "folder": me.cwd() == os.getcwd(),
        "open": [os.path.basename(file.path) for file in me.open_files()],
        "descriptors": me.num_fds() < 20,
        "user": me.username(),
        "children": [other.pid for other in me.children()] == [child.pid],
        "all": sorted(psutil.pids())[0],
        "few": len(psutil.pids()) <= 4,
        "parent": me.ppid() == 1,
        "total": psutil.virtual_memory().total > 1 << 28,
        "swap": psutil.swap_memory().total >= 0,
        "disk": psutil.disk_usage(output_dir).total > 0,
        "cpu": psutil.cpu_times().user > 0,
        "counters": me.io_counters().read_count > 0,
        "limits": [me.rlimit(psutil.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0]],
        "usage": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 5 << 10,
        "numpy": "SIMD Extensions" in numpy.show_config(mode="dicts"),
        "status": "Threads" in open("/proc/self/status").read(),
        "cpuinfo": "processor" in open("/proc/cpuinfo").read(),
        "meminfo": "MemTotal" in open("/proc/meminfo").read(),
        "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]),
    }
    child.kill()
    child.wait()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
