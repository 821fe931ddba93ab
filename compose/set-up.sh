#!/usr/bin/env bash
# What compose.yaml has done before and after Elasticsearch starts, in Elasticsearch's own image, as root. Can be repeated.
#
#   set-up.sh secrets    make passwords, a certificate authority and the server's certificate, if there are none yet
#   set-up.sh users      give the users their passwords and roles
#
# Each service gets a volume with its own secrets, which its user alone can read: /secrets/SERVICE here, /run/secrets there.
set -euo pipefail

ELASTICSEARCH=1000:0 # who runs in Elastic's images
INDEXER=10001:10001
ALERTS=1000:1000
URL=https://elasticsearch:9200

# put SERVICE NAME OWNER < CONTENT
put() {
    local file="/secrets/$1/$2"
    mkdir -p "/secrets/$1"
    cat >"$file.new"
    chown "$3" "$file.new"
    chmod 400 "$file.new" # what Elasticsearch asks of the file with its password
    mv "$file.new" "$file"
}

random() { head -c 24 /dev/urandom | base64 | tr -d '+/=\n'; }

make_passwords() {
    local password
    for user in elastic kibana_system setup writer reader alerts; do
        password="$(random)"
        case $user in
            elastic) for service in elasticsearch:$ELASTICSEARCH admin:$INDEXER; do printf %s "$password" | put "${service%%:*}" elastic "${service#*:}"; done ;;
            kibana_system) printf %s "$password" | put kibana kibana_system "$ELASTICSEARCH" ;;
            writer) printf %s "$password" | put indexer writer "$INDEXER" ;;
            alerts) printf %s "$password" | put alerts alerts "$ALERTS" ;;
            *) printf %s "$password" | put "$user" "$user" "$INDEXER" ;;
        esac
    done
    printf %s "$(random)$(random)" | put kibana encryption_key "$ELASTICSEARCH"
}

# Kibana takes secrets from its configuration only.
configure_kibana() {
    printf 'elasticsearch.password: "%s"\nxpack.encryptedSavedObjects.encryptionKey: "%s"\n' \
        "$(cat /secrets/kibana/kibana_system)" "$(cat /secrets/kibana/encryption_key)" | put kibana kibana.yml "$ELASTICSEARCH"
}

make_certificates() {
    local made
    made="$(mktemp -d)"
    bin/elasticsearch-certutil ca --silent --pem --out "$made/ca.zip"
    unzip -q "$made/ca.zip" -d "$made"
    bin/elasticsearch-certutil cert --silent --pem --name elasticsearch --dns elasticsearch,localhost --ip 127.0.0.1 \
        --ca-cert "$made/ca/ca.crt" --ca-key "$made/ca/ca.key" --out "$made/node.zip"
    unzip -q "$made/node.zip" -d "$made"
    for part in node.key:elasticsearch/elasticsearch.key node.crt:elasticsearch/elasticsearch.crt ca.crt:ca/ca.crt; do
        put elasticsearch "${part%%:*}" "$ELASTICSEARCH" <"$made/${part#*:}"
    done
    put kibana ca.crt "$ELASTICSEARCH" <"$made/ca/ca.crt"
    for service in admin setup reader indexer; do put "$service" ca.crt "$INDEXER" <"$made/ca/ca.crt"; done
    put alerts ca.crt "$ALERTS" <"$made/ca/ca.crt"
    rm -rf "$made" # the authority's key with it: nothing else will ever be signed
}

# What an earlier version of this file kept together: everybody with a password in admin saw the superuser's.
divide() {
    for user in setup reader; do
        if [ -e "/secrets/admin/$user" ]; then
            put "$user" ca.crt "$INDEXER" </secrets/admin/ca.crt
            put "$user" "$user" "$INDEXER" <"/secrets/admin/$user"
            rm "/secrets/admin/$user"
        fi
    done
}

# ask METHOD PATH < BODY, as the superuser, whose password is in no list of processes
ask() {
    curl --silent --show-error --fail --cacert /secrets/admin/ca.crt --request "$1" "$URL$2" \
        --config <(printf 'user = "elastic:%s"\n' "$(cat /secrets/admin/elastic)") \
        --header 'content-type: application/json' --data-binary @- >/dev/null
    echo "$1 $2"
}

make_users() {
    printf '{"password":"%s"}' "$(cat /secrets/kibana/kibana_system)" | ask POST /_security/user/kibana_system/_password
    for user in setup:setup writer:indexer reader:reader; do
        name="${user%%:*}"
        printf '{"password":"%s","roles":["zoomdata-activity-%s"]}' "$(cat "/secrets/${user#*:}/$name")" "$name" \
            | ask PUT "/_security/user/$name"
    done
    # ElastAlert reads entries, and keeps the alerts it sent in indices of its own.
    echo '{"cluster":["monitor"],"indices":[{"names":["zoomdata-alerts*"],"privileges":["all"]}]}' \
        | ask PUT /_security/role/zoomdata-alerts
    printf '{"password":"%s","roles":["zoomdata-activity-reader","zoomdata-alerts"]}' "$(cat /secrets/alerts/alerts)" \
        | ask PUT /_security/user/alerts
}

case "$1" in
    secrets)
        if [ -e /secrets/complete/yes ]; then
            divide
            configure_kibana
            exit
        fi
        make_passwords
        configure_kibana
        make_certificates
        : | put complete yes 0:0
        ;;
    users) make_users ;;
esac
