# Node as the lockfile pins it, for the platform that is built: the version that the tests ran with. It needs libatomic,
# which a bare Debian does not have, nor the base of the final image.
FROM node:26-bookworm-slim AS bundle
RUN apt-get update && apt-get install --yes --no-install-recommends libatomic1
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json rolldown.config.ts ./
COPY src ./src
RUN npm run build
RUN mkdir /node && cp "$(readlink -f node_modules/.bin/node)" /node/node \
    && cp "$(ldconfig -p | awk '/libatomic\.so\.1/ { print $NF; exit }')" /node/libatomic.so.1

# The copy engine, as test/tools/regctl pins it: go.sum proves every byte that goes in.
FROM golang:1.26-bookworm AS regctl
WORKDIR /build
COPY test/tools/regctl/go.mod test/tools/regctl/go.sum ./
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /regctl github.com/regclient/regclient/cmd/regctl

# Only the C++ runtime that Node needs, and CA certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=bundle /node/node /usr/local/bin/node
COPY --from=bundle /node/libatomic.so.1 /usr/local/lib/libatomic.so.1
COPY --from=regctl /regctl /usr/local/bin/regctl
COPY --from=bundle /build/dist /app
USER 65532:65532
# Young objects are collected in steps of 4 MiB: without a memory limit Node would let 60 MiB of them pile up. What is freed
# beside them goes back to the system from one arena; of one for each thread, 20 MiB would stay.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=4 MALLOC_ARENA_MAX=1
ENV PATH=/usr/local/bin LD_LIBRARY_PATH=/usr/local/lib
ENTRYPOINT ["/usr/local/bin/node", "/app/main.mjs"]
