#!/usr/bin/env bash
# Ends everything that up.sh started in DIR, including pods, and removes its addresses, mounts and packet filter rules. Keeps DIR.
# usage: down.sh DIR
set -u
started=
cd "$1" || exit 0
dir=$PWD

stop() { # SIGNAL NAME…
  local signal=$1 name pid
  shift
  for name in "$@"; do
    [ -f "$name.pid" ] && kill -s "$signal" "$(cat "$name.pid")" 2>/dev/null
  done
  for name in "$@"; do
    [ -f "$name.pid" ] || continue
    pid=$(cat "$name.pid")
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -s KILL "$pid" 2>/dev/null
    rm -f "$name.pid"
  done
}
tasks() { ctr -a run/containerd.sock -n k8s.io tasks ls -q 2>/dev/null; }
# Finds the shims of the containers: their command line names this folder.
shims() {
  local file
  for file in /proc/[0-9]*/cmdline; do
    { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -q -- "-address $dir/run/containerd.sock" && basename "$(dirname "$file")"
  done
}

# A graceful shutdown of the API server would keep its port for a minute, and its data is discarded anyway.
stop KILL kubelet kube-proxy controllers scheduler apiserver etcd
if [ -S run/containerd.sock ]; then
  started=$(tasks)
  for task in $started; do ctr -a run/containerd.sock -n k8s.io tasks kill -s KILL -a "$task" >/dev/null 2>&1; done
  for _ in $(seq 50); do
    [ -z "$(tasks)" ] && [ -z "$(shims)" ] && break
    sleep 0.1
  done
fi
stop TERM containerd
for shim in $(shims); do kill -s KILL "$shim" 2>/dev/null; done

# Without a node, up.sh has not changed the machine.
[ -f containerd.toml ] || exit 0
nft delete table ip kube-proxy 2>/dev/null
nft delete table ip6 kube-proxy 2>/dev/null
for mount in $(awk '$2 ~ "/netns/cni-" {print $2}' /proc/mounts); do ip netns delete "$(basename "$mount")"; done
if [ -f network ]; then
  . ./network
  # A socket that waits for its peer keeps the namespace of its pod for a minute or two. Meanwhile the route to it would keep
  # a pod of the next cluster from getting one, and packets to that pod would leave by the default route after it.
  ip route show root "$pods" | sed -n 's/.* dev \([^ ]*\).*/\1/p' | sort -u | xargs -r -n1 ip link delete
  ip address delete "$node/32" dev lo 2>/dev/null
  iptables --wait -D FORWARD -s "$pods" -j ACCEPT 2>/dev/null
  iptables --wait -D FORWARD -d "$pods" -j ACCEPT 2>/dev/null
fi
for _ in 1 2 3; do awk -v dir="$dir/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null; done
find /var/log/containers -maxdepth 1 -lname "$dir/*" -delete 2>/dev/null
for task in $started; do rm -f /var/lib/cni/results/*"-$task-"*; done
rmdir --ignore-fail-on-non-empty -p /var/lib/cni/results /var/log/containers 2>/dev/null
[ -f first-kubelet ] && rm -rf /var/lib/kubelet
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null
true
