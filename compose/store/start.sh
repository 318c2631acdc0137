# Starts SeaweedFS with one bucket and one key. Its other ports need no key: only containers that have it anyway are in its network.
umask 077
cat >/tmp/s3.json <<END
{"identities": [{"name": "rowgate", "credentials": [{"accessKey": "$STORE_KEY", "secretKey": "$STORE_SECRET"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
exec weed mini -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -bucket="$STORE_BUCKET" -s3.config=/tmp/s3.json -s3.port=8333 \
  -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false -webdav=false -admin.ui=false -master.telemetry=false
