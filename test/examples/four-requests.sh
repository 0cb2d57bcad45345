#!/bin/sh
# Adds one to the number in a file, under a lock of a lock server: four-requests.sh LOCKS KEY FILE
set -eu
locks=$1 key=$2 file=$3
# The client's key is a secret: anyone who has it can renew and release this client's locks.
client=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

post() {
  curl -fsS "$locks/v1/$1" -H "storelock-client: $client" -H 'content-type: application/json' -d "{\"key\":\"$key\"$2}"
}
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }

lock=$(post acquire '')
while [ "$(echo "$lock" | field granted)" = false ]; do
  # Other requests are ahead. Sending ours again by its name keeps its place in the queue.
  lock=$(post acquire ",\"request\":\"$(echo "$lock" | field request)\"")
done
grip=",\"lockToken\":\"$(echo "$lock" | field lockToken)\""
trap 'post release "$grip" > /dev/null' EXIT

number=$(cat "$file")
# Work that takes longer than the duration, 30 s, must renew the lock well before its end. If a renewal fails, the lock may be lost.
post renew "$grip" > /dev/null
echo $((number + 1)) > "$file"
