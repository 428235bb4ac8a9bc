# The command in an image of nothing else: from scratch, as a user without rights, with the certificates of public authorities.
# `docker build -t gapless .` builds it in a container with Go. Where no such image is to be had: Dockerfile.prebuilt.

ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
# What modules the program needs changes seldom: a layer of its own keeps them.
COPY go.mod go.sum ./
COPY cmd/gapless/go.mod cmd/gapless/go.sum ./cmd/gapless/
COPY otelgapless/go.mod otelgapless/go.sum ./otelgapless/
COPY eventstream/eventstreamtest/pgtest/go.mod eventstream/eventstreamtest/pgtest/go.sum ./eventstream/eventstreamtest/pgtest/
RUN go -C cmd/gapless mod download
COPY . .
RUN CGO_ENABLED=0 go -C cmd/gapless build -trimpath -ldflags='-s -w' -o /out/gapless .

FROM scratch
# No name, since there is no list of users; a port below 1024 is out of reach.
USER 65532:65532
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/gapless"]
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/gapless /gapless
