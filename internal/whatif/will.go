package whatif

import (
	"slices"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// setDrained takes a server out of service, or puts it back.
func (w *World) setDrained(name topology.ServerName, drained bool) {
	if w.in.Drained == nil {
		w.in.Drained = map[topology.ServerName]bool{}
	}
	if drained {
		w.in.Drained[name] = true
	} else {
		delete(w.in.Drained, name)
	}
}

// drained reports whether a server is out of service.
func (w *World) drained(name topology.ServerName) bool { return w.in.Drained[name] }

// drainedBy are the servers that the step takes out of service: to drain one that
// is drained changes nothing.
func (w *World) drainedBy(step Step) []topology.ServerName {
	if step.Verb != Drain {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(step.Servers), w.drained)
}

// recalledBy are the servers that the step puts back in service.
func (w *World) recalledBy(step Step) []topology.ServerName {
	if step.Verb != Undrain {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(step.Servers), func(name topology.ServerName) bool { return !w.drained(name) })
}

// recall lets traffic return to servers, if they are well, whatever the failback
// policy says.
func recall(in *steer.Input, servers []topology.ServerName) {
	in.Recalled = map[topology.ServerName]bool{}
	for _, name := range servers {
		in.Recalled[name] = true
	}
}
