# The server for the container tests, of what `indexer demo` runs: the zip from Maven Central, Java from PyPI.
ARG BASE
FROM ${BASE}
COPY java /usr/share/java
COPY --chown=1000:0 server /usr/share/elasticsearch
COPY --chown=1000:0 config /usr/share/elasticsearch/config
RUN install --directory --owner 1000 --group 0 /usr/share/elasticsearch/data /usr/share/elasticsearch/logs
ENV ES_JAVA_HOME=/usr/share/java
WORKDIR /usr/share/elasticsearch
USER 1000:0
VOLUME /usr/share/elasticsearch/data
CMD ["bin/elasticsearch"]
