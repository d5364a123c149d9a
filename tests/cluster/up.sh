#!/usr/bin/env bash
# Starts a real one-node Kubernetes cluster on this machine, as root: etcd, kube-apiserver, controller-manager, scheduler, kubelet,
# kube-proxy, and containerd. Only one can run at a time.
#
# usage: up.sh BIN DIR [IMAGE.tar…]
#
# BIN is the output folder of build.sh. DIR/kubeconfig is for kubectl. The images are for the pods (imagePullPolicy: Never).
# down.sh DIR stops the cluster. ETCD_PORT is the first of two ports and API_PORT the first of four, on 127.0.0.1. NODE_IP is
# added to the loopback interface as the address of the node, and node ports listen on it. Services have the address range of
# EKS, so you can apply a dump from there. The cluster has no DNS. UP_NODE=0 starts only the control plane, without root.
# Several control planes can run at a time on different ports.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
images=()
for image in "$@"; do images+=("$(realpath "$image")"); done
etcd=${ETCD_PORT:-22379} api=${API_PORT:-26443} node=${NODE_IP:-10.243.0.1}
pods=${POD_CIDR:-10.244.0.0/24} services=${SERVICE_CIDR:-10.100.0.0/16}
cd "$dir"

kubectl() { "$bin/kubectl" --kubeconfig kubeconfig --cache-dir kubectl-cache "$@"; }
run() { # NAME PROGRAM…
  local name=$1
  shift
  setsid "$@" >"$name.log" 2>&1 </dev/null &
  echo $! >"$name.pid"
}
wait_for() { # NAME COMMAND…
  local name=$1 i
  shift
  for i in $(seq 450); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  echo "timed out waiting for $name; the last lines of the logs:" >&2
  tail -n 8 ./*.log >&2
  exit 1
}

certificates() {
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -days 30 -subj /CN=cluster-ca
  openssl req "${key[@]}" -keyout api.key -out api.csr -subj /CN=kube-apiserver
  printf 'subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:%s' "${services%.0/*}.1" >san
  openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out api.crt -days 30 -extfile san
  openssl genrsa -out sa.key 2048
  openssl rsa -in sa.key -pubout -out sa.pub
}

control_plane() {
  certificates 2>/dev/null
  local token
  token=$(openssl rand -hex 16)
  echo "$token,admin,1,system:masters" >tokens.csv
  cat >kubeconfig <<K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$api", certificate-authority: $dir/ca.crt}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: c, context: {cluster: c, user: admin}}]
current-context: c
K
  run etcd "$bin/etcd" --data-dir etcd --unsafe-no-fsync --listen-client-urls "http://127.0.0.1:$etcd" \
    --advertise-client-urls "http://127.0.0.1:$etcd" --listen-peer-urls "http://127.0.0.1:$((etcd + 1))"
  run apiserver "$bin/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd" --secure-port="$api" --bind-address=127.0.0.1 \
    --advertise-address="$node" --tls-cert-file=api.crt --tls-private-key-file=api.key --client-ca-file=ca.crt \
    --token-auth-file=tokens.csv --authorization-mode=RBAC --allow-privileged=true --service-account-key-file=sa.pub \
    --service-account-signing-key-file=sa.key --service-account-issuer=https://kubernetes.default.svc \
    --service-cluster-ip-range="$services" --shutdown-delay-duration=0s
  wait_for kube-apiserver kubectl get --raw /readyz
  run controllers "$bin/kube-controller-manager" --kubeconfig=kubeconfig --service-account-private-key-file=sa.key \
    --root-ca-file=ca.crt --use-service-account-credentials=false --leader-elect=false --secure-port=0 \
    --allocate-node-cidrs=true --cluster-cidr="$pods" --node-cidr-mask-size="${pods#*/}" --configure-cloud-routes=false
  run scheduler "$bin/kube-scheduler" --kubeconfig=kubeconfig --leader-elect=false --secure-port=0
  kubectl create -f "$here/definitions.yaml" -f "$here/../../config/kube/crds.yaml" >/dev/null
  kubectl wait --for=condition=Established customresourcedefinitions --all >/dev/null
}

# Every pod is one hop from the node, so traffic between pods passes the node and the rules of kube-proxy. The network plugin
# neither masquerades nor opens host ports: all rules come from kube-proxy.
# restrict_oom_score_adj: a sandbox may forbid to lower the score.
containers() {
  mkdir -p run cni
  cat >cni/10-cluster.conflist <<C
{"cniVersion":"0.4.0","name":"cluster","plugins":[{"type":"ptp",
 "ipam":{"type":"host-local","dataDir":"$dir/cni-addresses","ranges":[[{"subnet":"$pods"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
C
  containerd config default | sed -e "s#/opt/cni/bin#/usr/lib/cni#; s#/etc/cni/net.d#$dir/cni#; s#/var/lib/containerd#$dir/containerd#; \
    s#/run/containerd#$dir/run#g; s#/opt/containerd#$dir/opt#; s#restrict_oom_score_adj = false#restrict_oom_score_adj = true#" >containerd.toml
  run containerd containerd -c containerd.toml
}

# Builds the pause image, which holds the network of a pod, since nothing can be pulled.
pause_image() {
  mkdir pause
  gcc -O2 -static -o pause/pause "$here/pause.c"
  tar -C pause -cf pause/layer.tar pause
  "$here/image.sh" pause.tar "$(sed -n 's/.*sandbox_image = "\(.*\)"/\1/p' containerd.toml)" /pause pause/layer.tar
}

import() { # IMAGE.tar
  ctr -a run/containerd.sock -n k8s.io images import "$1" >/dev/null
}

# imageGCHighThresholdPercent: on a disk that is more than 85 % full, kubelet would remove images that no container uses at
# the moment, such as that of pause, and they cannot be pulled again.
node() {
  [ -e /var/lib/kubelet ] || touch first-kubelet
  ip address add "$node/32" dev lo
  # The rules of a Docker engine, which remain after it ends, drop all other forwarded packets.
  iptables --wait -I FORWARD -s "$pods" -j ACCEPT
  iptables --wait -I FORWARD -d "$pods" -j ACCEPT
  echo "node=$node pods=$pods" >network
  cat >kubelet.yaml <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $dir/ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
containerRuntimeEndpoint: unix://$dir/run/containerd.sock
podLogsDir: $dir/pod-logs
address: 127.0.0.1
port: $((api + 1))
healthzPort: 0
readOnlyPort: 0
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
K
  cat >kube-proxy.yaml <<K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $dir/kubeconfig}
mode: nftables
clusterCIDR: $pods
hostnameOverride: node1
healthzBindAddress: 127.0.0.1:$((api + 2))
metricsBindAddress: 127.0.0.1:$((api + 3))
conntrack: {maxPerCore: 0}
K
  run kubelet "$bin/kubelet" --config=kubelet.yaml --kubeconfig=kubeconfig --hostname-override=node1 --node-ip="$node" \
    --node-labels=topology.kubernetes.io/region=us-east-1,topology.kubernetes.io/zone=us-east-1a \
    --root-dir="$dir/node" --cert-dir="$dir/node-certificates"
  run kube-proxy "$bin/kube-proxy" --config=kube-proxy.yaml
}

if [ "${UP_NODE:-1}" = 0 ]; then
  control_plane
  exit
fi
containers
control_plane
wait_for containerd ctr -a run/containerd.sock version
pause_image
for image in pause.tar "${images[@]}"; do import "$image"; done
node
wait_for "the node" kubectl wait --for=condition=Ready node/node1 --timeout=1s
