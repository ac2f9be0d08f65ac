# One image for every role: `cardwire gateway`, `worker`, `simulator`, `topics create` and all other commands.
#
#   docker build --tag cardwire .
#   docker build --tag cardwire-proxy --target proxy .
#
# Your handlers come in as a folder (`--volume ./handlers:/handlers:ro`) or as a layer of an image of yours:
#
#   FROM cardwire
#   COPY handlers.py /handlers/

ARG PYTHON=3.12

# ---- build: everything that is not needed to run stays here
FROM python:${PYTHON}-slim AS build
WORKDIR /build
COPY requirements/runtime.txt requirements/build.txt requirements/
# The locks' hashes are checked; bytecode is made now, because nothing is written at run time.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/cardwire \
    && python -m pip --disable-pip-version-check --quiet --python /opt/cardwire/bin/python \
        install --require-hashes --requirement requirements/runtime.txt \
    && python -m pip --disable-pip-version-check --quiet install --root-user-action ignore \
        --require-hashes --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY cardwire cardwire
COPY gateway gateway
COPY worker worker
COPY shared shared
COPY simulator simulator
RUN python -m pip --disable-pip-version-check --quiet wheel --no-deps --no-build-isolation --wheel-dir wheel . \
    && python -m pip --disable-pip-version-check --quiet --python /opt/cardwire/bin/python install --no-deps wheel/*.whl \
    # A library's tests of itself: a fifth of all that would be shipped.
    && rm -rf /opt/cardwire/lib/python*/site-packages/Crypto/SelfTest

# ---- proxy: one published port before any number of gateways
FROM python:${PYTHON}-slim AS proxy
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/* /var/log/*
COPY --chmod=0755 deploy/is-ready /usr/local/bin/is-ready
COPY deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 7777
# USR1: finish what is under way, take nothing new.
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=10s --timeout=2s --start-period=10s CMD ["is-ready", "7778"]
ENTRYPOINT ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]

# ---- the image
FROM python:${PYTHON}-slim AS cardwire
LABEL org.opencontainers.image.title="Cardwire" \
      org.opencontainers.image.description="Durable, event-sourced card interactions for Feishu and Lark" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home --home-dir /handlers cardwire \
    && install -d -o cardwire -g cardwire /handlers /var/lib/cardwire
COPY --from=build /opt/cardwire /opt/cardwire
COPY --chmod=0755 deploy/is-ready /usr/local/bin/is-ready
# Reached from other containers, so bound to all addresses of this one; publish no more than you mean to.
ENV PATH=/opt/cardwire/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    CARDWIRE_HOST=0.0.0.0 \
    CARDWIRE_ADMIN_HOST=0.0.0.0 \
    CARDWIRE_DATA=/var/lib/cardwire
WORKDIR /handlers
USER cardwire
EXPOSE 7777 9101 9102
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["is-ready", "9101", "9102"]
ENTRYPOINT ["cardwire"]
CMD ["--help"]
