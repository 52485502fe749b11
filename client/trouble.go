package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/routesteer/routesteer/api"
)

// unreachable says what an operator can do about a request that got no
// answer. The end of ctx can be told by errors.Is.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if c.remote && ctx.Err() == nil {
		if told := c.unreachableRemote(err); told != nil {
			return told
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("no answer from the controller on %s: %w", c.path, ctx.Err())
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &api.Error{
			Code:    api.Unavailable,
			Message: "no controller answers on " + c.path,
			Hint:    "is `routesteer run` running? (another socket: --socket or ROUTESTEER_SOCKET)",
		}
	case errors.Is(err, fs.ErrPermission):
		return &api.Error{
			Code:    api.Unavailable,
			Message: "no permission to talk to the controller on " + c.path,
			Hint:    "use sudo" + groupHint(c.path),
		}
	case strings.Contains(err.Error(), "malformed HTTP"):
		return c.stranger(err)
	default:
		return c.broken(ctx, err)
	}
}

// groupHint names the group that may use the socket, if that can be seen.
func groupHint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Gid == 0 {
		return ""
	}
	group, err := user.LookupGroupId(strconv.FormatUint(uint64(stat.Gid), 10))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", or ask to be added to group %q", group.Name)
}

// broken says that an answer ended before its time, or could not be read.
// Errors of the controller itself, and nil, pass.
func (c *Client) broken(ctx context.Context, err error) error {
	var failure *api.Error
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("no answer from the controller on %s: %w", c.path, ctx.Err())
	case errors.As(err, &syntax), errors.As(err, &mistyped):
		return c.stranger(err)
	default:
		return &api.Error{
			Code:    api.Unavailable,
			Message: fmt.Sprintf("the controller on %s broke off (its log says why): %v", c.path, err),
		}
	}
}

// perhapsKept adds to the error of a drain or undrain what its message leaves
// open: a controller that stops while routers are to confirm has kept the
// intent, one that stops before it has not. Errors with a hint are sure.
func perhapsKept(err error) error {
	failure := (*api.Error)(nil)
	if !errors.As(err, &failure) || failure.Code != api.Unavailable || failure.Hint != "" {
		return err
	}
	told := *failure
	told.Hint = "it may have been kept, and then goes on when the controller runs again: `routesteer status` tells"
	return &told
}

// stopped says that a stream ended because the controller did.
func (c *Client) stopped() error {
	return &api.Error{Code: api.Unavailable, Message: "the controller on " + c.path + " has stopped"}
}

// stranger says that something else answers on the socket.
func (c *Client) stranger(err error) error {
	hint := "is it the right socket? (--socket or ROUTESTEER_SOCKET)"
	if c.remote {
		hint = "is it the right address? (--url or ROUTESTEER_URL)"
	}
	return &api.Error{
		Code:    api.Internal,
		Message: fmt.Sprintf("what answers on %s is not a routesteer controller of this version: %v", c.path, err),
		Hint:    hint,
	}
}
