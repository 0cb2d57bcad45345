#!/bin/sh
# Adds a line to a file under the lock of the file's name, from a lock server: locked-edit.sh LOCKS FILES NAME LINE
set -eu
locks=$1 files=$2 name=$3 line=$4
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
# The client's key is a secret: anyone who has it can speak for the session.
client=$(random) session=$(random)
of="\"session\":\"$session\""

apply() {
  curl -fsS "$locks/v1/apply" -H "storelock-client: $client" -H 'content-type: application/json' -d "{\"commands\":[$1]}"
}

# A session sends a beat now and then to show that it is alive. Its lease is 30 s.
beat="{\"type\":\"beat\",$of,\"client\":\"locked-edit.sh\",\"lease\":30000,\"opens\":true}"
request="{\"type\":\"request\",\"key\":\"$name\",$of,\"client\":\"locked-edit.sh\",\"number\":1,\"mode\":\"exclusive\",\"confirm\":5000}"
trap 'apply "{\"type\":\"end\",$of}" > /dev/null' EXIT

# Sending the request again with the same number keeps its place in the queue. A grant comes with a fencing token and a lockToken.
until grant=$(apply "$beat,$request" | grep -o '"token":[0-9]*,"lockToken":"[^"]*"'); do sleep 0.2; done
lock_token=$(printf %s "$grant" | cut -d '"' -f 6)
# A grant that was made between two polls has to be confirmed.
apply "{\"type\":\"renew\",\"key\":\"$name\",$of,$grant}" > /dev/null

text=$(curl -fsS "$files/$name" -H "lock-token: $lock_token")
printf '%s\n%s' "$text" "$line" | curl -fsS -X PUT "$files/$name" -H "lock-token: $lock_token" --data-binary @- > /dev/null
apply "{\"type\":\"release\",\"key\":\"$name\",$of,$grant}" > /dev/null
