# elbow in an image of its own, with nothing beside it and without root: docker build -t elbow .
#
# A binary that is already in the context as dist/elbow is taken as it is, and then any Debian will do as BUILDER.
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN if [ -f dist/elbow ]; then install -m 755 dist/elbow /elbow; \
    else cargo build --release --locked -p elbow && install -m 755 target/release/elbow /elbow; fi
RUN if ! command -v setcap >/dev/null || [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then \
      apt-get update && apt-get install -y --no-install-recommends libcap2-bin ca-certificates; fi

# The binary without its debug information, the libraries that it is linked to and those that look up names, authorities
# that HTTPS targets and the API server may be signed by, and a user.
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
    # Ports below 1024 on the host's network: the file permits the capability and does not demand it, so that it starts
    # where the container has none. Docker's legacy builder loses it; in a network of its own a container needs none.
    setcap cap_net_bind_service=+p $out/usr/local/bin/elbow

FROM scratch
COPY --from=build /image/ /
# Nothing is written but the local certificate authority, where one is needed, and the access log, if one is asked for.
COPY --from=build --chown=65532:65532 /state/lib/ /var/lib/
ENV ELBOW_CA_DIR=/var/lib/elbow PATH=/usr/local/bin
VOLUME /var/lib/elbow
USER 65532:65532
WORKDIR /etc/elbow
HEALTHCHECK --interval=10s --timeout=5s --retries=3 CMD ["/usr/local/bin/elbow", "get", "load-balancers"]
ENTRYPOINT ["/usr/local/bin/elbow"]
CMD ["run", "--config", "/etc/elbow/elbow.yaml", "--admin", "0.0.0.0:9901"]
