package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/api"
)

// readyTimeout bounds how long a controller may take to see a healthy site
// and route to it. The default profile needs two checks, a second apart.
const readyTimeout = 20 * time.Second

// WaitReady waits until the controller finds every server up for every VIP
// and every VIP routed where it is wanted. Without a controller it returns at
// once.
func (l *Lab) WaitReady(ctx context.Context) error {
	return l.waitStatus(ctx, "all servers up and all VIPs routed", func(s *api.Status) string {
		for _, server := range s.Servers {
			for _, target := range server.Targets {
				if target.Health != "up" {
					return fmt.Sprintf("%s is %s for %s: %s", server.Name, target.Health, target.VIP, target.Why)
				}
			}
		}
		for _, vip := range s.VIPs {
			if !vip.InSync || len(vip.Wanted) == 0 {
				return fmt.Sprintf("%s is wanted at %v and not in sync", vip.Prefix, vip.Wanted)
			}
		}
		for _, router := range s.Routers {
			if !router.InSync {
				return fmt.Sprintf("router %s is not in sync: %s", router.Name, router.Error)
			}
		}
		if len(s.VIPs) != len(l.Site.VIPs) {
			return fmt.Sprintf("it knows %d VIPs of %d", len(s.VIPs), len(l.Site.VIPs))
		}
		return ""
	})
}

// WaitAt waits until the VIP is wanted at the server alone, and routed there.
func (l *Lab) WaitAt(ctx context.Context, vip VIP, server string) error {
	return l.waitVIP(ctx, vip, "to be at "+server, func(v api.VIP) bool {
		return len(v.Wanted) == 1 && v.Wanted[0] == server
	})
}

// waitAway waits until the VIP is wanted elsewhere, and routed there.
func (l *Lab) waitAway(ctx context.Context, vip VIP, server string) error {
	return l.waitVIP(ctx, vip, "to leave "+server, func(v api.VIP) bool {
		return len(v.Wanted) == 1 && v.Wanted[0] != server
	})
}

func (l *Lab) waitVIP(ctx context.Context, vip VIP, what string, wanted func(api.VIP) bool) error {
	return l.waitStatus(ctx, vip.Prefix.String()+" "+what, func(s *api.Status) string {
		for _, v := range s.VIPs {
			if v.Prefix == vip.Prefix.String() {
				if v.InSync && wanted(v) {
					return ""
				}
				return fmt.Sprintf("it is wanted at %v (%s), in sync: %v", v.Wanted, v.Why, v.InSync)
			}
		}
		return "the controller does not know it"
	})
}

// where returns the server that a VIP is wanted at; "" for none or several.
func (l *Lab) where(ctx context.Context, vip VIP) (string, error) {
	s, err := l.Operator.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range s.VIPs {
		if v.Prefix == vip.Prefix.String() && len(v.Wanted) == 1 {
			return v.Wanted[0], nil
		}
	}
	return "", nil
}

// cuts returns why planned moves cut connections on this router; "" if they do
// not.
func (l *Lab) cuts(ctx context.Context) (string, error) {
	if why := l.router.cuts(); why != "" {
		return why, nil
	}
	s, err := l.Operator.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, router := range s.Routers {
		if router.Cuts != "" {
			return router.Cuts, nil
		}
	}
	return "", nil
}

// waitStatus asks for the status until missing finds nothing missing in it.
func (l *Lab) waitStatus(ctx context.Context, what string, missing func(*api.Status) string) error {
	if l.Operator == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	last := "the controller did not answer"
	err := poll(ctx, 10*time.Millisecond, what, func() (bool, error) {
		if err := l.controllerLives(ctx); err != nil {
			return false, err
		}
		status, err := l.Operator.Status(ctx)
		if err != nil {
			return false, nil // it may not listen yet: last says so in the end
		}
		last = missing(status)
		return last == "", nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// controllerLives returns an error with its last words if it does not.
func (l *Lab) controllerLives(ctx context.Context) error {
	return l.withController(ctx, func(p *process) error {
		if p.running() {
			return nil
		}
		return errors.New("the controller ended: " + p.lastWords())
	})
}
