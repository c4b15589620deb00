// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
)

// opendkim checks signatures for a service of the Postfix, and finds the keys by unbound.
type opendkim struct {
	port int
	// keys sign for mailDomain; each is its own selector.
	keys map[string]signingKey
}

type signingKey struct {
	crypto.Signer
	// record is what stands in DNS.
	record string
}

const opendkimConf = `
Socket inet:{PORT}@127.0.0.1
Mode v
UserID nobody
AuthservID mx.interop.example
AlwaysAddARHeader yes
InternalHosts {DIR}/nobody
ResolverConfiguration {DIR}/resolver.conf
`

const opendkimResolver = `
server:
  do-not-query-localhost: no
  do-ip6: no
  outgoing-interface: 127.0.0.1
forward-zone:
  name: "."
  forward-addr: {UNBOUND}
`

// makeKeys makes what unbound is to publish, and finds the port that Postfix is to ask.
func makeKeys() ([]*program, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	public, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	peers.opendkim = &opendkim{port: ports[0], keys: map[string]signingKey{
		"rsa":     {private, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(spki)},
		"ed25519": {edwards, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)},
	}}
	return nil, nil
}

func startOpenDKIM() ([]*program, error) {
	dir := filepath.Join(peers.dir, "opendkim")
	port := peers.opendkim.port
	fill := strings.NewReplacer("{DIR}", dir, "{PORT}", fmt.Sprint(port), "{UNBOUND}", fmt.Sprintf("127.0.0.1@%d", peers.unbound.port))
	if err := write(dir, map[string]string{
		"opendkim.conf": fill.Replace(opendkimConf), "resolver.conf": fill.Replace(opendkimResolver),
		"nobody": "192.0.2.1\n", // from other hosts than these signatures are checked, from loopback, too
	}); err != nil {
		return nil, err
	}
	p, err := start("OpenDKIM", dir+"/log", "opendkim", "-f", "-x", dir+"/opendkim.conf")
	if err != nil {
		return nil, err
	}
	return []*program{p}, p.await(port)
}
