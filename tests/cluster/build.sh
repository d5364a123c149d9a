#!/usr/bin/env bash
# Builds etcd, the Kubernetes programs and kubectl into BIN from Go modules: once, 5 to 10 minutes on 2 cores. What is
# there already is kept. usage: build.sh BIN
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)
export GOTOOLCHAIN=local GOFLAGS="-mod=mod -trimpath" CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/kube" "$here/etcd" "$work"
mkdir "$work/built"

# What `kubectl version` and the node tell.
version="-X k8s.io/component-base/version.gitVersion=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" {print $3}' "$here/kube/go.mod")"

build() { # MODULE PROGRAM=PACKAGE…
  local module=$1 pair packages=() names=()
  shift
  for pair in "$@"; do
    [ -f "$bin/${pair%%=*}" ] && continue
    names+=("${pair%%=*}") packages+=("${pair#*=}")
  done
  [ ${#names[@]} -eq 0 ] && return
  # Together, so that one links while another compiles; built aside and moved, so that a build which was ended midway
  # leaves nothing that looks finished.
  (cd "$work/$module" && go build -ldflags "-s -w $version" -o "$work/built/" "${packages[@]}")
  for pair in "${names[@]}"; do
    [ -f "$work/built/$pair" ] || mv "$work/built/server" "$work/built/$pair"
    mv "$work/built/$pair" "$bin/$pair.next"
    mv "$bin/$pair.next" "$bin/$pair"
  done
}

programs=()
for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
  programs+=("$program=k8s.io/kubernetes/cmd/$program")
done
build kube "${programs[@]}"
build etcd etcd=go.etcd.io/etcd/server/v3
