# elbow in a small image, without root: docker build -t elbow .
#
# A binary that is already in the context as dist/elbow is taken as it is, and then any Debian will do as BUILDER.
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN if [ -f dist/elbow ]; then install -m 755 dist/elbow /elbow; \
    else cargo build --release --locked -p elbow && install -m 755 target/release/elbow /elbow; fi

# Without root, only the file gives the capability to listen on ports below 1024.
RUN if ! command -v setcap >/dev/null; then apt-get update && apt-get install -y --no-install-recommends libcap2-bin; fi \
    && setcap cap_net_bind_service=+ep /elbow

FROM debian:bookworm-slim
COPY --from=build /elbow /usr/local/bin/elbow
# Nothing is written but the local certificate authority, where one is needed, and the access log, if one is asked for.
RUN install -d -m 700 -o 65532 -g 65532 /var/lib/elbow
ENV ELBOW_CA_DIR=/var/lib/elbow
VOLUME /var/lib/elbow
USER 65532:65532
WORKDIR /etc/elbow
ENTRYPOINT ["/usr/local/bin/elbow"]
CMD ["run", "--config", "/etc/elbow/elbow.yaml", "--admin", "0.0.0.0:9901"]
