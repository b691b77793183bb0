# hunkwise with the packages of its service: README.md beside this file says how to build it.
#
# Its context is the checkout, which has the lock of the packages.
ARG HUNKWISE_IMAGE=hunkwise
# hadolint ignore=DL3006
FROM ${HUNKWISE_IMAGE}
WORKDIR /build
COPY requirements/service.txt requirements/
# Git is installed anew and whole: hunkwise's image lacks the programs that fetch, which the mirrors need. Of the
# packages in the lock those that the image has already are skipped. The pip that installs them goes again.
# hadolint ignore=DL3008
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    rm /etc/dpkg/dpkg.cfg.d/hunkwise \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --reinstall git python3-venv \
    && python3 -m venv /pip \
    && /pip/bin/pip --python /opt/hunkwise/bin/python install --quiet --no-cache-dir --no-compile --no-deps \
       --require-hashes --only-binary :all: -r requirements/service.txt \
    && /pip/bin/pip --python /opt/hunkwise/bin/python check \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/hunkwise/lib \
    && apt-get purge --yes --auto-remove python3-venv \
    && rm -rf /pip /var/lib/apt/lists/* /var/log/* \
    && echo "hunkwise:x:10002:10001::/var/lib/hunkwise:/usr/sbin/nologin" >> /etc/passwd \
    && install -d -m 0700 -o 10002 -g 10001 /var/lib/hunkwise
ENV HOME=/var/lib/hunkwise \
    HUNKWISE_DATA=/var/lib/hunkwise \
    PATH=/opt/hunkwise/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /var/lib/hunkwise
USER 10002:10001
ENTRYPOINT ["hunkwise"]
