package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Status is what a running lab says of itself.
type Status struct {
	ID         int            `json:"id"`
	PID        int            `json:"pid"`
	Socket     string         `json:"socket"`     // of the controller, for routesteer --socket
	Controller string         `json:"controller"` // "running", "dead", "none"
	Links      Links          `json:"links"`
	Family     Family         `json:"family"`
	Profile    Profile        `json:"profile"`
	Servers    []ServerStatus `json:"servers"`
}

// ServerStatus is one server's part of Status.
type ServerStatus struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Faults  []Action `json:"faults"` // done and not undone; never null
}

// Status returns the state of the lab.
func (l *Lab) Status() Status {
	s := Status{ID: l.ID, PID: os.Getpid(), Socket: l.Paths.Socket, Controller: "none", Links: l.Site.Links, Family: l.Site.Family, Profile: l.Profile}
	l.turn <- struct{}{}
	if l.controller != nil {
		s.Controller = "dead"
		if l.controller.running() {
			s.Controller = "running"
		}
	}
	<-l.turn
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, server := range l.Site.Servers {
		s.Servers = append(s.Servers, ServerStatus{Name: server.Name, Address: server.Address.String(),
			Faults: append([]Action{}, l.faults[server.Name]...)})
	}
	return s
}

// A door is where other terminals reach the lab: a Unix socket for its user only.
type door struct {
	server *http.Server
	done   chan error
}

// listen opens the lab's socket, for its user only.
func (l *Lab) listen() (*door, error) {
	listener, err := net.Listen("unix", l.Paths.Lab)
	if err != nil {
		return nil, fmt.Errorf("open the lab's socket: %w", err)
	}
	if err := os.Chmod(l.Paths.Lab, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the lab's socket: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.Status()) })
	mux.HandleFunc("POST /{action}/{server}", func(w http.ResponseWriter, r *http.Request) {
		if err := l.Do(r.Context(), Action(r.PathValue("action")), r.PathValue("server")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, l.Status())
	})
	d := &door{server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, done: make(chan error, 1)}
	go func() { d.done <- d.server.Serve(listener) }()
	return d, nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone: it will not ask why
}

// close ends the door after the action that may be under way.
func (d *door) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if served := <-d.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Do does something to a server of the lab with that number, which runs in
// another process of this user; 0 is the only one that runs.
func Do(ctx context.Context, id int, action Action, server string) (Status, error) {
	return ask(ctx, "", id, http.MethodPost, string(action)+"/"+server)
}

// Ask returns the status of the lab with that number; 0 is the only one that
// runs.
func Ask(ctx context.Context, id int) (Status, error) {
	return ask(ctx, "", id, http.MethodGet, "status")
}

// Only returns id, or the number of the only lab that runs if id is 0.
func Only(base string, id int) (int, error) {
	if id != 0 {
		return id, nil
	}
	ids, err := Running(base)
	switch {
	case err != nil:
		return 0, err
	case len(ids) == 0:
		return 0, errors.New("no lab is running: start one with `routesteer lab` in another terminal")
	case len(ids) > 1:
		return 0, fmt.Errorf("labs %s are running: choose one with --id", strings.Trim(fmt.Sprint(ids), "[]"))
	}
	return ids[0], nil
}

func ask(ctx context.Context, base string, id int, method, path string) (Status, error) {
	id, err := Only(base, id)
	if err != nil {
		return Status{}, err
	}
	socket := PathsOf(base, id).Lab
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://lab/"+path, nil)
	if err != nil {
		return Status{}, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return Status{}, fmt.Errorf("ask lab %d: %w; is it running?", id, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // part of it is better than none
		return Status{}, fmt.Errorf("lab %d: %s", id, strings.TrimSpace(string(text)))
	}
	var status Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return Status{}, fmt.Errorf("ask lab %d: %w", id, err)
	}
	return status, nil
}
