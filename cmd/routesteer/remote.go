package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/routesteer/routesteer/client"
)

const (
	urlVariable       = "ROUTESTEER_URL"
	tokenFileVariable = "ROUTESTEER_TOKEN_FILE"
)

// addRemoteFlags adds what says how to reach a controller on another machine.
func (a *app) addRemoteFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", os.Getenv(urlVariable), "a controller on another machine, such as https://router:8443 (or "+urlVariable+")")
	flags.StringVar(&a.credentials.TokenFile, "token-file", os.Getenv(tokenFileVariable), "with --url: the file of the token to show (or "+tokenFileVariable+")")
	flags.StringVar(&a.credentials.CAFile, "ca-file", "", "with --url: the authority of the controller's certificate, if not one of the system's")
	flags.StringVar(&a.credentials.CertFile, "cert-file", "", "with --url: the client certificate to show")
	flags.StringVar(&a.credentials.KeyFile, "key-file", "", "with --url: its key")
	a.flags = flags
}

// client returns the operator's side of the controller. A socket that was asked
// for comes before a URL of the environment.
func (a *app) client() *client.Client {
	if a.url == "" || a.flags.Changed("socket") && !a.flags.Changed("url") {
		return client.New(a.socket)
	}
	return client.Remote(a.url, a.credentials)
}
