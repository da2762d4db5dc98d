package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/millrace/millrace/infra/cluster/place"
)

// keys are the files of the cluster's authority and what it has signed.
type keys struct {
	p place.Place
}

func (k keys) authority() string           { return k.p.State("keys", "ca.crt") }
func (k keys) certificate(n string) string { return k.p.State("keys", n+".crt") }
func (k keys) key(n string) string         { return k.p.State("keys", n+".key") }

// make makes an authority that lives as long as the cluster, and three pairs: of
// the API server, of the administrator (who all processes are), and of who signs
// the tokens of service accounts.
func (k keys) make() error {
	if err := os.MkdirAll(k.p.State("keys"), 0o700); err != nil {
		return err
	}
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "millrace-cluster"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := k.write("ca", ca, ca, nil)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		IPAddresses: []net.IP{net.ParseIP(place.Kubernetes), net.ParseIP(place.Node)},
	}
	admin := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	accounts := &x509.Certificate{Subject: pkix.Name{CommonName: "service-accounts"}}
	_, err1 := k.write("server", server, ca, caKey)
	_, err2 := k.write("admin", admin, ca, caKey)
	_, err3 := k.write("accounts", accounts, ca, caKey)
	return errors.Join(err1, err2, err3)
}

// write signs with the parent's key, or with its own if there is none.
func (k keys) write(name string, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	signed, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(
		os.WriteFile(k.certificate(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644),
		os.WriteFile(k.key(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600),
	)
}
