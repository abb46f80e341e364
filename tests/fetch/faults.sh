#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Downloads by the command from server.py, one fault after the other. Usage: faults.sh AIMNET FOLDER_OF_SMALL_MODELS
# The models without published digests serve as subjects: AIMNET_MIRROR leads to the server, its path names the fault.
set -u
aimnet=$1 models=$2
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null && command -v openssl >/dev/null || { echo "python3 or openssl is missing"; exit 77; }
top=$(mktemp -d) || exit 2
work=$top/alone # so that ../x is nobody's file
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$top"' EXIT
mkdir "$work" && cd "$work" && mkdir files || exit 2
failed=0 cases=0

# ---------------------------------------------------------------- the server
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null || exit 2
cp "$models/base.pt" files/wb97m_cpcms_v2_0.pt
cp "$models/plain.pt" files/aimnet2_wb97m_d3_0.pt
head -c 200000 /dev/zero | tr '\0' x >files/wb97m_cpcms_v2_1.pt
: >files/wb97m_cpcms_v2_2.pt
python3 "$here/server.py" cert.pem key.pem . 2>server.err &
server=$!
for _ in $(seq 100); do
    [ -s port ] && break
    sleep 0.2
done
[ -s port ] || { echo "the server does not start"; cat server.err; exit 2; }
base=https://localhost:$(cat port)
export SSL_CERT_FILE=$work/cert.pem AIMNET_CACHE_DIR=$work/cache/deep/er HF_ENDPOINT=$base
unset HF_TOKEN XDG_CACHE_HOME http_proxy https_proxy HTTPS_PROXY ALL_PROXY all_proxy 2>/dev/null

zero=$AIMNET_CACHE_DIR/wb97m_cpcms_v2_0.pt one=$AIMNET_CACHE_DIR/wb97m_cpcms_v2_1.pt
fresh() { rm -rf "$work/cache"; : >log; }

# try STATUS PATTERN FAULTS ARGUMENTS...: the exit status, and a regular expression that the output must contain. On a busy machine a
# server without a fault may take seconds to answer: only where patience is the subject it is short.
try() {
    status=$1 pattern=$2 faults=$3
    shift 3
    cases=$((cases + 1))
    AIMNET_MIRROR=$base/$faults "$aimnet" download --allow-unverified --timeout "${patience:-30}" "$@" >out 2>&1
    got=$?
    if [ $got != "$status" ] || ! grep -qE -e "$pattern" out; then
        echo "--- $faults $*: status $got, expected $status and '$pattern'"
        cat out
        failed=1
    fi
}
expect() { # TEXT COMMAND...
    text=$1
    shift
    "$@" || { echo "--- $text"; ls -lR cache 2>/dev/null; cat out log; failed=1; }
}
no() { ! "$@"; }
same() { cmp -s "$zero" files/wb97m_cpcms_v2_0.pt; }

"$aimnet" download --allow-unverified wb97m_cpcms_v2_0 --retries 0 >out 2>&1
grep -q libcurl4 out && { echo "libcurl is missing"; exit 77; }

# ---------------------------------------------------------------- it works
fresh
try 0 "^aimnet2_cpcm: $zero\$" ok aimnet2_cpcm
expect "the file is right" same
expect "the digest is pinned" sh -c "cd '$AIMNET_CACHE_DIR' && sha256sum -c wb97m_cpcms_v2_0.pt.sha256 >/dev/null"
expect "nothing else is left" test "$(ls "$AIMNET_CACHE_DIR" | wc -l)" = 2
"$aimnet" inspect aimnet2_cpcm >out 2>&1 || { echo "--- it does not load"; cat out; failed=1; }
"$aimnet" inspect aimnet2_cpcm:0 >out 2>&1 || { echo "--- member 0 does not load"; cat out; failed=1; }
: >log
try 0 "$zero" status-500 wb97m_cpcms_v2_0
expect "what is there is not fetched again" test ! -s log
printf x >>"$zero"
"$aimnet" inspect aimnet2_cpcm >out 2>&1 && { echo "--- a changed file is loaded"; failed=1; }
expect "the change is named" grep -q 'SHA-256 is' out
try 0 "$zero" ok wb97m_cpcms_v2_0
expect "a damaged file is replaced" same

# ---------------------------------------------------------------- what must not come in
rm "$zero"
try 1 'SHA-256 is .* instead of' wrong --retries 0 wb97m_cpcms_v2_0
expect "a wrong file leaves nothing" no ls "$zero" "$zero.part"
fresh
try 1 'SHA-256 is .* instead of f0f7c054' ok --retries 0 aimnet2
expect "a wrong digest of the registry leaves nothing" test -z "$(ls "$AIMNET_CACHE_DIR")"
try 1 'leads to an address without HTTPS' http --retries 0 aimnet2_cpcm
try 1 'more than 5 redirects' loop --retries 0 aimnet2_cpcm
try 1 'status 404: there is no such file' ok --retries 0 wb97m_cpcms_v2_3
try 1 'HTTP status 500' status-500 --retries 0 aimnet2_cpcm
try 1 'after 2 attempts: .*HTTP status 503' status-503 --retries 1 aimnet2_cpcm
try 1 'accepted' endless --retries 0 wb97m_cpcms_v2_1
expect "nothing is left" test -z "$(find cache -type f -name '*.pt')"
AIMNET_MIRROR=https://127.0.0.1:1 "$aimnet" download --retries 0 aimnet2 >out 2>&1 && failed=1
expect "without a network: what to save where" grep -q 'save it as .*aimnet2_wb97m_d3_0.pt (SHA-256 f0f7c054' out
AIMNET_MIRROR=http://localhost "$aimnet" download aimnet2 >out 2>&1 && failed=1
expect "mirrors are https" grep -q 'must begin with https://' out
SSL_CERT_FILE=/etc/hostname try 1 'certificate|SSL|CA' ok --retries 0 aimnet2_cpcm

