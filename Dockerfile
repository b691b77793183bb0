# The image of the action. `make image` builds it, `make test-image` runs it as GitHub's runner does.
#
# The base images are pinned by the digest of their index, so for amd64 and arm64 alike. Renovate moves them.
ARG DEBIAN_IMAGE=debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
ARG NODE_IMAGE=node:22-trixie-slim@sha256:b26b04c123d9ff8ab646ceb18b9d75a1173acf64b9a401094b906d27b29338d4

# The Copilot CLI, as npm's lock file names it. Secrets are files of the machine that builds, for one that reaches
# its registries by a way of its own; none need be given, and none is kept.
FROM ${NODE_IMAGE} AS cli
WORKDIR /build
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/build/.npmrc \
    npm ci --omit=dev --ignore-scripts --no-fund --no-audit --loglevel=error

# What the build and the image have in common: Python, Git and certificates.
FROM ${DEBIAN_IMAGE} AS base
COPY scripts/image/dpkg-excludes /etc/dpkg/dpkg.cfg.d/hunkwise
# The packages are not pinned: a stable release changes for security only, and what a build took is pinned by the
# digest of the image that came of it. Bytecode is of the kind that is never compared with its source: in an image no
# source changes, and a build that sets every file's time would else make all of it stale.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates git python3 \
    && apt-get clean \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.13 /usr/lib/python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/log/* \
    && rm -f /var/lib/dpkg/*-old /etc/*-

# The folder that the sidecar takes for /, with the C library of the image that it will run in.
FROM base AS sidecar
WORKDIR /build
COPY scripts/unpack_cli.py scripts/image/sidecar_tree.py scripts/
COPY --from=cli /build/node_modules node_modules
RUN python3 scripts/unpack_cli.py \
    && python3 scripts/sidecar_tree.py node_modules/.cache/copilot /opt/hunkwise/sidecar

# The packages, without the pip that installs them. The lock is all that is installed (--no-deps), and then checked.
FROM base AS packages
WORKDIR /build
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv pip \
    && pip/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/hunkwise \
    && pip/bin/pip --python /opt/hunkwise/bin/python install --quiet --no-cache-dir --no-compile --no-deps --require-hashes \
       --only-binary :all: -r requirements/runtime.txt \
    && pip/bin/pip --python /opt/hunkwise/bin/python check \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/hunkwise/lib

# hunkwise itself, apart, so that a new version is a small layer on top of what did not change.
FROM packages AS own
COPY pyproject.toml README.md LICENSE entrypoint.py ./
COPY src src
ARG SOURCE_DATE_EPOCH
RUN pip/bin/pip wheel --quiet --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir wheel . \
    && pip/bin/pip --python /opt/hunkwise/bin/python install --quiet --no-cache-dir --no-compile --no-index --no-deps \
       --prefix /own/opt/hunkwise wheel/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /own -p / /own/opt/hunkwise/lib \
    && install -m 0644 entrypoint.py LICENSE /own/opt/hunkwise/

# No HEALTHCHECK, since it runs once and ends. No USER: GitHub's runner asks for root, whose files the runner's are,
# and root is what sets the sidecar apart (README, SECURITY.md).
FROM base
RUN echo "copilot:x:10001:10001::/nonexistent:/usr/sbin/nologin" >> /etc/passwd \
    && echo "copilot:x:10001:" >> /etc/group
COPY --from=sidecar /opt/hunkwise/sidecar /opt/hunkwise/sidecar
COPY --from=packages /opt/hunkwise /opt/hunkwise
COPY --from=own /own/opt/hunkwise /opt/hunkwise
ENV HUNKWISE_SIDECAR_ROOT=/opt/hunkwise/sidecar \
    COPILOT_PKG_CACHE_HOME=/opt/hunkwise/sidecar/copilot
ENTRYPOINT ["/opt/hunkwise/bin/python", "-I", "/opt/hunkwise/entrypoint.py"]
# scripts/image/build.sh reads them where they stand, and passes them.
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
ARG CLI_VERSION=unknown
ARG SDK_VERSION=unknown
LABEL org.opencontainers.image.title="hunkwise" \
      org.opencontainers.image.description="Reviews pull requests with GitHub Copilot. Every hunk is read or named, every finding is kept." \
      org.opencontainers.image.licenses="MIT AND LicenseRef-GitHub-Copilot-CLI" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.github.hunkwise.cli="${CLI_VERSION}" \
      io.github.hunkwise.sdk="${SDK_VERSION}" \
      io.github.hunkwise.python="3.13"
