package probe

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"

	"github.com/routesteer/routesteer/topology"
)

// maxAuthorities bounds a file of authorities; all that the world trusts are a
// fifth of it.
const maxAuthorities = 1 << 20

// authorities are who may have signed certificates, by the file that lists them.
type authorities map[string]*x509.CertPool

// readAuthorities reads all files that the site's checks name. It is done once
// for each site, so that a file that is being written, or has gone, fails a
// reload and no check.
func readAuthorities(site *topology.Site) (authorities, error) {
	all := authorities{}
	for _, check := range site.Checks {
		path := caFile(check)
		if path == "" || all[path] != nil {
			continue
		}
		pool, err := readPool(path)
		if err != nil {
			return nil, fmt.Errorf("read the authorities of check %s: %w", check.Name, err)
		}
		all[path] = pool
	}
	return all, nil
}

// of are those that the check trusts; nil stands for the system's.
func (a authorities) of(check topology.Check) *x509.CertPool { return a[caFile(check)] }

func caFile(check topology.Check) string {
	switch {
	case check.HTTP != nil:
		return check.HTTP.Certificate.CAFile
	case check.TLS != nil:
		return check.TLS.Certificate.CAFile
	case check.GRPC != nil && check.GRPC.TLS != nil:
		return check.GRPC.TLS.CAFile
	default:
		return ""
	}
}

func readPool(path string) (*x509.CertPool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, maxAuthorities+1))
	if err != nil {
		return nil, err
	}
	if len(pem) > maxAuthorities {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxAuthorities)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM: is it the right file?", path)
	}
	return pool, nil
}