# ---------------------------------------------------------------- what may pass, and continuing
fresh
try 0 "$zero" statusonce-502 --retries 1 aimnet2_cpcm
expect "after a 502" same
fresh
try 0 "$zero" cutonce-5000 --retries 1 aimnet2_cpcm
expect "after a cut" same
expect "it was continued" grep -q 'bytes=5000-' log
fresh
try 1 'wb97m_cpcms_v2_0.pt: ' cut-5000 --retries 0 aimnet2_cpcm
expect "what came is kept" test "$(wc -c <"$zero.part")" = 5000
try 0 "$zero" norange aimnet2_cpcm
expect "a server without ranges" same
rm "$zero"
head -c 5000 files/wb97m_cpcms_v2_0.pt >"$zero.part"
try 0 "$zero" shift aimnet2_cpcm
expect "a server that continues elsewhere" same
rm "$zero"
head -c 5000 /dev/zero >"$zero.part"
try 0 "$zero" ok aimnet2_cpcm
expect "a foreign beginning is thrown away" same
rm "$zero"
{ cat files/wb97m_cpcms_v2_0.pt; echo more; } >"$zero.part"
try 0 "$zero" ok aimnet2_cpcm
expect "too long a beginning" same
fresh
patience=1 try 1 'imeout|slow' slow --retries 0 aimnet2_cpcm
expect "what came is kept" test "$(wc -c <"$zero.part")" = 64
try 0 'wb97m_cpcms_v2_2' ok wb97m_cpcms_v2_2
fresh
try 0 "$zero" away aimnet2_cpcm
expect "another host" grep -q '^127.0.0.1' log

# ---------------------------------------------------------------- disk, interruption, two at once
fresh
mkdir -p "$AIMNET_CACHE_DIR"
(ulimit -f 64 && AIMNET_MIRROR=$base/ok exec "$aimnet" download --allow-unverified wb97m_cpcms_v2_1) >out 2>&1 && failed=1
expect "a full disk is named" grep -q 'writing failed' out
expect "and emptied" test -z "$(ls "$AIMNET_CACHE_DIR")"
(cd / && AIMNET_CACHE_DIR=/dev/null/x "$aimnet" download aimnet2) >out 2>&1 && failed=1
expect "a cache that cannot be" grep -q AIMNET_CACHE_DIR out

# A cache that only can be read, as administrators share it, and a device without room: in a name space of mounts, where root is
# stopped as well. Without such name spaces ordinary users see the first by permissions.
fresh
mkdir -p "$AIMNET_CACHE_DIR"
try 0 "$zero" ok aimnet2_cpcm
read_only() { # COMMAND...
    if unshare -rm true 2>/dev/null; then
        unshare -rm sh -c 'mount --bind "$AIMNET_CACHE_DIR" "$AIMNET_CACHE_DIR" &&
            mount -o remount,bind,ro "$AIMNET_CACHE_DIR" && exec "$@"' sh "$@" >out 2>&1
    elif [ "$(id -u)" != 0 ]; then
        chmod a-w "$AIMNET_CACHE_DIR"
        "$@" >out 2>&1
        set -- $?
        chmod u+w "$AIMNET_CACHE_DIR"
        return "$1"
    else
        return 77
    fi
}
read_only true
if [ $? != 77 ]; then
    export AIMNET_MIRROR=$base/ok
    expect "read only: a model loads" read_only "$aimnet" inspect aimnet2_cpcm
    expect "read only: what is there is not fetched" read_only "$aimnet" download --allow-unverified aimnet2_cpcm
    expect "read only: nothing can be added" no read_only "$aimnet" download --allow-unverified wb97m_cpcms_v2_2
    expect "read only: the file is named" grep -q 'wb97m_cpcms_v2_2.pt.*\(Read-only\|Permission\)' out
    expect "read only: nothing can be removed" no read_only "$aimnet" clear_model_cache
    expect "read only: what stays is named" grep -q 'wb97m_cpcms_v2_0.pt: cannot remove it' out
    expect "read only: it is all there" same
    unset AIMNET_MIRROR
