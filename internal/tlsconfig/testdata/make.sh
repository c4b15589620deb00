#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the keys and certificates of this directory anew, with OpenSSL 3.0 and its legacy provider. They are for these tests
# and for nothing else; the password of whatever has one is "for-tests-only", but for unicode.p12.
set -eu
cd "$(dirname "$0")"
rm -f ./*.crt ./*.key ./*.p12
p=for-tests-only
subject="/O=Tocsin tests only/CN="

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key
openssl req -x509 -new -key ca.key -subj "${subject}CA" -days 36500 -out ca.crt
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.key
openssl req -new -key client.key -subj "${subject}client" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -set_serial 2 -days 36500 -out client.crt
rm ca.key

pkcs8() { out=$1; shift; openssl pkcs8 -topk8 -in client.key -passout "pass:$p" -out "$out" "$@"; }
pkcs8 pkcs8-default.key
pkcs8 pkcs8-aes128.key -v2 aes-128-cbc
pkcs8 pkcs8-des3.key -v2 des3
pkcs8 pkcs8-sha1.key -v2 aes256 -v2prf hmacWithSHA1
pkcs8 pkcs8-sha512.key -v2 aes256 -v2prf hmacWithSHA512
pkcs8 pkcs8-scrypt.key -scrypt
pkcs8 pkcs8-million.key -iter 1000001
pkcs8 pkcs8-camellia.key -v2 camellia-256-cbc
pkcs8 pkcs8-pbes1.key -v1 PBE-SHA1-3DES
openssl ec -in client.key -aes256 -passout "pass:$p" -out legacy-aes256.key
openssl ec -in client.key -des3 -passout "pass:$p" -out legacy-des3.key

p12() { out=$1; shift; openssl pkcs12 -export -out "$out" "$@"; }
pair="-inkey client.key -in client.crt"
p12 default.p12 $pair -certfile ca.crt -passout "pass:$p"
p12 empty.p12 $pair -passout pass:
p12 legacy.p12 $pair -legacy -passout "pass:$p"
p12 unicode.p12 $pair -passout "pass:nur-für-Tests-Ω"
p12 open.p12 $pair -keypbe NONE -certpbe NONE -nomac -passout pass:
p12 no-mac.p12 $pair -nomac -passout "pass:$p"
p12 no-key.p12 -nokeys -in client.crt -passout "pass:$p"
p12 no-certificate.p12 -inkey client.key -nocerts -passout "pass:$p"
p12 camellia.p12 $pair -keypbe camellia-256-cbc -passout "pass:$p"
p12 mac-million.p12 $pair -maciter -iter 1000001 -passout "pass:$p"
chmod 644 ./*.key ./*.p12
