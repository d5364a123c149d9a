# elbow in a small image, without root: docker build -t elbow .
#
# A binary that is already in the context as dist/elbow is taken as it is, and then any Debian will do as BUILDER.
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN if [ -f dist/elbow ]; then install -m 755 dist/elbow /elbow; \
    else cargo build --release --locked -p elbow && install -m 755 target/release/elbow /elbow; fi

FROM debian:bookworm-slim
COPY --from=build /elbow /usr/local/bin/elbow
# Ports above 1024 need no right of their own; nothing is written but the access log, if one is asked for.
USER 65532:65532
WORKDIR /etc/elbow
ENTRYPOINT ["/usr/local/bin/elbow"]
CMD ["run", "--config", "/etc/elbow/elbow.yaml", "--admin", "0.0.0.0:9901"]
