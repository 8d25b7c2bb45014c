import errno
import os

writes = (
    ("/proc/sys/kernel/hostname", None),
    ("/proc/sys/kernel/core_pattern", None),
    ("/proc/sys/kernel/modprobe", None),
    ("/proc/sys/vm/overcommit_memory", None),
    ("/proc/sys/vm/drop_caches", None),
    ("/proc/sys/net/ipv4/ip_forward", None),
    ("/proc/sys/user/max_user_namespaces", None),
    ("/proc/sysrq-trigger", None),
    ("/proc/irq/default_smp_affinity", None),
    ("/proc/self/oom_score_adj", b"-1000"),
    ("/proc/self/uid_map", b"0 0 4294967295"),
    ("/proc/self/gid_map", b"0 0 4294967295"),
    ("/proc/self/setgroups", b"allow"),
    ("/proc/1/oom_score_adj", b"1000"),
)
for path, text in writes:
    try:
        fd = os.open(path, os.O_WRONLY)
        if text is not None:
            os.write(fd, text)
        print(f"{path}: done")
    except OSError as error:
        print(f"{path}:", errno.errorcode[error.errno])
for path in ("/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/sys/kernel", "/sys/fs", "/boot"):
    try:
        os.close(os.open(path, os.O_RDONLY))
        print(f"{path}: done")
    except OSError as error:
        print(f"{path}:", errno.errorcode[error.errno])
