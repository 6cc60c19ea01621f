# docker build -t routebench .
# docker run --rm --network none routebench
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/routebench \
    && /opt/routebench/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve,report]'

FROM python:3.11-slim
COPY --from=build /opt/routebench /opt/routebench
RUN useradd --uid 1000 --create-home bench \
    && mkdir -p /srv/bench \
    && chown bench:bench /srv/bench
ENV PATH=/opt/routebench/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1
USER 1000:1000
WORKDIR /srv/bench
ENTRYPOINT ["routebench"]
CMD ["run", "--suite", "simpleqa", "--router", "all"]
