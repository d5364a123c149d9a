# A minimal image with elbow only, which runs without root: docker build -t elbow .
#
# If the build context has a binary at dist/elbow, the image uses it, and any Debian image works as BUILDER.
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN if [ -f dist/elbow ]; then install -m 755 dist/elbow /elbow; \
    else cargo build --release --locked -p elbow && install -m 755 target/release/elbow /elbow; fi
RUN if ! command -v setcap >/dev/null || [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then \
      apt-get update && apt-get install -y --no-install-recommends libcap2-bin ca-certificates; fi

# The image holds the stripped binary, its shared libraries and those of the resolver, the CA certificates for HTTPS targets
# and the API server, and a user.
RUN set -e; out=/image; mkdir -p $out/usr/local/bin $out/etc/ssl/certs $out/etc/elbow /state/lib/elbow; \
    install -m 755 /elbow $out/usr/local/bin/elbow; \
    if command -v strip >/dev/null; then strip --strip-debug $out/usr/local/bin/elbow; fi; \
    libraries=$(dirname "$(ldd /elbow | grep -o '/[^ ]*/libc\.so\.6')"); \
    for file in $(ldd /elbow | grep -o '/[^ ]*') $libraries/libnss_dns.so.2 $libraries/libnss_files.so.2 $libraries/libresolv.so.2; do \
      install -D -m 755 "$(realpath "$file")" "$out$file"; done; \
    install -m 644 /etc/ssl/certs/ca-certificates.crt $out/etc/ssl/certs/; \
    echo 'elbow:x:65532:65532::/var/lib/elbow:/sbin/nologin' >$out/etc/passwd; \
    echo 'elbow:x:65532:' >$out/etc/group; \
    echo 'hosts: files dns' >$out/etc/nsswitch.conf; \
    install -d -m 1777 $out/tmp; chmod 700 /state/lib/elbow; \
    # For ports below 1024 on the host network. The capability is permitted, not effective, so that elbow also starts in a
    # container without it. Docker's legacy builder drops it; a container with its own network does not need it.
    setcap cap_net_bind_service=+p $out/usr/local/bin/elbow

FROM scratch
COPY --from=build /image/ /
# elbow only writes the local certificate authority, when it needs one, and the access log, when one is configured.
COPY --from=build --chown=65532:65532 /state/lib/ /var/lib/
ENV ELBOW_CA_DIR=/var/lib/elbow PATH=/usr/local/bin
VOLUME /var/lib/elbow
USER 65532:65532
WORKDIR /etc/elbow
HEALTHCHECK --interval=10s --timeout=5s --retries=3 CMD ["/usr/local/bin/elbow", "get", "load-balancers"]
ENTRYPOINT ["/usr/local/bin/elbow"]
CMD ["run", "--config", "/etc/elbow/elbow.yaml", "--admin", "0.0.0.0:9901"]
