# One image for every Python service of docker-compose.yaml. It holds no secret: see .dockerignore.
#
# The base gives the system, Python 3.11 to 3.13, the entry point and AIRFLOW_HOME. What runs is the
# lock and nothing but the lock: it goes into an environment of its own, beside whatever Python
# packages the base carries. So a slim base is enough, and the Astro Runtime is one as well:
#   docker build --build-arg BASE_IMAGE=<the Astro Runtime image, tag 3.3-…-base> -t ciclo-astro .
ARG BASE_IMAGE=apache/airflow:slim-3.3.2-python3.12
FROM ${BASE_IMAGE}

USER 0
COPY requirements.txt /opt/ciclo/requirements.txt
# Without dependency resolution, which the lock has done, and without what the base tells pip.
RUN python -m venv /opt/ciclo \
 && env -u PIP_USER -u PIP_CONSTRAINT /opt/ciclo/bin/python -m pip install \
      --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /opt/ciclo/requirements.txt \
 && /opt/ciclo/bin/python -m pip check

# Every folder a service writes to; a named volume takes its owner from here. Any user of group 0 may run the image.
RUN install -d -o 50000 -g 0 -m 0770 /var/lib/ciclo /var/lib/ciclo/airflow /var/lib/ciclo/balancer /var/lib/ciclo/docs /var/lib/ciclo/files \
      /var/lib/ciclo/lake /var/lib/ciclo/log /var/lib/ciclo/mlflow /var/lib/ciclo/run /var/lib/ciclo/sandbox \
      /var/lib/ciclo/secrets /var/lib/ciclo/serving /var/lib/ciclo/uci

WORKDIR ${AIRFLOW_HOME}
COPY . .
# Readable for every user, whatever the umask of the checkout; and the command, as the lock alone does not install it.
RUN chmod -R a+rX . \
 && printf '#!/opt/ciclo/bin/python\nfrom include.commands.cli import main\nmain()\n' > /opt/ciclo/bin/ciclo \
 && chmod 755 /opt/ciclo/bin/ciclo \
 && /opt/ciclo/bin/python -m compileall -q config dags include

ENV PATH=/opt/ciclo/bin:${PATH} \
    PYTHONPATH=${AIRFLOW_HOME}:${AIRFLOW_HOME}/config \
    CICLO_VAR=/var/lib/ciclo \
    GIT_PYTHON_REFRESH=quiet \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true
USER 50000:0
