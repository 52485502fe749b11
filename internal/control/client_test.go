package control

import (
	"context"
	"errors"
	"net"
	"os/user"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
)

func TestEveryRequestReachesTheOperatorAndItsAnswerComesBack(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	operator := &fakeOperator{}
	client := client.New(serve(t, operator))
	ctx := t.Context()
	tests := []struct {
		name   string
		do     func() (any, error)
		asked  any
		answer any
	}{
		{
			"status", func() (any, error) { return client.Status(ctx) },
			"status", &api.Status{Version: "v1", Time: noon, Warnings: []string{"look here"}},
		},
		{
			"plan", func() (any, error) { return client.Plan(ctx) },
			"plan", &api.Plan{Commands: []string{"ip route replace"}},
		},
		{
			"drain, by the user of this process", func() (any, error) {
				return client.Drain(ctx, api.DrainRequest{Servers: []string{"web1"}, Reason: "reboot", Force: true, By: "somebody else"})
			},
			api.DrainRequest{Servers: []string{"web1"}, Reason: "reboot", Force: true, By: me.Username},
			&api.Moved{Did: "drain", Servers: []string{"web1"}, Confirmed: true},
		},
		{
			"undrain", func() (any, error) { return client.Undrain(ctx, api.UndrainRequest{Servers: []string{"web1"}}) },
			api.UndrainRequest{Servers: []string{"web1"}, By: me.Username}, &api.Moved{Did: "undrain", Servers: []string{"web1"}},
		},
		{
			"pin", func() (any, error) { return client.Pin(ctx, api.PinRequest{VIP: "shop", Server: "web1", Until: noon}) },
			api.PinRequest{VIP: "shop", Server: "web1", Until: noon, By: me.Username}, &api.Moved{Did: "pin", Servers: []string{"web1"}},
		},
		{
			"unpin", func() (any, error) { return client.Unpin(ctx, api.UnpinRequest{VIP: "shop"}) },
			api.UnpinRequest{VIP: "shop", By: me.Username}, &api.Moved{Did: "unpin", Of: []string{"shop"}},
		},
		{
			"failback", func() (any, error) { return client.Failback(ctx, api.FailbackRequest{Of: []string{"web1"}}) },
			api.FailbackRequest{Of: []string{"web1"}, By: me.Username}, &api.Moved{Did: "failback", Of: []string{"web1"}},
		},
		{
			"resume", func() (any, error) { return client.Resume(ctx, api.ResumeRequest{}) },
			api.ResumeRequest{By: me.Username}, &api.Moved{Did: "resume"},
		},
		{
			"explain", func() (any, error) { return client.Explain(ctx, "203.0.113.33 & more") },
			"explain 203.0.113.33 & more", &api.Explanation{VIP: api.VIP{Name: "203.0.113.33 & more"}},
		},
		{
			"simulate", func() (any, error) {
				return client.Simulate(ctx, api.SimulateRequest{Steps: []string{"down web1"}, Losses: 2, Capacity: 9, Prove: true, LimitMs: 5})
			},
			api.SimulateRequest{Steps: []string{"down web1"}, Losses: 2, Capacity: 9, Prove: true, LimitMs: 5}, &api.Simulation{File: "site.yaml", VIPs: 1},
		},
		{
			"check", func() (any, error) { return client.Check(ctx, "web1") },
			"check web1", []api.CheckResult{{Server: "web1", OK: true}},
		},
		{
			"check all", func() (any, error) { return client.Check(ctx, "") },
			"check ", []api.CheckResult{{OK: true}},
		},
		{
			"reload", func() (any, error) { return client.Reload(ctx, api.ReloadRequest{}) },
			api.ReloadRequest{By: me.Username}, &api.Reloaded{File: "site.yaml"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, err := test.do()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(answer, test.answer) {
				t.Errorf("answer: got %+v, want %+v", answer, test.answer)
			}
			if asked := operator.last(); !reflect.DeepEqual(asked, test.asked) {
				t.Errorf("asked: got %+v, want %+v", asked, test.asked)
			}
		})
	}
}

