# shellcheck shell=bash
# The probe between a and b on a real NFSv4.2 export of s, on good mounts and on others:  bash peerprobe.sh LAB-FOLDER
# What each command said and its status lie in $LAB_SHARE/said/<case>.<host>{,.err,.status}. As the lab's two-host, with
# more patience: on a busy computer an emulated machine takes longer to boot than it grants.
set -uo pipefail
. "$1/lib/hosts.sh"
eval "$(declare -f lab_ssh_opts | sed 's/ConnectTimeout=10/ConnectTimeout=120/')"
lab_need_image
LAB_STATE=$(mktemp -d "${TMPDIR:-/tmp}/lab-hosts.XXXXXX"); export LAB_STATE
trap 'lab_hosts_down' EXIT
trap 'exit 130' INT TERM

command() { # HOST CASE VERB...: say a verb of the command there
    local host=$1 case=$2; shift 2
    on "$host" "cd / && PYTHONPATH=/mnt/work/packages PYTHONDONTWRITEBYTECODE=1 python3 -m supervisor.cli $* \
        --config /mnt/work/$host.toml > /mnt/work/said/$case.$host 2> /mnt/work/said/$case.$host.err
        echo \$? > /mnt/work/said/$case.$host.status"
}
probe() { # CASE [OPTION...]: on both hosts at once
    local case=$1; shift
    command a "$case" doctor --peer --json --wait 300 "$@" & local one=$!
    command b "$case" doctor --peer --json --wait 300 "$@" & local two=$!
    wait $one; wait $two
    echo "$case done after $SECONDS s"
}
mounted() { # HOST OPTION: mount the export again, with one option more
    on "$1" "umount /shared && mount -t nfs4 -o $LAB_NFS_OPTS,$2 h1:/ /shared"
}

for host in $LAB_HOSTS; do vm_start "$host"; done
for host in $LAB_HOSTS; do
    wait_for 1200 on "$host" true || { tail -n 20 "$LAB_STATE/$host.console" >&2; lab_die "$host did not come up"; }
done
for host in $LAB_HOSTS; do lab_nfs_on "$host" || lab_die "NFS on $host failed"; done
echo "mounted after $SECONDS s"

on s "mkdir -p /shared/store && chmod 2770 /shared/store"
on s "grep ' /shared ' /proc/self/mountinfo" > "$LAB_SHARE/said/mount.s"
on a "grep ' /shared ' /proc/self/mountinfo; grep -A9 'mounted on /shared ' /proc/self/mountstats | grep lease" > "$LAB_SHARE/said/mount.a"
command a before start
command s local doctor --peer --wait 5
probe good --cells 200
command a after start
command a after_status status --json
command a after_stop stop
mounted b local_lock=all
probe local --cells 25
on b "grep ' /shared ' /proc/self/mountinfo" > "$LAB_SHARE/said/local.mount.b"
mounted b soft
probe soft --cells 25
command b changed start
