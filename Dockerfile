# The node of a wssoak run (and wssoak itself) as an image without anything else in it.
FROM rust:1.95-slim AS build
WORKDIR /src
COPY . .
# Static, so that the image needs no libc; a node needs no nginx inside.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --no-default-features --target "$(uname -m)-unknown-linux-gnu" \
    && cp "target/$(uname -m)-unknown-linux-gnu/release/wssoak" /wssoak

FROM scratch
COPY --from=build /wssoak /wssoak
ENTRYPOINT ["/wssoak"]
CMD ["node", "--listen", "0.0.0.0:9000"]
