package control

import (
	"context"
	"errors"

	"github.com/routesteer/routesteer/api"
)

// maxNames bounds the servers and VIPs that one wish names.
const maxNames = 4096

// wishes are the requests that change what an operator wants, by path.
func wishes(operator api.Operator, who func(context.Context) string) map[string]func(context.Context, []byte) (any, error) {
	return map[string]func(context.Context, []byte) (any, error){
		api.DrainPath: wish(who, operator.Drain, func(r *api.DrainRequest) (*string, error) {
			return &r.By, errors.Join(checkNames("servers", r.Servers), checkMany("vips", r.VIPs), checkTimeout(r.TimeoutMs))
		}),
		api.UndrainPath: wish(who, operator.Undrain, func(r *api.UndrainRequest) (*string, error) {
			return &r.By, errors.Join(checkNames("servers", r.Servers), checkMany("vips", r.VIPs), checkTimeout(r.TimeoutMs))
		}),
		api.PinPath: wish(who, operator.Pin, func(r *api.PinRequest) (*string, error) {
			return &r.By, errors.Join(checkName("vip", r.VIP), checkName("server", r.Server), checkTimeout(r.TimeoutMs))
		}),
		api.UnpinPath: wish(who, operator.Unpin, func(r *api.UnpinRequest) (*string, error) {
			return &r.By, errors.Join(checkName("vip", r.VIP), checkTimeout(r.TimeoutMs))
		}),
		api.FailbackPath: wish(who, operator.Failback, func(r *api.FailbackRequest) (*string, error) {
			return &r.By, errors.Join(checkMany("of", r.Of), checkTimeout(r.TimeoutMs))
		}),
		api.ResumePath: wish(who, operator.Resume, func(r *api.ResumeRequest) (*string, error) {
			return &r.By, checkTimeout(r.TimeoutMs)
		}),
	}
}

// wish reads a request, notes who asks, which is not the request's to say, and has it granted.
// check finds fault with it, and where its By is.
func wish[R any](who func(context.Context) string, grant func(context.Context, R) (*api.Moved, error), check func(*R) (by *string, err error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		var request R
		if err := decode(body, &request); err != nil {
			return nil, err
		}
		by, err := check(&request)
		if err != nil {
			return nil, badRequest("%v", err)
		}
		*by = who(ctx)
		return grant(ctx, request)
	}
}

// checkNames finds fault with a list of names that must not be empty.
func checkNames(key string, names []string) error {
	if len(names) == 0 {
		return badRequest("which %s? %q is empty", key, key)
	}
	return checkMany(key, names)
}

func checkMany(key string, names []string) error {
	if len(names) > maxNames {
		return badRequest("%q names %d, more than %d", key, len(names), maxNames)
	}
	for _, name := range names {
		if err := checkName(key, name); err != nil {
			return err
		}
	}
	return nil
}

func checkName(key, name string) error {
	if name == "" {
		return badRequest("which %s? %q is empty", key, key)
	}
	return nil
}

func checkTimeout(timeoutMs int64) error {
	if timeoutMs < 0 {
		return badRequest("timeout_ms is %d: it must not be negative", timeoutMs)
	}
	return nil
}