fi
no_room() {
    unshare -rm sh -c 'mount -t tmpfs -o size=64k none "$AIMNET_CACHE_DIR" && "$@"
        set -- $?
        ls "$AIMNET_CACHE_DIR"
        exit $1' sh "$@" >out 2>&1
}
if unshare -rm sh -c 'mount -t tmpfs -o size=64k none "$AIMNET_CACHE_DIR"' 2>/dev/null; then
    export AIMNET_MIRROR=$base/ok
    expect "no room: it fails" no no_room "$aimnet" download --allow-unverified --retries 0 wb97m_cpcms_v2_1
    unset AIMNET_MIRROR
    expect "no room: it says so" grep -q 'writing failed.*No space left' out
    expect "no room: nothing stays" no grep -q '^wb97m' out
fi

AIMNET_MIRROR=$base/wait-3 "$aimnet" download --allow-unverified wb97m_cpcms_v2_1 >out 2>&1 &
loader=$!
for _ in $(seq 100); do
    [ -s "$one.part" ] && break
    sleep 0.1
done
kill -TERM $loader # a shell's background processes ignore SIGINT; the command treats both alike
wait $loader
got=$?
expect "interrupted: status 130, not $got" test $got = 130
expect "interrupted: no file" test ! -e "$one"
expect "interrupted: what came is kept" test -s "$one.part"
: >log
try 0 "$one" ok wb97m_cpcms_v2_1
expect "it goes on" grep -q 'bytes=[1-9]' log

fresh
AIMNET_MIRROR=$base/wait-1 "$aimnet" download --allow-unverified wb97m_cpcms_v2_1 >out1 2>&1 &
first=$!
AIMNET_MIRROR=$base/wait-1 "$aimnet" download --allow-unverified wb97m_cpcms_v2_1 >out2 2>&1 &
second=$!
wait $first
got=$?
wait $second
got=$got$?
expect "two at once: both succeed, not $got" test $got = 00
expect "two at once: one download" test "$(wc -l <log)" = 1
expect "two at once: it is right" cmp -s "$one" files/wb97m_cpcms_v2_1.pt

# ---------------------------------------------------------------- repositories
fresh
cat >files/config.json <<END
{"ensemble_size": 2, "model_yaml": "x"}
END
printf weights >files/ensemble_0.safetensors
printf others >files/ensemble_1.safetensors
hub=$AIMNET_CACHE_DIR/huggingface/me--models@main
try 0 "^me/models: $hub\$" ok me/models
expect "two files" cmp -s "$hub/ensemble_0.safetensors" files/ensemble_0.safetensors
expect "one member" test ! -e "$hub/ensemble_1.safetensors"
try 0 'me/models:1: ' ok me/models:all
expect "all members" cmp -s "$hub/ensemble_1.safetensors" files/ensemble_1.safetensors
expect "the revision" grep -q '/me/models/resolve/main/config.json' log
try 0 '@v1--x$' ok me/models@v1/x
expect "another revision" grep -q '/me/models/resolve/v1/x/config.json' log
HF_ENDPOINT=$base/private try 1 'HF_TOKEN' ok --retries 0 a/b
: >log
HF_ENDPOINT=$base/private HF_TOKEN=secret try 0 'a--b@main' ok a/b
HF_ENDPOINT=$base/away HF_TOKEN=secret try 0 'c--d@main' ok c/d
expect "the token comes" grep -q '^localhost .* token' log
expect "the token stays with the host" no grep -q '^127.0.0.1 .* token' log
HF_ENDPOINT=$base/etag try 0 'e--f@main' ok e/f
HF_ENDPOINT=$base/badetag try 1 'SHA-256 is' ok --retries 0 g/h
for name in "../x-$$" x/../y /x/y a/b@../c a/.b 'a/b c' a/b@x//y; do
    try 1 . ok --retries 0 "$name"
done

# A description of a family leaves the architecture to the registry, whose model is fetched as well.
cat >files/config.json <<END
{"member_names": ["wb97m_cpcms_v2_0"]}
END
cp "$models/hf_base/ensemble_0.safetensors" files/ensemble_0.safetensors
try 0 'me--family@main' ok me/family
expect "the registry's model" same
expect "it loads" sh -c '"$0" inspect me/family >/dev/null' "$aimnet"
try 1 'there is no member 1' ok --retries 0 me/family:1
echo '{}' >files/config.json
try 1 'no family of the registry' ok --retries 0 me/unknown
rm "$AIMNET_CACHE_DIR/huggingface/me--family@main/ensemble_1.safetensors"*

# ---------------------------------------------------------------- clearing
printf mine >"$AIMNET_CACHE_DIR/mine"
printf part >"$AIMNET_CACHE_DIR/aimnet2_wb97m_d3_1.pt.part"
before=$(find cache -type f | wc -l)
"$aimnet" clear_model_cache --dry-run >out || failed=1
expect "a dry run removes nothing" test "$(find cache -type f | wc -l)" = "$before"
expect "a dry run names everything" test "$(wc -l <out)" = $((before - 1))
"$aimnet" clear_model_cache >out || failed=1
expect "only models are removed" test "$(find cache -type f)" = "cache/deep/er/mine"
expect "empty folders go" test ! -e "$AIMNET_CACHE_DIR/huggingface"

echo "$cases downloads"
exit $failed
