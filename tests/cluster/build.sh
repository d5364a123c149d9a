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

build() { # MODULE PACKAGE NAME
  [ -f "$bin/$3" ] && return
  # Built aside and moved, so that a build which was ended midway leaves nothing that looks finished.
  (cd "$work/$1" && go build -ldflags "-s -w $version" -o "$work/built/$3" "$2")
  mv "$work/built/$3" "$bin/$3.next"
  mv "$bin/$3.next" "$bin/$3"
}

for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
  build kube "k8s.io/kubernetes/cmd/$program" "$program"
done
build etcd go.etcd.io/etcd/server/v3 etcd
