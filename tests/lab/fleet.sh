# shellcheck shell=bash
# The lab's hosts with more patience than its two-host has, which gives a machine 240 s to boot and 10 s to answer: on
# a busy computer the emulated ones need more.   bash fleet.sh FOLDER-OF-THE-LAB hold PLACE | FUNCTION ARGUMENT ...
set -uo pipefail
. "$1/lib/hosts.sh"
shift
eval "$(declare -f lab_ssh_opts | sed 's/ConnectTimeout=10/ConnectTimeout=120/')"

boot() { # HOST: start it, wait for it, mount
    vm_start "$1"
    wait_for 900 on "$1" true || { tail -n 20 "$LAB_STATE/$1.console" >&2; lab_die "$1 did not come up"; }
    lab_nfs_on "$1" || lab_die "NFS on $1 failed"
}
words() { # FUNCTION HOST: what the lab's function would have done there
    (on() { shift; echo "$*"; }; "$@")
}
cut_for() { # HOST SECONDS: cut it off and join it again in one command, and say both times of its clock
    on "$1" "$(words net_cut "$1"); date +%s.%N; sleep $2; date +%s.%N; $(words net_heal "$1")"
}
hold() { # PLACE: boot all, say in PLACE/state where they are, keep them until PLACE/end is there
    lab_need_image
    LAB_STATE=$(mktemp -d "${TMPDIR:-/tmp}/lab-hosts.XXXXXX"); export LAB_STATE
    trap 'lab_hosts_down' EXIT
    trap 'exit 130' INT TERM
    local h
    for h in $LAB_HOSTS; do vm_start "$h"; done
    for h in $LAB_HOSTS; do
        wait_for 1200 on "$h" true || { tail -n 20 "$LAB_STATE/$h.console" >&2; lab_die "$h did not come up"; }
        echo "$h answers after $SECONDS s"
    done
    for h in $LAB_HOSTS; do lab_nfs_on "$h" || lab_die "NFS on $h failed"; done
    echo "$LAB_STATE" > "$1/state.new"; mv "$1/state.new" "$1/state"
    wait_for "$LAB_TIMEOUT" test -e "$1/end"
}
"$@"
