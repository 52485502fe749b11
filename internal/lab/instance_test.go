package lab

import "context"

// labUntilKilled is a lab in a process of its own, for the tests to kill.
func labUntilKilled(base string) error {
	_, err := Start(context.Background(), Options{Base: base, Servers: 1, VIPs: 1})
	if err != nil {
		return err
	}
	select {}
}
