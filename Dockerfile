# The server in a small image: its binary, glibc and the certificates of public authorities; no shell.
#
#   docker build -t seqline .
#   docker run -p 127.0.0.1:8000:8000 -p 127.0.0.1:9000:9000 -v seqline:/data --stop-timeout 30 seqline
#
# keeps everything in the volume (the embedded store). For MongoDB, Redis and etcd see compose.yaml.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay on the machine that builds; nothing but the binary goes on. What is stripped are
# line numbers of backtraces, three quarters of it. Another checkout may have filled the cache, and
# cargo goes by times: a source older than that would be taken for compiled. Until a build has its
# binary no other one gets the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    find Cargo.toml Cargo.lock crates -type f -exec touch {} + \
    && CARGO_PROFILE_RELEASE_STRIP=debuginfo cargo build --release --locked --package seqline \
    && cp target/release/seqline /seqline \
    && mkdir /data

# As old a glibc as the one it was built with.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /seqline /usr/local/bin/seqline
# A new volume gets the owner of what it covers.
COPY --from=build --chown=65532:65532 /data /data
# The image's user nonroot.
USER 65532
VOLUME /data
EXPOSE 8000 9000
# It asks /readyz on port 8000; a server that listens elsewhere needs another one.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
    CMD ["/usr/local/bin/seqline", "health"]
ENTRYPOINT ["/usr/local/bin/seqline"]
# SIGTERM, which `docker stop` sends, is a clean stop.
CMD ["serve", "--data", "/data", "--http", "0.0.0.0:8000", "--grpc", "0.0.0.0:9000"]