func TestTheOperatorsErrorsKeepCodeDetailsAndHint(t *testing.T) {
	for _, code := range []api.ErrorCode{
		api.BadRequest, api.NotFound, api.Refused, api.BadConfig, api.Unconfirmed, api.Unavailable, api.Internal,
	} {
		t.Run(string(code), func(t *testing.T) {
			want := &api.Error{Code: code, Message: "no", Details: []string{"a", "b"}, Hint: "try"}
			client := client.New(serve(t, &fakeOperator{err: want}))
			_, err := client.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
			if got := (*api.Error)(nil); !errors.As(err, &got) || !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", err, want)
			}
		})
	}
	t.Run("another error is internal", func(t *testing.T) {
		client := client.New(serve(t, &fakeOperator{err: errors.New("disk full")}))
		_, err := client.Status(t.Context())
		if got := (*api.Error)(nil); !errors.As(err, &got) || got.Code != api.Internal || got.Message != "disk full" {
			t.Errorf("got %#v", err)
		}
	})
}

// What a controller says while it stops leaves open whether it kept a drain.
func TestADrainThatAControllerLeavesMayHaveBeenKept(t *testing.T) {
	const kept = "it may have been kept"
	stopping := &api.Error{Code: api.Unavailable, Message: "the controller is stopping"}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"it stops", stopping, true},
		{"it says that nothing changed", &api.Error{Code: api.Unavailable, Message: "nothing changed: disk full", Hint: "make room"}, false},
		{"it refuses", &api.Error{Code: api.Refused, Message: "web1 is the last"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := client.New(serve(t, &fakeOperator{err: test.err}))
			_, drain := client.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
			_, undrain := client.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}})
			for _, err := range []error{drain, undrain} {
				if failure := (*api.Error)(nil); !errors.As(err, &failure) || strings.Contains(failure.Hint, kept) != test.want {
					t.Errorf("got %v, want the hint: %t", err, test.want)
				}
			}
			if _, err := client.Status(t.Context()); err == nil || strings.Contains(err.Error(), kept) {
				t.Errorf("status: got %v", err)
			}
		})
	}
	t.Run("it breaks off", func(t *testing.T) {
		path, peer := rawPeer(t, "")
		go func() { (<-peer).Close() }()
		_, err := client.New(path).Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if err == nil || !strings.Contains(err.Error(), "broke off") || !strings.Contains(err.Error(), kept) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody is there", func(t *testing.T) {
		_, err := client.New("/nonexistent/r.sock").Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if err == nil || strings.Contains(err.Error(), kept) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAClientThatGoesEndsItsRequest(t *testing.T) {
	operator := &fakeOperator{block: make(chan struct{})}
	client := client.New(serve(t, operator))
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() {
		_, err := client.Drain(ctx, api.DrainRequest{Servers: []string{"web1"}})
		answered <- err
	}()
	<-operator.block
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context canceled", err)
	}
	<-operator.block // closed: the operator has noticed
}

func TestTroubleIsTold(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		_, err := client.New("/nonexistent/r.sock").Status(t.Context())
		want := "no controller answers on /nonexistent/r.sock\n" +
			"is `routesteer run` running? (another socket: --socket or ROUTESTEER_SOCKET)"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("a socket that nobody listens on", func(t *testing.T) {
		_, err := client.New(staleSocket(t)).Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no controller answers") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a peer that hangs", func(t *testing.T) {
		path, peer := rawPeer(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := client.New(path).Status(ctx)
			failed <- err
		}()
		conn := <-peer
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		conn.Close()
	})
	for name, answer := range map[string]string{
		"garbage":           "SSH-2.0-OpenSSH\r\n",
		"no JSON":           "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{]{]",
		"wrong JSON":        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n42",
		"a web page":        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<hi>",
		"an error page":     "HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<hi>",
		"an error, no code": "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run("a stranger with "+name, func(t *testing.T) {
			path, peer := rawPeer(t, answer)
			_, err := client.New(path).Status(t.Context())
			(<-peer).Close()
			if err == nil || !strings.Contains(err.Error(), "is not a routesteer controller") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("an answer cut short", func(t *testing.T) {
		path, peer := rawPeer(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{")
		go func() { (<-peer).(*net.UnixConn).CloseWrite() }()
		_, err := client.New(path).Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), "broke off") {
			t.Errorf("got %v", err)
		}
	})
}

// rawPeer listens on a socket and answers the first connection with text,
// whatever it says, and hands it over.
func rawPeer(t *testing.T, text string) (path string, peer <-chan net.Conn) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "r.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte(text))
		accepted <- conn
	}()
	return path, accepted
}

// staleSocket leaves a socket that nobody listens on.
func staleSocket(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "r.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	return path
}
