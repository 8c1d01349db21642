#!/usr/bin/env bash
# `ctl system install` under a systemd of its own, as process 1 of its own namespaces: start at boot, READY, restart, reload,
# watchdog, stop, reboot. Then the Debian package, if it was built: installed, upgraded, removed, purged. Prints what each took and
# what a client saw meanwhile. Ends with an error where a step fails or does not end, where containers end with the daemon, where a
# reload or an upgrade loses a request, or where a service is not back after the reboot; how long a step may take is left to who
# reads it.
#
# The machine that boots is a copy-on-write view of this one's root file system with nothing enabled but Coxswain. It shares
# Docker's socket, the network and the kernel. Needs root, systemd and Docker; what it writes is in memory and gone at the end.
#   CTL=PATH       the binary; target/…/debug/ctl if not given
#   DEB=PATH       the package; the last of target/debian/ if not given
#   SERVICES=20    services that must be back after the reboot, two replicas each
set -euo pipefail
cd "$(dirname "$0")/.."

CTL=${CTL:-${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/debug/ctl}
DEB=${DEB-$(find target/debian -name 'coxswain_*.deb' -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d ' ' -f 2)}
SERVICES=${SERVICES:-20}
PORT=${PORT:-18080}
IMAGE=${IMAGE:-hello}

[[ $EUID -eq 0 ]] || { echo "tests/boot.sh: needs root" >&2; exit 1; }
CTL=$(realpath "$CTL")
machine=$(mktemp -d)
cgroup=coxswain-boot-$$
init=
load=

# now: milliseconds of a clock that nobody sets
now() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }

# inside COMMAND…: in the machine that booted
inside() { nsenter --target "$init" --mount --uts --ipc --pid --cgroup --root --wd -- "$@"; }

# where `ctl system install` or the package has put it
ctl() { inside ctl "$@"; }

# until_ok SECONDS WHAT COMMAND…: waits until the command succeeds
until_ok() {
    local end=$(($(now) + $1 * 1000)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        (($(now) < end)) || { echo "boot: not in time: $what" >&2; exit 1; }
        sleep 0.02
    done
}

ask() { curl --silent --fail --max-time 5 --header "Host: $1.localhost" "http://127.0.0.1:$PORT/"; }

every_service_answers() {
    local number
    for number in $(seq "$SERVICES"); do ask "web$number" >/dev/null || return 1; done
}

containers() {
    local store
    store=$(cat "$machine/upper/var/lib/coxswain/store-id" 2>/dev/null) || return 0
    docker ps --all --quiet --filter "label=coxswain.store=$store"
}

# power_off: what a machine that loses power leaves; Docker is this machine's, so its containers are ended by hand
power_off() {
    [[ -n $init ]] && kill -9 "$init" 2>/dev/null
    while [[ -n $init && -e /proc/$init ]]; do sleep 0.05; done
    init=
    containers | xargs --no-run-if-empty docker kill >/dev/null 2>&1 || true
}

clean_up() {
    [[ -n $load ]] && kill "$load" 2>/dev/null
    local store
    store=$(cat "$machine/upper/var/lib/coxswain/store-id" 2>/dev/null || true)
    power_off
    if [[ -n $store ]]; then
        containers | xargs --no-run-if-empty docker rm --force --volumes >/dev/null 2>&1 || true
        docker network ls --quiet --filter "label=coxswain.store=$store" |
            xargs --no-run-if-empty docker network rm >/dev/null 2>&1 || true
        docker images --filter "label=coxswain.store=$store" --quiet | xargs --no-run-if-empty docker rmi >/dev/null 2>&1 || true
    fi
    umount "$machine/root" 2>/dev/null || umount --lazy "$machine/root" 2>/dev/null || true
    umount "$machine" 2>/dev/null || true
    rmdir "$machine" 2>/dev/null || true
    find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
}
trap clean_up EXIT

# prepare: the file system, with nothing enabled, and Docker's unit in place of the real one
prepare() {
    mount -t tmpfs -o size=1g tmpfs "$machine"
    mkdir "$machine"/{upper,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$machine/upper,workdir=$machine/work" overlay "$machine/root"
    # In the machine, where a symbolic link cannot lead out of it.
    # shellcheck disable=SC2016 # expanded by the inner shell
    chroot "$machine/root" /bin/sh -ec '
        rm -rf /etc/systemd/system/*.wants /var/lib/coxswain /etc/default/coxswain
        for wants in /lib/systemd/system/*.wants/*; do
            case ${wants##*/} in
            systemd-journald*) ;;
            *) rm -f "$wants" ;;
            esac
        done
        printf "[Unit]\nDescription=Docker\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n" \
            >/etc/systemd/system/docker.service
        : >/etc/fstab
        mkdir -p /etc/default /usr/local/bin
        echo "CTL_SERVE_OPTIONS=\"--http 127.0.0.1:$1\"" >/etc/default/coxswain
        cat >/usr/local/bin/ctl
        chmod 755 /usr/local/bin/ctl
    ' _ "$PORT" <"$CTL"
}

