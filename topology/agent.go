package topology

// maxSend is how much an agent may be sent: its answer comes from what one
// packet holds.
const maxSend = 1024

// readAgent reads a port, or a mapping with one: there is no default port.
func readAgent(c cursor) (*Agent, bool) {
	agent := &Agent{}
	if c.isWord() {
		port, ok := c.integer(1, 65535)
		agent.Port = uint16(port)
		return agent, ok
	}
	f, ok := c.fields(agentObject, "a port such as 8081, or a mapping with port, send")
	if !ok || !needsPort(f, "agent", "8081") {
		return nil, false
	}
	ok = setInt(f, "port", &agent.Port, 1, 65535)
	return agent, set(f, "send", &agent.Send, readSend) && ok
}

func readSend(c cursor) (string, bool) {
	word, ok := c.word(`what the agent is sent, such as "status\n"`)
	if ok && len(word) > maxSend {
		c.problem("the text has %d bytes, but an agent is sent at most %d", len(word), maxSend)
		return "", false
	}
	return word, ok
}