# What process 1 does before it becomes systemd: mounts, as a container has them.
# shellcheck disable=SC2016 # expanded by the inner shell
become_systemd='
    set -e
    root=$1
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --bind /proc/sys "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
        mkdir "$root/sys/fs/cgroup/systemd"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    fi
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t mqueue mqueue "$root/dev/mqueue"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    touch "$root/run/docker.sock"
    mount --bind "$(realpath /var/run/docker.sock)" "$root/run/docker.sock"
    mount -t tmpfs tmpfs "$root/tmp"
    hostname boot
    cd "$root"
    pivot_root . .
    umount --lazy .
    exec env -i container=coxswain-boot PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=multi-user.target --log-target=null
'

# boot: process 1 is systemd; what it mounts and starts ends with it
boot() {
    # In a control group of its own in each hierarchy, which is the root of what the machine sees.
    local hierarchy hierarchies=(/sys/fs/cgroup)
    [[ -e /sys/fs/cgroup/cgroup.controllers ]] || hierarchies=(/sys/fs/cgroup/*/cgroup.procs)
    hierarchies=("${hierarchies[@]%/cgroup.procs}")
    for hierarchy in "${hierarchies[@]}"; do
        mkdir -p "$hierarchy/$cgroup"
        for file in cpuset.cpus cpuset.mems; do
            [[ ! -e $hierarchy/cgroup.clone_children || ! -e $hierarchy/$file ]] || cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"
        done
    done
    # shellcheck disable=SC2016 # expanded by the inner shells
    unshare --fork --pid --mount --uts --ipc --kill-child bash -c '
        set -e
        start=$1 root=$2
        shift 2
        for group in "$@"; do echo 0 >"$group/cgroup.procs"; done
        exec unshare --cgroup bash -c "$start" _ "$root"
    ' _ "$become_systemd" "$machine/root" "${hierarchies[@]/%//$cgroup}" >"$machine/console" 2>&1 &
    local outer=$!
    until_ok 10 "process 1" pgrep --parent "$outer"
    init=$(pgrep --parent "$outer")
    until_ok 30 "systemd answers" inside systemctl is-system-running --wait || true
}

# manifests N: as many services of two replicas
manifests() {
    local number
    for number in $(seq "$1"); do
        cat <<YAML
---
apiVersion: coxswain/v1
kind: Service
metadata: {name: web$number, app: boot}
spec:
  image: $IMAGE:v1
  replicas: 2
  port: 8080
  route: web$number.localhost
  health: /healthz
  rollout: {healthyFor: 500ms}
YAML
    done
}

# client: asks again and again, on a connection for each request; a line of milliseconds and status for each answer
client() {
    local began
    while :; do
        began=$(now)
        echo "$(curl --silent --output /dev/null --max-time 30 --write-out '%{http_code}' \
            --header "Host: web1.localhost" "http://127.0.0.1:$PORT/" || true) $(($(now) - began))"
    done
}

# under_load WHAT COMMAND…: runs it while a client asks, and prints how long it took and what the client saw
under_load() {
    local what=$1 began took
    shift
    client >"$machine/answers" &
    load=$!
    sleep 0.5
    began=$(now)
    "$@"
    took=$(($(now) - began))
    sleep 1
    kill "$load" && wait "$load" 2>/dev/null || true
    load=
    awk -v what="$what" -v took="$took" '
        { asked++; if ($1 != 200) failed++; if ($2 > longest) longest = $2 }
        END { printf "%-44s %6.2f s   %d requests, %d failed, longest %.2f s\n", what, took / 1000, asked, failed, longest / 1000 }
    ' "$machine/answers"
    failed=$(awk '$1 != 200' "$machine/answers" | wc -l)
}

# took WHAT MILLISECONDS
took() { awk -v what="$1" -v took="$2" 'BEGIN { printf "%-44s %6.2f s\n", what, took / 1000 }'; }

wrong() {
    echo "boot: $*" >&2
    inside journalctl --no-pager --unit coxswain | tail -n 40 >&2 || true
    exit 1
}

shown() { inside systemctl show --property "$1" --value coxswain; }

prepare
boot

began=$(now)
inside /usr/local/bin/ctl system install >"$machine/installed" || wrong "the install failed: $(cat "$machine/installed")"
took "ctl system install, until READY" $(($(now) - began))
[[ $(shown ActiveState) == active ]] || wrong "not active after the install"
[[ $(shown StatusText) == *"are running"* ]] || wrong "STATUS is $(shown StatusText)"

manifests "$SERVICES" | inside sh -c "cat >/root/web.yaml"
began=$(now)
ctl apply -f /root/web.yaml >/dev/null 2>&1 || wrong "the apply failed"
took "ctl apply of $SERVICES services, 2 replicas each" $(($(now) - began))
every_service_answers || wrong "not every service answers"

under_load "systemctl restart" inside systemctl restart coxswain

if [[ -n $(shown ExecReload) ]]; then
    pid=$(shown MainPID)
    under_load "systemctl reload" inside systemctl reload coxswain
    ((failed == 0)) || wrong "a reload lost $failed requests"
    [[ $(shown ActiveState) == active ]] || wrong "not active after a reload"
fi

running=$(containers | sort)
began=$(now)
inside systemctl stop coxswain
took "systemctl stop" $(($(now) - began))
[[ $(docker ps --quiet --filter "label=coxswain.store=$(cat "$machine/upper/var/lib/coxswain/store-id")" | sort) == "$running" ]] ||
    wrong "containers ended with the daemon"
began=$(now)
inside systemctl start coxswain
until_ok 60 "every service answers after a start" every_service_answers
took "systemctl start, until every service answers" $(($(now) - began))

# A supervisor that hangs: systemd ends it after WatchdogSec and starts another.
pid=$(shown MainPID)
hang() {
    inside kill -STOP "$pid"
    until_ok 90 "the watchdog ends a supervisor that hangs" eval '[[ $(shown MainPID) != "$pid" && $(shown ActiveState) == active ]]'
}
under_load "supervisor stopped, until the watchdog's start" hang
[[ $(shown NRestarts) -ge 1 ]] || wrong "no restart was counted"

power_off
began=$(now)
boot
took "power off, then boot: systemd is up" $(($(now) - began))
until_ok 120 "every service answers after a reboot" every_service_answers
took "  every service answers" $(($(now) - began))
until_ok 120 "every replica is ready after a reboot" ctl wait web1 --for ready --timeout 1s
for number in $(seq "$SERVICES"); do ctl wait "web$number" --for ready --timeout 60s >/dev/null || wrong "web$number is not ready"; done
took "  every replica is ready" $(($(now) - began))

began=$(now)
ctl delete --app boot --yes >/dev/null 2>&1 || wrong "the delete failed"
took "ctl delete of all services" $(($(now) - began))
ctl system uninstall >/dev/null || wrong "the uninstall failed"
[[ $(inside systemctl is-enabled coxswain 2>&1) != enabled ]] || wrong "still enabled after the uninstall"

if [[ -z $DEB ]]; then
    echo "no package in target/debian: its steps are left out (make deb)"
    exit 0
fi

# later_version FILE: the package with a higher version and the same content
later_version() {
    local work
    work=$(mktemp -d --tmpdir="$machine")
    dpkg-deb --raw-extract "$DEB" "$work/tree"
    sed -i 's/^Version: .*/&+next/' "$work/tree/DEBIAN/control"
    dpkg-deb --build --root-owner-group -Znone "$work/tree" "$1" >/dev/null
    rm -r "$work"
}

package() { inside env DEBIAN_FRONTEND=noninteractive dpkg "$@" </dev/null >"$machine/dpkg" 2>&1 || wrong "dpkg $*: $(cat "$machine/dpkg")"; }

inside rm -rf /usr/local/bin/ctl /var/lib/coxswain /etc/default/coxswain
inside sh -c 'cat >/root/coxswain.deb' <"$DEB"
later_version "$machine/next.deb"
inside sh -c 'cat >/root/next.deb' <"$machine/next.deb"
rm "$machine/next.deb"

began=$(now)
package --install /root/coxswain.deb
until_ok 60 "the daemon of the package is active" eval '[[ $(shown ActiveState) == active ]]'
took "dpkg --install, until the service is active" $(($(now) - began))
[[ $(inside systemctl is-enabled coxswain) == enabled ]] || wrong "not enabled by the package"
[[ $(inside sh -c 'command -v ctl') == /usr/bin/ctl ]] || wrong "ctl is not the package's"
inside sh -c "echo 'CTL_SERVE_OPTIONS=\"--http 127.0.0.1:$PORT\"' >/etc/default/coxswain"
inside systemctl restart coxswain
manifests 2 | inside sh -c "cat >/root/web.yaml"
ctl apply -f /root/web.yaml >/dev/null 2>&1 || wrong "the apply failed"

pid=$(shown MainPID)
under_load "dpkg --install of a later version" package --install /root/next.deb
((failed == 0)) || wrong "the upgrade lost $failed requests"
[[ $(shown MainPID) == "$pid" && $(shown ActiveState) == active ]] || wrong "the upgrade restarted the daemon: $(cat "$machine/dpkg")"
[[ $(inside dpkg-query --show --showformat '${Version}' coxswain) == *+next ]] || wrong "the later version is not installed"
inside grep -q "127.0.0.1:$PORT" /etc/default/coxswain || wrong "the upgrade replaced /etc/default/coxswain"
supervisor=$(inside stat --dereference --format '%d:%i' "/proc/$pid/exe")
[[ $supervisor == "$(inside stat --format '%d:%i' /usr/bin/ctl)" ]] || wrong "the supervisor runs another program than /usr/bin/ctl"

running=$(containers | sort)
package --remove coxswain
[[ $(inside systemctl is-active coxswain 2>&1) != active ]] || wrong "still active after the removal"
[[ $(containers | sort) == "$running" ]] || wrong "containers ended with the removal"
inside test -e /etc/default/coxswain -a -e /var/lib/coxswain/store-id || wrong "the removal took options or state"
began=$(now)
package --install /root/next.deb
until_ok 60 "the service answers after a second installation" ask web1
took "dpkg --install again, until a service answers" $(($(now) - began))
ctl delete --app boot --yes >/dev/null 2>&1 || wrong "the delete failed"
package --purge coxswain
for path in /etc/default/coxswain /var/lib/coxswain /usr/bin/ctl /usr/lib/systemd/system/coxswain.service; do
    ! inside test -e "$path" || wrong "$path is left after the purge"
done
! inside getent group coxswain >/dev/null || wrong "the group is left after the purge"
! inside getent passwd coxswain-balancer >/dev/null || wrong "the balancer's user is left after the purge"
